//! The supervisor: one small process per running container, the parent of its first process. It holds the ends of the
//! container's standard streams, writes the log, serves who attaches, takes part in the network, keeps the exit code,
//! and starts the container again where that is wanted.

mod clients;
mod health;
mod restart;
mod run;
mod streams;

use super::channel::{Event, Request};
use super::config::Config;
use super::log::{Stream, Writer};
use super::runtime::Runtime;
use super::state::{State, Status, now};
use super::{ATTACH, Container, remove, signals};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::events;
use crate::image::rootless::{self, Member};
use crate::image::store::Store;
use crate::sys::event::{self, Ready, Wanted};
use crate::sys::process::{self, Exit, Signals};
use crate::sys::{fd, session, socket};
use clients::Clients;
use restart::Backoff;
use run::Run;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// Supervises the container from now on; returns when it has ended for good. `channel` is the connection to the process
/// that asked for the start.
pub fn main(store: &Store, id: &str, program: &Path, channel: RawFd) -> Result<u8> {
    let inherited = fd::borrow(channel).context("supervise: channel")?;
    // Nothing that we start has any business with it.
    fd::set_cloexec(inherited, true).context("supervise: channel")?;
    let channel = inherited.try_clone_to_owned().context("supervise: channel")?;
    session::detach().context("detach")?;
    let mut clients = Clients::default();
    clients.add(channel);
    let container = Container::by_id(store, id);
    match Supervisor::begin(store, container, program, clients) {
        Ok(supervisor) => supervisor.run(),
        Err((error, mut clients)) => {
            fail(&mut clients, &error);
            Ok(error.exit_code())
        }
    }
}

fn fail(clients: &mut Clients, error: &Error) {
    clients.tell(&Event::Failed { code: error.exit_code(), why: error.to_string() });
    clients.flush_all();
}

struct Supervisor<'a> {
    store: &'a Store,
    container: Container,
    runtime: Runtime,
    config: Config,
    state: State,
    log: Writer,
    clients: Clients,
    listener: OwnedFd,
    signals: OwnedFd,
    /// The size that a terminal is to have.
    size: Option<(u16, u16)>,
    /// The machine goes down: the container is not started again, though its policy says so at the next boot.
    leaving: bool,
    /// Whether the container is there in a first run, or again.
    started: bool,
    _alive: File,
    /// Through us a user's namespaces are found again.
    _member: Option<Member>,
}

