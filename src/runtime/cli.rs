//! Arguments to a verb, a verb to an exit code.

use super::log::{Format, Log};
use super::store::Store;
use crate::error::{Error, Result};
use crate::sys::process::{SIGCHLD, default_signal};
use crate::{reaper, usage};
use clap::{Args, Command, FromArgMatches};
use std::ffi::OsString;
use std::process::ExitCode;

/// What runc exits with when it does not know the verb.
const UNKNOWN_VERB: u8 = 3;

/// The flags before the verb.
#[derive(Debug, clap::Args)]
struct Flags {
    /// Directory where containers are kept (default: /run/bolo, or $XDG_RUNTIME_DIR/bolo for users)
    #[arg(long, value_name = "DIR")]
    root: Option<String>,
    /// File that gets the log, standard error where there is none
    #[arg(long, value_name = "FILE")]
    log: Option<String>,
    /// Form of the log's lines
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    log_format: Format,
    /// Log what is done, too
    #[arg(long)]
    debug: bool,
    /// Have systemd make the cgroups; cgroupsPath is then slice:prefix:name
    #[arg(long)]
    systemd_cgroup: bool,
    /// Pass over cgroups that we may not change: true, false or auto
    #[arg(long, value_name = "WHEN", default_value = "auto", value_parser = ["true", "false", "auto", ""])]
    rootless: String,
}

/// What every verb gets.
#[derive(Debug)]
pub struct Global {
    pub store: Store,
    pub log: Log,
    pub systemd_cgroup: bool,
    pub rootless: bool,
}

type Run = fn(&Global, &clap::ArgMatches) -> Result<u8>;

struct Verb {
    name: &'static str,
    about: &'static str,
    augment: fn(Command) -> Command,
    run: Run,
}

macro_rules! verbs {
    ($($name:literal $module:ident $about:literal;)*) => {
        const VERBS: &[Verb] = &[$(Verb {
            name: $name,
            about: $about,
            // The description of the type would take the place of the verb's.
            augment: |command| super::$module::Args::augment_args(command).about($about).long_about(None),
            run: |global, matches| {
                let args = super::$module::Args::from_arg_matches(matches).map_err(|e| Error::new(e.to_string()))?;
                super::$module::run(global, args)
            },
        },)*];
    };
}

verbs! {
    "checkpoint" checkpoint "Save the processes of a container";
    "create" create "Make a container that waits for start";
    "delete" delete "Remove what is left of a container";
    "events" events "Print what a container uses, and when it runs out of memory";
    "exec" exec "Run another process in a container";
    "features" features "Print what this runtime can do";
    "kill" kill "Send a signal to a container's first process";
    "list" list "List containers";
    "pause" pause "Stop every process of a container until resume";
    "plan" plan_verb "Print what create would do, step by step";
    "ps" ps "List the processes of a container";
    "restore" restore "Make a container of the processes that checkpoint saved";
    "resume" resume "Let a paused container go on";
    "run" run "Make a container and start it";
    "spec" spec_verb "Write a config.json to begin with";
    "start" start "Run the program of a container that was created";
    "state" state "Print the state of a container";
    "update" update "Change the limits of a container";
}

/// The whole command line. Only the verb that is called gets its flags made.
pub fn command() -> Command {
    let flags = Flags::augment_args(Command::new("bolo"));
    flags
        .about("An OCI runtime: makes containers from bundles, wherever runc is called for that")
        .version(VERSION)
        .disable_version_flag(true)
        .arg(
            clap::Arg::new("version")
                .short('v')
                .long("version")
                .action(clap::ArgAction::Version)
                .help("Print the version"),
        )
        .subcommands(VERBS.iter().map(|verb| Command::new(verb.name).about(verb.about).defer(verb.augment)))
}

/// The verbs that put this program's file within a container's reach.
const ENTERING: [&str; 3] = ["create", "exec", "run"];

const VERSION: &str = concat!("version ", env!("CARGO_PKG_VERSION"), "\nspec: 1.3.0");

pub fn main() -> ExitCode {
    // A caller who ignores SIGCHLD would have the kernel reap our children before we ask for their exit codes.
    default_signal(SIGCHLD);
    let args: Vec<_> = std::env::args_os().collect();
    if args.len() < 2 {
        let _ = command().print_help();
        return ExitCode::SUCCESS;
    }
    if let [_, verb, program @ ..] = args.as_slice()
        && verb == reaper::VERB
    {
        return be_first_process(program);
    }
    if args.iter().any(|arg| ENTERING.iter().any(|verb| arg == verb)) {
        // Early, or the arguments are taken apart twice. The verb asks again, and then hears of an error.
        let _ = super::seal::protect();
    }
    let matches = match parse(args) {
        Ok(matches) => matches,
        Err(error) => return refuse(&error),
    };
    let flags = match Flags::from_arg_matches(&matches) {
        Ok(flags) => flags,
        Err(error) => return refuse(&error),
    };
    let log = match Log::open(flags.log.as_deref(), flags.log_format, flags.debug) {
        Ok(log) => log,
        Err(error) => {
            Log::default().error(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let store = match Store::locate(flags.root.as_deref()) {
        Ok(store) => store,
        Err(error) => {
            log.error(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let global = Global { store, log, systemd_cgroup: flags.systemd_cgroup, rootless: flags.rootless == "true" };
    let Some((name, matches)) = matches.subcommand() else {
        let _ = command().print_help();
        return ExitCode::SUCCESS;
    };
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else { return ExitCode::from(UNKNOWN_VERB) };
    match (verb.run)(&global, matches) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            global.log.error(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

/// Nobody types this: `forno run --init` puts us into the container. There is neither a state directory nor a log.
fn be_first_process(program: &[OsString]) -> ExitCode {
    match reaper::main(program) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            Log::default().error(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

/// bolo, or the name of the link by which an engine takes us for another runtime.
fn called_as() -> &'static str {
    let called = std::env::args_os().next().unwrap_or_default();
    // Tools read the first line of --version, and know runc's.
    if std::path::Path::new(&called).ends_with("runc") { "runc" } else { "bolo" }
}

/// As often as Go's way to write a flag stands in the way.
fn parse(args: Vec<OsString>) -> std::result::Result<clap::ArgMatches, clap::Error> {
    command().name(called_as()).try_get_matches_from(&args).or_else(|error| {
        let args = usage::without_go_boolean(args, &error).ok_or(error)?;
        parse(args)
    })
}

fn refuse(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    if let ErrorKind::DisplayHelp | ErrorKind::DisplayVersion = error.kind() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    Log::default().error(&usage::line(error));
    match error.kind() {
        ErrorKind::InvalidSubcommand => ExitCode::from(UNKNOWN_VERB),
        _ => ExitCode::FAILURE,
    }
}
