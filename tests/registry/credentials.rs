//! Logging in, in all the ways in which registries ask for it.

use super::docker::{Login, PASSWORD, Registry, USER, base64};
use super::honest::Content;
use super::kit::*;
use super::server::{Answer, Server};
use super::words::LastWords;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// `forno` with a home of its own.
fn forno(kitchen: &Kitchen) -> Command {
    let mut command = kitchen.command();
    for name in ["XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG"] {
        command.env_remove(name);
    }
    command.env("HOME", kitchen.path("home"));
    command
}

#[track_caller]
fn call(kitchen: &Kitchen, args: &[&str]) -> Output {
    Output::of(forno(kitchen).args(args), None)
}

#[test]
fn basic_and_token_registries_let_in_who_logs_in() {
    for login in [Login::Basic, Login::Token] {
        let kitchen = Kitchen::new();
        let Some(registry) = Registry::start(&kitchen, login, false) else { return };
        let (name, host) = (registry.name("private/app:1"), registry.host());
        kitchen.busybox(&name);
        let refused = call(&kitchen, &["push", "-q", &name]);
        refused.gives_up(&["push "]);
        let wrong =
            Output::of(forno(&kitchen).args(["login", "-u", USER, "--password-stdin", &host]), Some(b"wrong\n"));
        wrong.gives_up(&["log in to localhost", "401"]);
        assert!(!kitchen.path("home/.docker/config.json").exists());
        let right = Output::of(
            forno(&kitchen).args(["login", "-u", USER, "--password-stdin", &host]),
            Some(PASSWORD.as_bytes()),
        );
        right.ok().stdout_has("Login Succeeded");
        let mode = fs::metadata(kitchen.path("home/.docker/config.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        call(&kitchen, &["push", &name]).ok();
        call(&kitchen, &["rmi", &name]).ok();
        call(&kitchen, &["pull", &name]).ok();
        call(&kitchen, &["login", &host]).ok().stdout_has("existing credentials");
        if has("skopeo") {
            // What we wrote is what others read.
            let file = kitchen.path("home/.docker/config.json");
            let source = format!("docker://{name}");
            run("skopeo", ["inspect", "--tls-verify=false", "--authfile", file.to_str().unwrap(), &source]).ok();
        }
        call(&kitchen, &["logout", &host]).ok().stdout_has("Removing login credentials");
        call(&kitchen, &["logout", &host]).ok().stdout_has("Not logged in");
        call(&kitchen, &["pull", "-q", "--creds", "ana:wrong", &name]).gives_up(&["401"]);
        call(&kitchen, &["pull", "--creds", "ana:secret", &name]).ok();
        call(&kitchen, &["rmi", &name]).ok();
        call(&kitchen, &["pull", "-q", &name]).gives_up(&["pull "]);
    }
}

#[test]
fn who_has_no_account_may_pull_what_is_public() {
    let kitchen = Kitchen::new();
    let Some(registry) = Registry::start(&kitchen, Login::Token, false) else { return };
    let name = registry.name("public/app:1");
    kitchen.busybox(&name);
    call(&kitchen, &["push", "--creds", "ana:secret", &name]).ok();
    call(&kitchen, &["rmi", &name]).ok();
    call(&kitchen, &["pull", &name]).ok();
    call(&kitchen, &["push", "-q", &name]).gives_up(&["push "]);
}

#[test]
fn a_helper_gives_keeps_and_forgets() {
    let kitchen = Kitchen::new();
    let helper = r#"#!/bin/sh
        read -r line; echo "$1 $line" >>"$HOME/log"
        case $1 in
            get) if [ -e "$HOME/kept" ]; then echo '{"Username":"ana","Secret":"secret"}'
                 else echo "credentials not found in native keychain"; exit 1; fi ;;
            store) touch "$HOME/kept" ;;
            erase) rm "$HOME/kept" ;;
        esac
    "#;
    fs::create_dir_all(kitchen.path("home/.docker")).unwrap();
    fs::create_dir(kitchen.path("bin")).unwrap();
    let program = kitchen.path("bin/docker-credential-mine");
    fs::write(&program, helper.trim_start()).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let basic = format!("Basic {}", base64(b"ana:secret", false));
    let server = Content::simple(&[("file", b"x")]).serve(move |request| {
        let known = request.header("authorization") == Some(basic.as_str());
        (!known).then(|| Answer::new(401).header("WWW-Authenticate", "Basic realm=\"x\""))
    });
    let config = json!({"credHelpers": {server.host(): "mine"}, "HttpHeaders": {"kept": "yes"}});
    fs::write(kitchen.path("home/.docker/config.json"), config.to_string()).unwrap();
    let path = format!("{}:{}", kitchen.path("bin").display(), std::env::var("PATH").unwrap());
    let call = |args: &[&str]| Output::of(forno(&kitchen).env("PATH", &path).args(args), None);
    let name = format!("{}/a/b:1", server.host());
    call(&["pull", "-q", &name]).gives_up(&["forno login"]);
    call(&["login", "-u", "ana", "-p", "secret", &server.host()]).ok();
    call(&["pull", &name]).ok();
    let kept: Value = serde_json::from_slice(&fs::read(kitchen.path("home/.docker/config.json")).unwrap()).unwrap();
    assert_eq!(kept, config, "the secret is with the helper alone");
    call(&["logout", &server.host()]).ok().stdout_has("Removing");
    let log = fs::read_to_string(kitchen.path("home/log")).unwrap();
    assert!(
        log.contains(&format!("get {}\n", server.host())) && log.contains("store {") && log.contains("erase "),
        "{log}"
    );
}

