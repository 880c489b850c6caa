//! One call of the runtime.

use super::{HANG, Output, Scene, peer, scene, until, wait};
use std::cell::Cell;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

pub struct Call {
    scene: Scene,
    globals: Vec<String>,
    args: Vec<String>,
    prelude: String,
    before: Vec<String>,
    env: Vec<(String, Option<String>)>,
    env_clear: bool,
    cwd: Option<PathBuf>,
    stdin: Option<Stdio>,
    stdin_text: Option<String>,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
    use_root: bool,
}

impl Call {
    pub(super) fn new<S: AsRef<str>>(scene: &Scene, args: impl IntoIterator<Item = S>) -> Call {
        Call {
            scene: scene.clone(),
            globals: Vec::new(),
            args: args.into_iter().map(|arg| arg.as_ref().to_owned()).collect(),
            prelude: String::new(),
            before: Vec::new(),
            env: Vec::new(),
            env_clear: false,
            cwd: None,
            stdin: None,
            stdin_text: None,
            stdout: None,
            stderr: None,
            use_root: true,
        }
    }

    pub fn arg(mut self, arg: impl AsRef<Path>) -> Self {
        self.args.push(arg.as_ref().to_str().expect("UTF-8").to_owned());
        self
    }

    /// A flag that stands before the verb.
    pub fn global(mut self, flag: impl AsRef<str>) -> Self {
        self.globals.push(flag.as_ref().to_owned());
        self
    }

    pub fn without_root(mut self) -> Self {
        self.use_root = false;
        self
    }

    /// Shell words that run in the very process that becomes the runtime: `exec 3</etc/hosts`.
    pub fn prelude(mut self, words: &str) -> Self {
        self.prelude = words.to_owned();
        self
    }

    /// The runtime is a user's; the words of the prelude are still root's.
    pub fn by_user(mut self, uid: u32) -> Self {
        let user = format!("set -- setpriv --reuid {uid} --regid {uid} --clear-groups \"$@\"");
        self.prelude = if self.prelude.is_empty() { user } else { format!("{}; {user}", self.prelude) };
        self.env("XDG_RUNTIME_DIR", &format!("/run/user/{uid}"))
            .env("HOME", "/")
            .env("DBUS_SESSION_BUS_ADDRESS", "")
            .cwd("/")
    }

    /// A program that runs the runtime: `["setsid", "--ctty"]`.
    pub fn under<S: AsRef<str>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.before.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    pub fn env_clear(mut self) -> Self {
        self.env_clear = true;
        self
    }

    pub fn cwd(mut self, path: impl AsRef<Path>) -> Self {
        self.cwd = Some(path.as_ref().to_owned());
        self
    }

    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = Some(stdin.into());
        self
    }

    pub fn stdin_text(mut self, text: &str) -> Self {
        self.stdin_text = Some(text.to_owned());
        self
    }

    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = Some(stdout.into());
        self
    }

    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = Some(stderr.into());
        self
    }

    #[track_caller]
    pub fn run(self) -> Output {
        self.spawn().wait()
    }

    /// Starts the call and does not wait for its end.
    #[track_caller]
    pub fn spawn(self) -> Running {
        let words = self.words();
        // Files, not pipes: a container that goes on holds its stdout open, and nobody should wait for it.
        let number = scene::unique();
        let files = ["out", "err"].map(|name| self.scene.path(&format!("{number}.{name}")));
        let create = |path: &Path| Stdio::from(File::create(path).unwrap());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        let stdout = self.stdout.unwrap_or_else(|| create(&files[0]));
        let stderr = self.stderr.unwrap_or_else(|| create(&files[1]));
        let stdin = match (&self.stdin_text, self.stdin) {
            (Some(_), _) => Stdio::piped(),
            (None, stdin) => stdin.unwrap_or_else(Stdio::null),
        };
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        if self.env_clear {
            command.env_clear();
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        let mut child = command.spawn().unwrap_or_else(|e| panic!("run {}: {e}", words[0]));
        if let (Some(text), Some(mut pipe)) = (self.stdin_text, child.stdin.take()) {
            let _ = pipe.write_all(text.as_bytes());
        }
        Running { child, files, command: words.join(" "), done: None, _scene: self.scene }
    }

    fn words(&self) -> Vec<String> {
        let owned = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect::<Vec<String>>();
        let mut words = self.before.clone();
        words.extend(owned(peer::wrapper()));
        if !self.prelude.is_empty() {
            words.extend(owned(vec!["sh", "-c", &format!("{}; exec \"$@\"", self.prelude), "sh"]));
        }
        words.push(peer::RUNTIME.program.display().to_string());
        if self.use_root {
            words.extend(["--root".to_owned(), self.scene.root().display().to_string()]);
        }
        words.extend(self.globals.iter().cloned());
        words.extend(self.args.iter().cloned());
        words
    }
}

/// A call that goes on: a foreground `run` or `exec`, `events`.
pub struct Running {
    child: Child,
    files: [PathBuf; 2],
    command: String,
    done: Option<ExitStatus>,
    // Holds the scene's directory, which has our output.
    _scene: Scene,
}

impl Running {
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn stdout(&self) -> String {
        read(&self.files[0])
    }

    #[track_caller]
    pub fn wait_stdout(&self, text: &str) -> &Self {
        wait(
            &format!("{text:?} from {}; has {:?} and {:?}", self.command, self.stdout(), read(&self.files[1])),
            || self.stdout().contains(text),
        );
        self
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) -> &Self {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).unwrap();
        self
    }

    pub fn ended(&mut self) -> bool {
        self.done = self.done.or_else(|| self.child.try_wait().unwrap());
        self.done.is_some()
    }

    #[track_caller]
    pub fn wait(mut self) -> Output {
        let status = until(&format!("the end of {} ({HANG:?})", self.command), || {
            self.ended().then_some(())?;
            self.done
        });
        let code = status.code().unwrap_or_else(|| 1000 + status.signal().unwrap_or(0));
        let [stdout, stderr] = [read(&self.files[0]), read(&self.files[1])];
        let (command, files) = (self.command.clone(), self.files.clone());
        Output { command, code, stdout, stderr, files, code_expected: Cell::new(false) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
