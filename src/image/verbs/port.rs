//! `forno port`: where a container's ports are on the host.

use super::{Forno, Verb};
use crate::bail;
use crate::error::Result;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Port {
    /// A name or an id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Only this port
    #[arg(value_name = "PORT[/udp]")]
    port: Option<String>,
}

impl Verb for Port {
    const NAME: &'static str = "port";
    const ABOUT: &'static str = "Show where a container's ports are on the host";

    fn run(self, forno: &Forno) -> Result<u8> {
        let container = forno.store()?.container(&self.container)?;
        let ports = container.state()?.endpoint.map(|endpoint| endpoint.ports).unwrap_or_default();
        let wanted = self.port.map(|port| if port.contains('/') { port } else { format!("{port}/tcp") });
        let mut text = String::new();
        for port in ports {
            let inside = format!("{}/{}", port.container_port, port.protocol);
            let ip = if port.host_ip.contains(':') { format!("[{}]", port.host_ip) } else { port.host_ip };
            match &wanted {
                None => text += &format!("{inside} -> {ip}:{}\n", port.host_port),
                Some(wanted) if *wanted == inside => text += &format!("{ip}:{}\n", port.host_port),
                Some(_) => {}
            }
        }
        if let (true, Some(wanted)) = (text.is_empty(), &wanted) {
            bail!("no public port {wanted:?} published for {}", self.container);
        }
        forno.print(&text)?;
        Ok(0)
    }
}
