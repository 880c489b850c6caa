//! The command line. A verb is one file below and one line in [`VERBS`]; only the one that is called is built.

mod attach;
mod build;
mod bundle;
mod commit;
mod cp;
mod create;
mod df;
mod diff;
mod each;
mod events;
mod exec;
mod generate;
mod guard;
mod help;
mod history;
mod hold;
mod image;
mod images;
mod import;
mod info;
mod init;
mod inspect;
mod kill;
mod limits;
mod login;
mod logs;
mod network;
mod options;
mod pause;
mod port;
mod prune;
mod ps;
mod push;
mod remote;
mod rename;
mod restart;
mod rm;
mod rmi;
mod run;
mod save;
mod start;
mod stats;
mod stop;
mod supervise;
mod system;
mod tag;
mod top;
mod unbundle;
mod unshare;
mod update;
mod volume;
mod wait;

use super::rootless;
use super::store::Store;
use crate::error::{Context, Error, Result};
use crate::usage;
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// docker's exit code for a command line that it does not understand; a container's own is never this one.
const USAGE: u8 = 125;

const VERBS: &[Entry] = &[
    entry::<attach::Attach>(),
    entry::<build::Build>(),
    entry::<bundle::Bundle>(),
    entry::<commit::Commit>(),
    entry::<cp::Cp>(),
    entry::<create::Create>(),
    entry::<df::Df>(),
    entry::<diff::Diff>(),
    entry::<events::Events>(),
    entry::<exec::Exec>(),
    entry::<save::Export>(),
    entry::<generate::Generate>(),
    entry::<guard::Guard>(),
    entry::<history::History>(),
    entry::<hold::Hold>(),
    entry::<image::Image>(),
    entry::<images::Images>(),
    entry::<import::Import>(),
    entry::<info::Info>(),
    entry::<init::Init>(),
    entry::<inspect::Inspect>(),
    entry::<kill::Kill>(),
    entry::<save::Load>(),
    entry::<login::Login>(),
    entry::<login::Logout>(),
    entry::<logs::Logs>(),
    entry::<network::Network>(),
    entry::<pause::Pause>(),
    entry::<port::Port>(),
    entry::<prune::Prune>(),
    entry::<ps::Ps>(),
    entry::<remote::Pull>(),
    entry::<push::Push>(),
    entry::<rename::Rename>(),
    entry::<restart::Restart>(),
    entry::<rm::Rm>(),
    entry::<rmi::Rmi>(),
    entry::<run::Run>(),
    entry::<save::Save>(),
    entry::<start::Start>(),
    entry::<stats::Stats>(),
    entry::<stop::Stop>(),
    entry::<supervise::Supervise>(),
    entry::<system::System>(),
    entry::<tag::Tag>(),
    entry::<top::Top>(),
    entry::<unbundle::Unbundle>(),
    entry::<pause::Unpause>(),
    entry::<unshare::Unshare>(),
    entry::<update::Update>(),
    entry::<info::Version>(),
    entry::<volume::Volume>(),
    entry::<wait::Wait>(),
];

/// `forno NAME ...`, with its arguments as the fields of the type.
pub trait Verb: Args {
    const NAME: &'static str;
    /// Its line in `forno --help`.
    const ABOUT: &'static str;
    /// What the user may write before they say NAME: the words that other programs use for it.
    const ALIASES: &'static [&'static str] = &[];
    /// Without root, it works in the user's namespaces.
    const TOUCHES_STORE: bool = true;

    /// The program's exit code, where nothing failed.
    fn run(self, forno: &Forno) -> Result<u8>;
}

struct Entry {
    name: &'static str,
    about: &'static str,
    aliases: &'static [&'static str],
    touches_store: bool,
    arguments: fn(Command) -> Command,
    run: fn(&ArgMatches, &Forno) -> Result<u8>,
}

const fn entry<V: Verb>() -> Entry {
    Entry {
        name: V::NAME,
        about: V::ABOUT,
        aliases: V::ALIASES,
        touches_store: V::TOUCHES_STORE,
        arguments: arguments::<V>,
        run: run::<V>,
    }
}

fn arguments<V: Verb>(command: Command) -> Command {
    help::of_verb(V::augment_args(command))
}

