use crate::image::kit::*;
use std::process::{Command, Stdio};

#[test]
fn help_and_version_go_to_standard_output() {
    let kitchen = Kitchen::new();
    kitchen.forno(["--version"]).ok().stdout_is(&format!("forno {}\n", env!("CARGO_PKG_VERSION")));
    let help = kitchen.forno(["--help"]).ok().stdout;
    for verb in ["bundle", "history", "images", "import", "inspect", "rmi", "tag", "unbundle"] {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb}: {help}");
        kitchen.forno([verb, "--help"]).ok().stdout_has(&format!("Usage:  forno {verb}"));
    }
    // As docker does, where nothing is asked for.
    Output::of(&mut Command::new(program()), None).ok().stdout_is(&help);
    kitchen.forno(["help", "rmi"]).ok().stdout_has("Usage:  forno rmi");
}

#[test]
fn a_wrong_command_line_is_125() {
    let kitchen = Kitchen::new();
    for (args, word) in [
        (vec!["bake"], "unrecognized subcommand 'bake'"),
        (vec!["images", "--colour"], "unexpected argument '--colour'"),
        (vec!["tag", "a"], "required arguments"),
        (vec!["tag", "a", "A"], "must be lower case"),
        (vec![], "no verb"),
    ] {
        let output = kitchen.forno(&args).code_is(125);
        assert_eq!(output.stderr.lines().count(), 1, "{output:#?}");
        assert!(output.stderr.starts_with("forno: ") && output.stderr.contains(word), "{output:#?}");
    }
    assert!(!kitchen.store().exists(), "a wrong command line made a store");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let kitchen = Kitchen::new();
    kitchen.forno(["images"]).ok();
    let (read, write) = std::io::pipe().unwrap();
    drop(read);
    let child = kitchen.command().arg("images").stdout(write).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn the_store_is_where_the_environment_says() {
    let kitchen = Kitchen::new();
    if !is_root() {
        return;
    }
    // Nobody is an ordinary user with a home of their own.
    let home = kitchen.path("home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(65534), Some(65534)).unwrap();
    let forno = kitchen.path("forno");
    std::fs::copy(program(), &forno).unwrap();
    for (variable, value, place) in
        [("HOME", "home", "home/.local/share/forno"), ("XDG_DATA_HOME", "home/data", "home/data/forno")]
    {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&forno).arg("images");
        command.env_remove("XDG_DATA_HOME").env("HOME", "/nonexistent").env(variable, kitchen.path(value));
        Output::of(&mut command, None).ok();
        assert!(kitchen.path(place).join("oci-layout").is_file(), "{variable}");
    }
}
