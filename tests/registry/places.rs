//! Where registries are: TLS, mirrors, proxies.

use super::docker::{Login, Registry};
use super::honest::Content;
use super::kit::*;
use super::server::{Answer, Server};
use super::words::LastWords;
use std::fs;

fn configured(kitchen: &Kitchen, args: &[&str]) -> Output {
    Output::of(kitchen.command().env("XDG_CONFIG_HOME", kitchen.path("config")).args(args), None)
}

fn configure(kitchen: &Kitchen, file: &str, text: &str) {
    let path = kitchen.path("config/containers").join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn a_registry_with_an_authority_of_its_own_is_believed_when_that_is() {
    let kitchen = Kitchen::new();
    let Some(registry) = Registry::start(&kitchen, Login::Basic, true) else { return };
    let name = registry.name("app:1");
    kitchen.busybox(&name);
    let authority = registry.authority();
    kitchen.forno(["push", "-q", "--creds", "ana:secret", &name]).gives_up(&["certificate"]);
    kitchen.forno(["push", "--creds", "ana:secret", "--cert-dir", authority.to_str().unwrap(), &name]).ok();
    kitchen.forno(["rmi", &name]).ok();
    kitchen.forno(["pull", "--creds", "ana:secret", "--tls-verify=false", &name]).ok();
    kitchen.forno(["rmi", &name]).ok();
    let certificate = fs::read_to_string(authority.join("ca.crt")).unwrap();
    configure(&kitchen, &format!("certs.d/{}/ca.crt", registry.host()), &certificate);
    configured(&kitchen, &["pull", "--creds", "ana:secret", &name]).ok();
    kitchen.forno(["rmi", &name]).ok();
    let mut command = kitchen.command();
    command.env("SSL_CERT_FILE", authority.join("ca.crt")).args(["pull", "--creds", "ana:secret", &name]);
    Output::of(&mut command, None).ok();
}

#[test]
fn plain_http_is_for_loopback_or_for_who_asks() {
    let kitchen = Kitchen::new();
    let server = Content::simple(&[("file", b"x")]).serve(|_| None);
    let name = format!("{}/a/b:1", server.host());
    kitchen.forno(["pull", "-q", "--tls-verify=true", "--retry", "0", &name]).gives_up(&["pull "]);
    assert!(server.requests().iter().all(|request| !request.target.contains("manifests")));
    kitchen.forno(["pull", &name]).ok();
}

#[test]
fn a_mirror_is_asked_first_and_the_registry_when_it_cannot_help() {
    let kitchen = Kitchen::new();
    let content = Content::simple(&[("file", b"x")]);
    let (good, none) = (content.clone().serve(|_| None), Server::start(|_| Answer::new(404)));
    let origin = content.serve(|_| None);
    let name = format!("{}/a/b:1", origin.host());
    let hosts = format!(
        "[host.\"http://{}\"]\ncapabilities = [\"pull\"]\n[host.\"http://{}\"]\nheader.X-Who = \"us\"\n",
        none.host(),
        good.host()
    );
    configure(&kitchen, &format!("certs.d/{}/hosts.toml", origin.host()), &hosts);
    configured(&kitchen, &["pull", &name]).ok();
    let namespace = format!("ns={}", origin.host().replace(':', "%3A"));
    assert!(none.requests().iter().all(|request| request.target.contains(&namespace)) && !none.requests().is_empty());
    assert!(
        good.requests()
            .iter()
            .any(|request| request.is("GET", "/v2/a/b/blobs/") && request.header("x-who") == Some("us"))
    );
    assert!(origin.requests().iter().all(|request| !request.target.contains("/blobs/")));
    drop(good);
    kitchen.forno(["rmi", &name]).ok();
    configured(&kitchen, &["pull", "--retry", "0", &name]).ok();
    assert!(origin.requests().iter().any(|request| request.target.contains("/blobs/")));
}

#[test]
fn registries_conf_moves_and_blocks() {
    let kitchen = Kitchen::new();
    let server = Content::simple(&[("file", b"x")]).serve(|_| None);
    let text = format!(
        "[[registry]]\nprefix = \"docker.io/team\"\nlocation = \"{}/a\"\n[[registry]]\nprefix = \"bad.example\"\nblocked = true\n",
        server.host()
    );
    configure(&kitchen, "registries.conf", &text);
    configured(&kitchen, &["pull", "team/b:1"]).ok();
    kitchen.forno(["inspect", "team/b:1"]).ok();
    configured(&kitchen, &["pull", "-q", "bad.example/x"]).gives_up(&["blocked"]);
}

#[test]
fn a_proxy_is_used_where_the_environment_says_so() {
    let kitchen = Kitchen::new();
    let content = Content::simple(&[("file", b"x")]);
    let proxy = Server::start(move |request| match request.method.as_str() {
        "CONNECT" => Answer::new(200),
        _ => content.answer(request),
    });
    let pull = |no_proxy: &str| {
        let mut command = kitchen.command();
        for name in ["http_proxy", "https_proxy", "all_proxy", "ALL_PROXY", "HTTPS_PROXY"] {
            command.env_remove(name);
        }
        command.env("XDG_CONFIG_HOME", kitchen.path("config")).env("HTTP_PROXY", format!("http://{}", proxy.host()));
        command.env("NO_PROXY", no_proxy);
        Output::of(command.args(["pull", "-q", "--retry", "0", "registry.invalid:5000/a/b:1"]), None)
    };
    let hosts = "server = \"http://registry.invalid:5000\"\n";
    configure(&kitchen, "certs.d/registry.invalid:5000/hosts.toml", hosts);
    pull("registry.invalid").gives_up(&["pull "]);
    assert!(proxy.requests().is_empty());
    pull("").ok();
    assert!(proxy.requests().iter().any(|request| request.is("CONNECT", "registry.invalid:5000")));
}