fn run<V: Verb>(matches: &ArgMatches, forno: &Forno) -> Result<u8> {
    V::from_arg_matches(matches).map_err(|error| Error::new(error.to_string()).exit(USAGE))?.run(forno)
}

/// What stands before the verb, and what verbs share.
#[derive(Debug, Args)]
pub struct Forno {
    /// Where images and containers are kept [default: /var/lib/forno for root, else $XDG_DATA_HOME/forno]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The OCI runtime: a path, or a name to be found in PATH [default: $FORNO_RUNTIME, the bolo beside forno, or that in
    /// PATH]
    #[arg(long, value_name = "PROGRAM")]
    runtime: Option<PathBuf>,
}

impl Forno {
    pub fn store(&self) -> Result<Store> {
        match &self.root {
            Some(root) => Store::open(root),
            None => Store::open(&Store::default_path()?),
        }
    }

    /// The OCI runtime, as `Command::new` wants it.
    pub fn runtime(&self) -> PathBuf {
        let beside = || Some(std::env::current_exe().ok()?.with_file_name("bolo")).filter(|path| path.is_file());
        let named = || std::env::var_os("FORNO_RUNTIME").filter(|name| !name.is_empty()).map(PathBuf::from);
        self.runtime.clone().or_else(named).or_else(beside).unwrap_or_else(|| PathBuf::from("bolo"))
    }

    /// Writes to standard output. A reader that has seen enough is no error.
    pub fn print(&self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.context("write to standard output"),
        }
    }

    /// Says what failed, where the verb goes on with the next.
    pub fn complain(&self, error: &Error) {
        // Nobody is told that they cannot be told.
        let _ = writeln!(io::stderr(), "forno: {error}");
    }

    /// Says what the user should know though nothing failed.
    pub fn warn(&self, text: &str) {
        // Nobody is told that they cannot be told.
        let _ = writeln!(io::stderr(), "forno: warning: {text}");
    }
}

/// Whether the user says yes.
fn confirm(question: &str) -> Result<bool> {
    let ask = || -> io::Result<String> {
        write!(io::stderr(), "{question} Go on? [y/N] ")?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(answer)
    };
    Ok(matches!(ask().context("ask")?.trim(), "y" | "Y" | "yes"))
}

pub(super) fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return refuse(&error),
    };
    match dispatch(&matches) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(io::stderr(), "forno: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// The whole command line.
pub fn command() -> Command {
    let command = Forno::augment_args(Command::new("forno"))
        .about("Builds, keeps and runs OCI images")
        .version(env!("CARGO_PKG_VERSION"))
        .arg_required_else_help(true);
    let verb = |entry: &Entry| {
        let verb = Command::new(entry.name).about(entry.about).aliases(entry.aliases);
        verb.hide(help::is_hidden(entry.name)).defer(entry.arguments)
    };
    help::of_all(command.subcommands(VERBS.iter().map(verb)))
}

fn dispatch(matches: &ArgMatches) -> Result<u8> {
    let forno = Forno::from_arg_matches(matches).map_err(|error| Error::new(error.to_string()).exit(USAGE))?;
    let called = matches.subcommand().and_then(|(name, matches)| Some((find(name)?, matches)));
    match called {
        Some((entry, matches)) => {
            if entry.touches_store {
                rootless::enter(&|text| forno.warn(text)).map_err(|error| error.exit(USAGE))?;
            }
            (entry.run)(matches, &forno)
        }
        None => Err(Error::new("no verb; see forno --help").exit(USAGE)),
    }
}

fn find(name: &str) -> Option<&'static Entry> {
    VERBS.iter().find(|entry| entry.name == name)
}

/// Help and version go to standard output; a mistake becomes one of our errors.
fn refuse(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = write!(io::stdout(), "{}", error.render());
            ExitCode::SUCCESS
        }
        _ => {
            let _ = writeln!(io::stderr(), "forno: {}", usage::line(error));
            ExitCode::from(USAGE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_verb_is_sound() {
        assert!(VERBS.is_sorted_by(|a, b| a.name < b.name));
        for verb in VERBS {
            (verb.arguments)(Command::new(verb.name)).debug_assert();
        }
        command().debug_assert();
    }
}
