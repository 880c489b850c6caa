//! Writes the manual pages and the shells' completions of both programs into a directory, from the definitions that the
//! programs themselves parse their command lines with: `cargo run --example pages -- DIR`; scripts/install does.

use clap_complete::Shell;
use std::io::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Error> {
    let Some(to) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(Error::other("usage: pages DIR"));
    };
    for command in [bolo::runtime::cli::command(), bolo::image::verbs::command()] {
        pages(command, &to)?;
    }
    Ok(())
}

fn pages(command: clap::Command, to: &Path) -> Result<(), Error> {
    let name = command.get_name().to_owned();
    let man = directory(to, "share/man/man1")?;
    clap_mangen::generate_to(command.clone(), man)?;
    for (shell, place) in [
        (Shell::Bash, "share/bash-completion/completions"),
        (Shell::Fish, "share/fish/vendor_completions.d"),
        (Shell::Zsh, "share/zsh/vendor-completions"),
    ] {
        let file = clap_complete::generate_to(shell, &mut command.clone(), &name, directory(to, place)?)?;
        if shell == Shell::Bash {
            std::fs::rename(&file, file.with_file_name(&name))?; // bash looks for the program's name
        }
    }
    Ok(())
}

fn directory(to: &Path, place: &str) -> Result<PathBuf, Error> {
    let path = to.join(place);
    std::fs::create_dir_all(&path)?;
    Ok(path)
}
