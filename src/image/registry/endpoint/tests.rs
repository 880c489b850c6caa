use super::*;

fn place(files: &[(&str, &str)]) -> (Places, PathBuf) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("endpoint-{}-{number}", std::process::id()));
    for (name, text) in files {
        let file = path.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    (Places(vec![path.clone()]), path)
}

#[test]
fn this_machine_is_told_from_others() {
    for host in ["localhost", "localhost:5000", "127.0.0.1", "127.9.9.9:1", "[::1]:5000", "[::1]"] {
        assert!(is_loopback(host), "{host}");
    }
    for host in ["localhost.evil.com", "127.0.0.1.evil.com:80", "10.0.0.1", "docker.io", "[::2]:1"] {
        assert!(!is_loopback(host), "{host}");
    }
}

#[test]
fn only_loopback_and_those_who_ask_get_plain_http() {
    let transport =
        |host: &str, verify| endpoint(host, &Options { tls_verify: verify, ..Options::default() }).transport;
    assert_eq!(transport("localhost:5000", None), Transport::Either);
    assert_eq!(transport("localhost:5000", Some(true)), Transport::Https);
    assert_eq!(transport("registry.example", None), Transport::Https);
    assert_eq!(transport("registry.example", Some(false)), Transport::Either);
}

#[test]
fn hosts_toml_is_read_as_containerd_reads_it() {
    let text = r#"
        server = "https://origin.example"
        ca = "origin.crt"
        [host."https://second.example/prefix"]
        capabilities = ["pull", "resolve"]
        client = [["a.cert", "a.key"]]
        [host."http://first.example:5000/v2"]
        skip_verify = true
        override_path = true
        header.X-Meta = ["one", "two"]
    "#;
    let (places, path) = place(&[("certs.d/reg.example_5000_/hosts.toml", text)]);
    let hosts = read_hosts("reg.example:5000", &places).unwrap().unwrap();
    let options = Options::default();
    let mirrors: Vec<Endpoint> = hosts
        .host
        .iter()
        .map(|(url, host)| {
            let host: Host = serde_json::from_value(host.clone()).unwrap();
            mirror(url, &host, "reg.example:5000", &hosts.directory, &options).unwrap()
        })
        .collect();
    let [second, first] = mirrors.as_slice() else { panic!("{mirrors:?}") };
    assert_eq!((second.host.as_str(), second.prefix.as_str()), ("second.example", "/prefix/v2"));
    assert!(!second.can_push && second.verify && second.mirror);
    assert_eq!(second.client.as_ref().unwrap().1, hosts.directory.join("a.key"));
    assert_eq!((first.transport, first.prefix.as_str(), first.verify), (Transport::Http, "/v2", false));
    assert_eq!(first.headers.len(), 2);
    assert_eq!(first.namespace.as_deref(), Some("reg.example:5000"));
    assert_eq!(hosts.base.ca.all(), ["origin.crt"]);
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn registries_conf_moves_what_its_longest_prefix_covers() {
    let text = r#"
        [[registry]]
        location = "docker.io"
        [[registry.mirror]]
        location = "mirror.example:5000/hub"
        insecure = true
        [[registry]]
        prefix = "docker.io/library"
        location = "other.example/copies"
        [[registry]]
        prefix = "*.evil.example"
        blocked = true
    "#;
    let (places, path) = place(&[("registries.conf", text)]);
    let read = |domain, path| read_registries(domain, path, &places).unwrap();
    let options = Options::default();
    let registry = read("docker.io", "me/app").unwrap();
    let mirror = located(&registry.mirror[0], &registry, "me/app", true, &options).unwrap();
    assert_eq!((mirror.host.as_str(), mirror.location.as_str()), ("mirror.example:5000", "hub/me/app"));
    assert!(mirror.transport == Transport::Either && !mirror.verify);
    let registry = read("docker.io", "library/debian").unwrap();
    let here = Located { location: registry.location.clone(), insecure: false };
    assert_eq!(located(&here, &registry, "library/debian", false, &options).unwrap().location, "copies/debian");
    assert!(read("a.evil.example", "x").unwrap().blocked);
    assert!(read("evil.example.org", "x").is_none());
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_mistake_in_a_file_is_said_with_its_line() {
    let (places, path) = place(&[("registries.conf", "[[registry]]\nlocation = 5\n")]);
    let error = read_registries("docker.io", "x", &places).unwrap_err().to_string();
    assert!(error.contains("registries.conf:2: "), "{error}");
    std::fs::remove_dir_all(path).unwrap();
}
