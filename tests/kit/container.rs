//! A container that was created and that goes on between calls of the runtime.

use super::{Bundle, Call, Output, Value, host, wait};
use std::ops::Deref;

pub struct Container {
    bundle: Bundle,
    created: Output,
}

impl Deref for Container {
    type Target = Bundle;
    fn deref(&self) -> &Bundle {
        &self.bundle
    }
}

impl Container {
    pub fn new(bundle: Bundle, created: Output) -> Container {
        Container { bundle, created }
    }

    #[track_caller]
    pub fn start(&self) -> Output {
        self.verb("start")
    }

    #[track_caller]
    pub fn state(&self) -> Value {
        self.verb("state").json()
    }

    #[track_caller]
    pub fn status(&self) -> String {
        self.state()["status"].as_str().expect("a status").to_owned()
    }

    #[track_caller]
    pub fn pid(&self) -> i32 {
        self.state()["pid"].as_i64().expect("a pid") as i32
    }

    #[track_caller]
    pub fn kill(&self, signal: &str) -> Output {
        self.call(["kill", self.id(), signal]).run()
    }

    #[track_caller]
    pub fn delete(&self) -> Output {
        self.verb("delete")
    }

    /// `exec` of a shell script, in the foreground.
    #[track_caller]
    pub fn exec(&self, script: &str) -> Output {
        self.call_exec(&[], &["/bin/sh", "-c", script]).run()
    }

    /// `exec FLAGS ID ARGS`
    pub fn call_exec(&self, flags: &[&str], args: &[&str]) -> Call {
        let words = [&["exec"], flags, &[self.id()], args].concat();
        self.call(words)
    }

    /// What the container's process has written so far.
    pub fn stdout(&self) -> String {
        std::fs::read_to_string(&self.created.files[0]).unwrap_or_default()
    }

    pub fn stderr(&self) -> String {
        std::fs::read_to_string(&self.created.files[1]).unwrap_or_default()
    }

    #[track_caller]
    pub fn wait_stdout(&self, text: &str) -> &Self {
        let what = format!("{text:?} from container {}", self.id());
        wait(&what, || self.stdout().contains(text));
        self
    }

    #[track_caller]
    pub fn wait_stopped(&self) -> &Self {
        wait("the container stops", || self.status() == "stopped");
        self
    }

    /// Whether the process with this pid of the host runs.
    pub fn alive(pid: i32) -> bool {
        host::alive(pid)
    }
}