#[test]
fn tokens_are_kept_while_they_last_and_fetched_again_when_they_do_not() {
    let kitchen = Kitchen::new();
    let (given, valid) = (std::sync::Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&given);
    let tokens = Server::start(move |_| {
        let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
        Answer::new(200).bytes(format!(r#"{{"access_token":"t{number}","expires_in":3600}}"#))
    });
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"x\",scope=\"repository:a/b:pull\"", tokens.host());
    let content = Content::simple(&[("file", b"x")]);
    let server = content.serve(move |request| {
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer t")?.parse().ok());
        // The first token stops being good after two requests.
        let good = match token {
            Some(1) => valid.fetch_add(1, Ordering::SeqCst) < 2,
            Some(2) => true,
            _ => false,
        };
        (!good).then(|| Answer::new(401).header("WWW-Authenticate", realm.clone()))
    });
    call(&kitchen, &["pull", "--parallel", "1", &format!("{}/a/b:1", server.host())]).ok();
    assert_eq!(given.load(Ordering::SeqCst), 2);
    assert!(tokens.requests().iter().all(|request| request.target.contains("scope=repository%3Aa%2Fb%3Apull")));
}

#[test]
fn an_identity_token_is_exchanged() {
    let kitchen = Kitchen::new();
    let tokens = Server::start(|request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let right = request.method == "POST"
            && body.contains("grant_type=refresh_token")
            && body.contains("refresh_token=long-lived");
        if right { Answer::new(200).bytes(r#"{"access_token":"short"}"#) } else { Answer::new(400) }
    });
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"x\"", tokens.host());
    let server = Content::simple(&[("file", b"x")]).serve(move |request| {
        let good = request.header("authorization") == Some("Bearer short");
        (!good).then(|| Answer::new(401).header("WWW-Authenticate", realm.clone()))
    });
    fs::create_dir_all(kitchen.path("home/.docker")).unwrap();
    let config = json!({"auths": {server.host(): {"identitytoken": "long-lived"}}});
    fs::write(kitchen.path("home/.docker/config.json"), config.to_string()).unwrap();
    call(&kitchen, &["pull", &format!("{}/a/b:1", server.host())]).ok();
}