impl<'a> Supervisor<'a> {
    fn begin(
        store: &'a Store,
        container: Container,
        program: &Path,
        clients: Clients,
    ) -> std::result::Result<Supervisor<'a>, (Error, Clients)> {
        match Self::prepare(store, &container, program) {
            Ok((alive, config, state, log, listener, signals)) => {
                let runtime = Runtime::new(program, &container);
                let (size, leaving, started) = (None, false, false);
                Ok(Supervisor {
                    store,
                    container,
                    runtime,
                    config,
                    state,
                    log,
                    clients,
                    listener,
                    signals,
                    size,
                    leaving,
                    started,
                    _alive: alive,
                    // Without, a holder that was killed is missed the more; the container is none the worse.
                    _member: rootless::register().unwrap_or_default(),
                })
            }
            Err(error) => Err((error.exit(125), clients)),
        }
    }

    #[allow(clippy::type_complexity, reason = "the parts of the supervisor, in the order that they are made")]
    fn prepare(
        store: &Store,
        container: &Container,
        program: &Path,
    ) -> Result<(File, Config, State, Writer, OwnedFd, OwnedFd)> {
        let Some(alive) = container.supervise()? else {
            bail!("container {} is being started already", container.short_id());
        };
        let (config, state) = (container.config()?, container.state_left()?);
        if state.is_alive() {
            bail!("container {} runs without its supervisor; stop or remove it first", container.short_id());
        }
        // What a supervisor that was killed has left.
        remove::clean(store, container, &config, program)?;
        process::set_child_subreaper().context("become subreaper")?;
        process::set_signal_mask(&Signals::all()).context("block signals")?;
        let signals = process::signalfd(&Signals::all()).context("make a signalfd")?;
        let log = Writer::open(container.directory(), &config.log)?;
        let _ = std::fs::remove_file(container.directory().join(ATTACH));
        let directory = File::open(container.directory()).context("open the container's directory")?;
        let listener = socket::listen_at(directory.as_fd(), ATTACH).context("listen")?;
        fd::set_nonblocking(&listener).context("listen")?;
        Ok((alive, config, state, log, listener, signals))
    }

    fn run(mut self) -> Result<u8> {
        let mut backoff = Backoff::new();
        loop {
            let began = Instant::now();
            let code = match self.life() {
                Ok(code) => code,
                Err(error) => return self.not_started(error),
            };
            if !self.goes_on(code) {
                self.state.status = Status::Exited;
                return self.finish(code);
            }
            self.clients.tell(&Event::Ended { code: shell(code), last: false });
            if !self.rest(backoff.after(began.elapsed())) {
                self.state.status = Status::Exited;
                return self.finish(code);
            }
            self.state.restart_count += 1;
            self.happened("restart", &[]);
        }
    }

    /// Whether another life follows one that ended with `code`.
    fn goes_on(&self, code: i32) -> bool {
        !self.leaving
            && restart::wanted(self.config.restart, code, self.state.restart_count, self.state.stopped_by_user)
    }

    /// One life of the container, from its start to its end; its exit code.
    fn life(&mut self) -> Result<i32> {
        // What the process that started us has sent before: the terminal's size.
        self.turn(None, Some(Duration::ZERO))?;
        let mut run = Run::start(self)?;
        self.state = State {
            status: Status::Running,
            pid: run.pid,
            start_time: super::state::start_time(run.pid).unwrap_or(0),
            boot: super::state::boot_id()?,
            started_at: now(),
            restart_count: self.state.restart_count,
            health: run.health(),
            endpoint: run.endpoint(),
            finished_at: std::mem::take(&mut self.state.finished_at),
            ..State::default()
        };
        self.save();
        self.started = true;
        self.happened("start", &[]);
        self.clients.tell(&Event::Started);
        let exit = loop {
            if let Some(exit) = self.turn(Some(&mut run), None)? {
                break exit;
            }
        };
        self.drain(&mut run);
        let code = i32::from(exit.shell_code());
        self.state.oom_killed = run.was_out_of_memory();
        self.state.exit_code = code;
        self.state.finished_at = now();
        self.state.pid = 0;
        // `forno update` and `forno rename` may have changed it.
        self.config = self.container.config().unwrap_or_else(|_| self.config.clone());
        // Nobody is to see the end between two lives and take it for the last.
        self.state.status = if self.goes_on(code) { Status::Restarting } else { Status::Exited };
        self.state.endpoint = None;
        run.end(self);
        self.save();
        if self.state.oom_killed {
            self.happened("oom", &[]);
        }
        self.happened("die", &[("exitCode", code.to_string())]);
        Ok(code)
    }

    /// Waits before the next start; `false`: the user does not want it any more.
    fn rest(&mut self, delay: Duration) -> bool {
        let until = Instant::now() + delay;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.state.stopped_by_user || self.leaving {
                return false;
            }
            if left.is_zero() {
                return true;
            }
            if self.turn(None, Some(left)).is_err() {
                return false;
            }
        }
    }

    /// Waits for something to happen, and deals with it; how the container's first process ended, when it did.
    fn turn(&mut self, mut run: Option<&mut Run>, timeout: Option<Duration>) -> Result<Option<Exit>> {
        let behind = self.clients.are_behind();
        let count = self.clients.len();
        let mut wanted = vec![
            Wanted { fd: self.signals.as_fd(), read: true, write: false },
            Wanted { fd: self.listener.as_fd(), read: true, write: false },
        ];
        wanted.extend(self.clients.wanted(run.as_ref().is_none_or(|run| run.streams.takes_input())));
        let mut streams = [None; 3];
        if let Some(run) = &run {
            for (place, wish) in streams.iter_mut().zip(run.streams.wanted(!behind)) {
                if let Some(wish) = wish {
                    *place = Some(wanted.len());
                    wanted.push(wish);
                }
            }
        }
        let network = wanted.len();
        let timeout = match &run {
            Some(run) => {
                run.extend_wanted(&mut wanted);
                [timeout, run.next_deadline()].into_iter().flatten().min()
            }
            None => timeout,
        };
        let ready = event::poll(&wanted, timeout).context("wait for events")?;
        drop(wanted);
        let is_ready = |at: usize| ready.get(at).copied().unwrap_or_default();

        for at in 0..count {
            for request in self.clients.serve(at, is_ready(at + 2)) {
                self.grant(at, request, run.as_deref_mut());
            }
        }
        if is_ready(1).read {
            while let Ok(client) = socket::accept(self.listener.as_fd()) {
                self.clients.add(client);
            }
        }
        if let Some(run) = run.as_deref_mut() {
            self.pump(run, streams.map(|at| at.map(is_ready).unwrap_or_default()));
            run.serve(ready.get(network..).unwrap_or_default());
            run.tend(self);
        }
        self.clients.forget_gone();
        if is_ready(0).read { Ok(self.take_signals(run)) } else { Ok(None) }
    }

    fn pump(&mut self, run: &mut Run, ready: [Ready; 3]) {
        if ready[0].write {
            run.streams.write_input();
        }
        for (stream, ready) in [(Stream::Stdout, ready[1]), (Stream::Stderr, ready[2])] {
            if ready.read {
                let data = run.streams.read(stream);
                self.said(stream, data);
            }
        }
    }

    fn said(&mut self, stream: Stream, data: Vec<u8>) -> bool {
        if data.is_empty() {
            return false;
        }
        if let Err(error) = self.log.write(stream, &data) {
            // A full disk must not stop the container; that its log has a hole is told by the state.
            self.state.error = error.to_string();
        }
        self.clients.show(&match stream {
            Stream::Stdout => Event::Output(data),
            Stream::Stderr => Event::ErrorOutput(data),
        });
        true
    }

    /// What the container said last.
    fn drain(&mut self, run: &mut Run) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            loop {
                let data = run.streams.read(stream);
                if !self.said(stream, data) {
                    break;
                }
            }
        }
        // A full disk again.
        let _ = self.log.finish();
    }

    fn grant(&mut self, client: usize, request: Request, run: Option<&mut Run>) {
        match (request, run) {
            (Request::Resize { rows, columns }, run) => {
                self.size = Some((rows, columns));
                if let Some(run) = run {
                    run.streams.resize(rows, columns);
                }
            }
            (Request::Input(data), Some(run)) => run.streams.push_input(&data),
            (Request::InputEnd, Some(run)) => run.streams.end_input(),
            (Request::Signal { signal, stop }, run) => {
                self.state.stopped_by_user |= stop;
                let done = run.map_or(Ok(()), |run| self.signal(run, signal));
                self.happened("kill", &[("signal", signal.to_string())]);
                self.clients.answer(client, &Event::Done(done.err().map(|error| error.to_string())));
            }
            (Request::Pause, Some(_)) => self.freeze(client, true),
            (Request::Resume, Some(_)) => self.freeze(client, false),
            (Request::Pause | Request::Resume, None) => {
                self.clients.answer(client, &Event::Done(Some("the container is not running".to_owned())));
            }
            (Request::Input(_) | Request::InputEnd | Request::Hello { .. }, _) => {}
        }
    }

    fn signal(&mut self, run: &Run, signal: i32) -> Result<()> {
        if self.state.status == Status::Paused && signal == signals::KILL {
            // A frozen process of cgroup version 1 would not notice.
            self.runtime.resume()?;
            self.state.status = Status::Running;
            self.save();
        }
        process::pidfd_send_signal(&run.pidfd, signal).with(|| format!("send {}", signals::name(signal)))
    }

    fn freeze(&mut self, client: usize, pause: bool) {
        let (from, to) = match pause {
            true => (Status::Running, Status::Paused),
            false => (Status::Paused, Status::Running),
        };
        let done = match self.state.status == from {
            true => if pause { self.runtime.pause() } else { self.runtime.resume() }.map_err(|error| error.to_string()),
            false => Err(format!("the container is {}", self.state.status.as_str())),
        };
        if done.is_ok() {
            self.state.status = to;
            self.save();
            self.happened(if pause { "pause" } else { "unpause" }, &[]);
        }
        self.clients.answer(client, &Event::Done(done.err()));
    }

    fn take_signals(&mut self, mut run: Option<&mut Run>) -> Option<Exit> {
        let mut exit = None;
        while let Some(signal) = process::read_signal(&self.signals) {
            if matches!(signal, signals::TERM | signals::INT | signals::HUP) {
                self.leaving = true;
                if let Some(run) = &run {
                    // One that has ended needs none.
                    let _ = self.signal(run, self.config.stop_signal);
                }
            }
        }
        while let Some((pid, ended)) = session::reap_any() {
            match &mut run {
                Some(run) if run.pid == pid => exit = Some(ended),
                Some(run) => run.reaped(self, pid, ended),
                None => {}
            }
        }
        exit
    }

    fn happened(&self, action: &str, more: &[(&str, String)]) {
        events::of_container(self.store, &self.config, action, more);
    }

    /// Nobody can be told that nobody can be told: a state that could not be written is one of a dead supervisor.
    fn save(&self) {
        let _ = self.container.set_state(&self.state);
    }

    fn not_started(mut self, error: Error) -> Result<u8> {
        self.state.status =
            if self.started || !self.state.started_at.is_empty() { Status::Exited } else { Status::Created };
        self.state.exit_code = error.exit_code().into();
        self.state.error = error.to_string();
        self.state.pid = 0;
        self.state.endpoint = None;
        self.save();
        let error = error.context(format!("container {}", self.config.name));
        self.leave();
        if self.started {
            self.clients.tell(&Event::Ended { code: error.exit_code(), last: true });
            self.clients.flush_all();
        } else {
            fail(&mut self.clients, &error);
        }
        Ok(0)
    }

    fn finish(mut self, code: i32) -> Result<u8> {
        self.save();
        if self.state.stopped_by_user {
            self.happened("stop", &[]);
        }
        self.leave();
        // Only now: whoever waits for the end may count on what belonged to the container being free.
        self.clients.tell(&Event::Ended { code: shell(code), last: true });
        self.clients.flush_all();
        Ok(0)
    }

    /// Gives back what belongs to a running container; one that was to be removed goes altogether.
    fn leave(&mut self) {
        let _ = std::fs::remove_file(self.container.directory().join(ATTACH));
        let left = remove::clean(self.store, &self.container, &self.config, self.runtime.program());
        let gone = match (left, self.config.auto_remove) {
            (Ok(()), true) => remove::remove(self.store, &self.container, &self.config, true),
            (left, _) => left,
        };
        if let Err(error) = gone {
            self.state.error = error.to_string();
            self.save();
        }
    }
}

fn shell(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}
