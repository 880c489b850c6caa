//! All that is known of a container, in docker's words.

use super::config::{MountKind, RestartPolicy};
use super::log::LOG;
use super::{Listed, files, signals};
use crate::image::store::Store;
use crate::image::volume;
use serde_json::{Map, Value, json};

/// What docker writes for a time that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

fn time(stamp: &str) -> &str {
    if stamp.is_empty() { NEVER } else { stamp }
}

pub fn describe(store: &Store, listed: &Listed) -> Value {
    let (config, state) = (&listed.config, &listed.state);
    let args = config.args();
    let path = |name: &str| listed.container.directory().join(name);
    let mut described = json!({
        "Id": config.id,
        "Created": config.created,
        "Path": args.first(),
        "Args": args.iter().skip(1).collect::<Vec<_>>(),
        "State": {
            "Status": state.status.as_str(),
            "Running": state.status.needs_supervisor(),
            "Paused": state.status.as_str() == "paused",
            "Restarting": state.status.as_str() == "restarting",
            "OOMKilled": state.oom_killed,
            "Dead": false,
            "Pid": state.pid,
            "ExitCode": state.exit_code,
            "Error": state.error,
            "StartedAt": time(&state.started_at),
            "FinishedAt": time(&state.finished_at),
        },
        "Image": config.image_id,
        "ResolvConfPath": path(files::RESOLV_CONF),
        "HostnamePath": path(files::HOSTNAME),
        "HostsPath": path(files::HOSTS),
        "LogPath": path(LOG),
        "Name": format!("/{}", config.name),
        "RestartCount": state.restart_count,
        "Driver": "overlay",
        "Platform": "linux",
        "Mounts": mounts(store, listed),
        "HostConfig": host_config(listed),
        "Config": {
            "Hostname": config.hostname,
            "Domainname": config.domainname,
            "User": config.user,
            "Tty": config.terminal,
            "OpenStdin": config.stdin,
            "Env": config.env,
            "Cmd": config.command,
            "Entrypoint": config.entrypoint,
            "Image": config.image,
            "WorkingDir": config.cwd,
            "Labels": config.labels,
            "Healthcheck": config.healthcheck,
            "StopSignal": signals::name(config.stop_signal),
            "StopTimeout": config.stop_timeout,
            "ExposedPorts": config.exposed.iter().map(|port| (port.clone(), json!({}))).collect::<Map<_, _>>(),
        },
        "NetworkSettings": network(listed),
    });
    if let Some(health) = &state.health {
        let probe = |probe: &super::state::Probe| json!({"Start": probe.start, "End": probe.end, "ExitCode": probe.exit_code, "Output": probe.output});
        described["State"]["Health"] = json!({
            "Status": health.status,
            "FailingStreak": health.failing_streak,
            "Log": health.log.iter().map(probe).collect::<Vec<_>>(),
        });
    }
    described
}

fn mounts(store: &Store, listed: &Listed) -> Value {
    let row = |mount: &super::config::Mount| {
        let (kind, source) = match mount.kind {
            MountKind::Bind => ("bind", mount.source.clone()),
            MountKind::Volume => ("volume", volume::data(store, &mount.source).display().to_string()),
            MountKind::Tmpfs => ("tmpfs", String::new()),
        };
        let propagation = if mount.propagation.is_empty() { "rprivate" } else { &mount.propagation };
        let mut row = json!({
            "Type": kind,
            "Source": source,
            "Destination": mount.target,
            "Mode": if mount.read_only { "ro" } else { "" },
            "RW": !mount.read_only,
            "Propagation": propagation,
        });
        if mount.kind == MountKind::Volume {
            row["Name"] = json!(mount.source);
            row["Driver"] = json!("local");
        }
        row
    };
    listed.config.mounts.iter().map(row).collect()
}

fn host_config(listed: &Listed) -> Value {
    let config = &listed.config;
    let policy = match config.restart.policy {
        RestartPolicy::No => "no",
        RestartPolicy::OnFailure => "on-failure",
        RestartPolicy::Always => "always",
        RestartPolicy::UnlessStopped => "unless-stopped",
    };
    let mut bindings = Map::new();
    for port in &config.network.publish {
        let key = format!("{}/{}", port.container_port, port.protocol);
        let host_port = if port.host_port == 0 { String::new() } else { port.host_port.to_string() };
        let entry = bindings.entry(key).or_insert_with(|| json!([]));
        if let Some(list) = entry.as_array_mut() {
            list.push(json!({"HostIp": port.host_ip, "HostPort": host_port}));
        }
    }
    let (security, resources) = (&config.security, &config.resources);
    json!({
        "AutoRemove": config.auto_remove,
        "NetworkMode": config.network.mode,
        "PortBindings": bindings,
        "PublishAllPorts": config.network.publish_all,
        "RestartPolicy": {"Name": policy, "MaximumRetryCount": config.restart.maximum},
        "LogConfig": {"Type": config.log.driver, "Config": {}},
        "Privileged": security.privileged,
        "ReadonlyRootfs": security.read_only,
        "CapAdd": security.cap_add,
        "CapDrop": security.cap_drop,
        "Dns": config.network.dns,
        "ExtraHosts": config.network.extra_hosts,
        "GroupAdd": config.groups,
        "IpcMode": config.ipc_mode,
        "PidMode": config.pid_mode,
        "UTSMode": config.uts_mode,
        "ShmSize": config.shm_size,
        "Init": config.init,
        "CgroupParent": config.cgroup_parent,
        "Memory": resources["memory"]["limit"].as_i64().unwrap_or(0),
        "MemorySwap": resources["memory"]["swap"].as_i64().unwrap_or(0),
        "CpuShares": resources["cpu"]["shares"].as_u64().unwrap_or(0),
        "CpuQuota": resources["cpu"]["quota"].as_i64().unwrap_or(0),
        "CpuPeriod": resources["cpu"]["period"].as_u64().unwrap_or(0),
        "CpusetCpus": resources["cpu"]["cpus"].as_str().unwrap_or_default(),
        "PidsLimit": resources["pids"]["limit"].as_i64(),
    })
}

fn network(listed: &Listed) -> Value {
    let Some(endpoint) = &listed.state.endpoint else {
        return json!({"Ports": {}, "IPAddress": "", "Networks": {}});
    };
    let mut ports: Map<String, Value> = listed.config.exposed.iter().map(|port| (port.clone(), Value::Null)).collect();
    for port in &endpoint.ports {
        let key = format!("{}/{}", port.container_port, port.protocol);
        let binding = json!({"HostIp": port.host_ip, "HostPort": port.host_port.to_string()});
        let entry = ports.entry(key).or_insert(Value::Null);
        match entry.as_array_mut() {
            Some(list) => list.push(binding),
            None => *entry = json!([binding]),
        }
    }
    let place = json!({
        "IPAddress": endpoint.address,
        "IPPrefixLen": endpoint.prefix,
        "Gateway": endpoint.gateway,
        "GlobalIPv6Address": endpoint.address6,
        "GlobalIPv6PrefixLen": endpoint.prefix6,
        "IPv6Gateway": endpoint.gateway6,
        "MacAddress": endpoint.mac,
        "Aliases": listed.config.network.aliases,
    });
    let mut settings = place.clone();
    settings["Ports"] = Value::Object(ports);
    settings["Networks"] = json!({ endpoint.network.as_str(): place });
    settings
}
