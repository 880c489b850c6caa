//! `forno login` and `forno logout`: credentials for registries.

use super::remote::RegistryArgs;
use super::{Forno, Verb};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::registry::{CredentialFiles, Credentials, check_login, login_key};
use crate::sys::tty;
use clap::Args;
use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Login {
    /// The registry [default: docker.io]
    #[arg(value_name = "SERVER")]
    server: Option<String>,
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// Other users of the machine can read it while the program runs; --password-stdin is better
    #[arg(short, long, value_name = "PASSWORD")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password")]
    password_stdin: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Verb for Login {
    const NAME: &'static str = "login";
    const ABOUT: &'static str = "Log in to a registry";
    const TOUCHES_STORE: bool = false;

    fn run(self, forno: &Forno) -> Result<u8> {
        let domain = login_key(self.server.as_deref());
        let options = self.registry.options();
        let files = CredentialFiles::new(options.authfile.as_deref());
        if self.username.is_none()
            && !self.password_stdin
            && let Some(known) = files.find(&domain, "")?
            && check_login(&domain, &known, &options).is_ok()
        {
            return forno.print("Authenticating with existing credentials...\nLogin Succeeded\n").map(|()| 0);
        }
        let user = match &self.username {
            Some(user) => user.clone(),
            None => ask("Username: ", true)?,
        };
        let password = match &self.password {
            Some(password) => {
                forno.warn("a password on the command line is seen by others; use --password-stdin");
                password.clone()
            }
            None if self.password_stdin => {
                let mut text = String::new();
                std::io::stdin().take(1 << 20).read_to_string(&mut text).context("read the password")?;
                text.trim_end_matches(['\n', '\r']).to_owned()
            }
            None => ask("Password: ", false)?,
        };
        if user.is_empty() || password.is_empty() {
            bail!("neither the name nor the password may be empty");
        }
        let credentials = Credentials::Basic { user, password };
        check_login(&domain, &credentials, &options)?;
        let place = files.store(&domain, &credentials)?;
        if !place.starts_with("docker-credential-") {
            forno.warn(&format!(
                "the password is kept in {place} without encryption; a credential helper keeps it better"
            ));
        }
        forno.print("Login Succeeded\n")?;
        Ok(0)
    }
}

fn ask(question: &str, shown: bool) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        bail!("there is no terminal to ask at; give --username and --password-stdin");
    }
    let ask = || -> Result<String> {
        write!(std::io::stderr(), "{question}")?;
        let hidden = if shown { None } else { Some(tty::hide_input(std::io::stdin())?) };
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if hidden.is_some() {
            writeln!(std::io::stderr())?;
        }
        Ok(answer.trim_end_matches(['\n', '\r']).to_owned())
    };
    ask().context("ask")
}

#[derive(Debug, Args)]
pub(super) struct Logout {
    /// The registry [default: docker.io]
    #[arg(value_name = "SERVER")]
    server: Option<String>,
    /// The file with credentials
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
}

impl Verb for Logout {
    const NAME: &'static str = "logout";
    const ABOUT: &'static str = "Forget a registry's credentials";
    const TOUCHES_STORE: bool = false;

    fn run(self, forno: &Forno) -> Result<u8> {
        let domain = login_key(self.server.as_deref());
        let erased = CredentialFiles::new(self.authfile.as_deref()).erase(&domain)?;
        let said = if erased { "Removing login credentials for" } else { "Not logged in to" };
        forno.print(&format!("{said} {domain}\n"))?;
        Ok(0)
    }
}
