//! The health check: a command run in the container now and then (HEALTHCHECK).

use crate::error::Result;
use crate::image::config::Healthcheck;
use crate::image::container::exec::{self, Exec, Prepared};
use crate::image::container::runtime::Runtime;
use crate::image::container::state::{Health, Probe, State, now};
use crate::image::container::{Container, signals};
use crate::sys::process::{self, Exit, pid_t};
use std::fs::File;
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

const OUTPUT: &str = "health";
const OUTPUT_MAX: u64 = 4096;
const PROBES_KEPT: usize = 5;

pub(super) struct Check {
    args: Vec<String>,
    interval: Duration,
    start_interval: Duration,
    timeout: Duration,
    retries: u32,
    /// Failures before this do not count.
    grace_until: Instant,
    healthy: bool,
    next: Instant,
    running: Option<Running>,
}

struct Running {
    pid: pid_t,
    since: Instant,
    started_at: String,
    timed_out: bool,
    /// Files that the runtime reads.
    _prepared: Prepared,
}

impl Check {
    pub(super) fn new(check: Option<&Healthcheck>) -> Option<Check> {
        let check = check?;
        let args = match check.test.split_first() {
            Some((word, args)) if word == "CMD" && !args.is_empty() => args.to_vec(),
            Some((word, [line])) if word == "CMD-SHELL" => ["/bin/sh", "-c", line.as_str()].map(str::to_owned).to_vec(),
            _ => return None,
        };
        let duration = |nanoseconds: i64, default: u64| match u64::try_from(nanoseconds) {
            Ok(nanoseconds) if nanoseconds > 0 => Duration::from_nanos(nanoseconds),
            _ => Duration::from_secs(default),
        };
        let interval = duration(check.interval, 30);
        let start_interval = duration(check.start_interval, 5);
        let grace = duration(check.start_period, 0);
        let now = Instant::now();
        let first = if grace.is_zero() { interval } else { start_interval.min(interval) };
        Some(Check {
            args,
            interval,
            start_interval,
            timeout: duration(check.timeout, 30),
            retries: u32::try_from(check.retries).ok().filter(|retries| *retries > 0).unwrap_or(3),
            grace_until: now + grace,
            healthy: false,
            next: now + first,
            running: None,
        })
    }

    pub(super) fn deadline(&self) -> Instant {
        match &self.running {
            Some(running) if running.timed_out => Instant::now() + self.interval,
            Some(running) => running.since + self.timeout,
            None => self.next,
        }
    }

    pub(super) fn tend(&mut self, runtime: &Runtime, container: &Container) {
        let now_is = Instant::now();
        if now_is < self.deadline() {
            return;
        }
        if let Some(running) = &mut self.running {
            running.timed_out = true;
            // It may have ended; then it is about to be reaped.
            let _ = process::kill(running.pid, signals::KILL);
            return;
        }
        self.next = now_is + self.pause(now_is);
        let started_at = now();
        // One that cannot be started is tried again.
        if let Ok((pid, prepared)) = self.spawn(runtime, container) {
            self.running = Some(Running { pid, since: now_is, started_at, timed_out: false, _prepared: prepared });
        }
    }

    fn pause(&self, now: Instant) -> Duration {
        if !self.healthy && now < self.grace_until { self.start_interval } else { self.interval }
    }

    fn spawn(&self, runtime: &Runtime, container: &Container) -> Result<(pid_t, Prepared)> {
        let asked = Exec { args: self.args.clone(), ..Exec::default() };
        let output = File::create(container.directory().join(OUTPUT))?;
        let mut prepared = exec::prepare(runtime, container, &asked, &container.config()?)?;
        prepared.finish(container);
        prepared.command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = prepared.command.spawn().map_err(|error| runtime.not_run(error))?;
        // The supervisor reaps all of its children.
        Ok((pid_t::try_from(child.id()).unwrap_or(0), prepared))
    }

    /// Whether it was ours; then the state has the result.
    pub(super) fn reaped(&mut self, pid: pid_t, exit: Exit, container: &Container, state: &mut State) -> bool {
        let Some(running) = self.running.take_if(|running| running.pid == pid) else {
            return false;
        };
        let mut output = String::new();
        if running.timed_out {
            output = format!("Health check exceeded timeout ({} s)", self.timeout.as_secs_f32());
        } else if let Ok(file) = File::open(container.directory().join(OUTPUT)) {
            let mut bytes = Vec::new();
            let _ = file.take(OUTPUT_MAX).read_to_end(&mut bytes);
            output = String::from_utf8_lossy(&bytes).into_owned();
        }
        let code = if running.timed_out { -1 } else { i32::from(exit.shell_code()) };
        let probe = Probe { start: running.started_at, end: now(), exit_code: code, output };
        self.judge(state.health.get_or_insert_default(), probe);
        let now_is = Instant::now();
        self.next = now_is + self.pause(now_is);
        true
    }

    fn judge(&mut self, health: &mut Health, probe: Probe) {
        if probe.exit_code == 0 {
            self.healthy = true;
            health.failing_streak = 0;
            health.status = "healthy".to_owned();
        } else if self.healthy || Instant::now() >= self.grace_until {
            health.failing_streak = health.failing_streak.saturating_add(1);
            if health.failing_streak >= self.retries {
                health.status = "unhealthy".to_owned();
            }
        }
        health.log.push(probe);
        let surplus = health.log.len().saturating_sub(PROBES_KEPT);
        health.log.drain(..surplus);
    }

    pub(super) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = process::kill(running.pid, signals::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(test: &[&str], retries: i64, start_period: i64) -> Option<Check> {
        let test = test.iter().map(|word| (*word).to_owned()).collect();
        Check::new(Some(&Healthcheck { test, retries, start_period, ..Healthcheck::default() }))
    }

    fn probe(exit_code: i32) -> Probe {
        Probe { exit_code, ..Probe::default() }
    }

    #[test]
    fn what_is_run() {
        assert!(check(&["NONE"], 0, 0).is_none() && check(&[], 0, 0).is_none() && Check::new(None).is_none());
        assert_eq!(check(&["CMD", "a", "b"], 0, 0).unwrap().args, ["a", "b"]);
        assert_eq!(check(&["CMD-SHELL", "a b"], 0, 0).unwrap().args, ["/bin/sh", "-c", "a b"]);
    }

    #[test]
    fn enough_failures_in_a_row_are_unhealthy_and_one_success_ends_that() {
        let mut check = check(&["CMD", "x"], 2, 0).unwrap();
        let mut health = Health::default();
        for (code, status) in [(1, ""), (0, "healthy"), (1, "healthy"), (1, "unhealthy"), (0, "healthy")] {
            check.judge(&mut health, probe(code));
            assert_eq!(health.status, status);
        }
        (0..9).for_each(|_| check.judge(&mut health, probe(0)));
        assert_eq!(health.log.len(), PROBES_KEPT);
    }

    #[test]
    fn failures_in_the_start_period_do_not_count() {
        let mut check = check(&["CMD", "x"], 1, 3_600_000_000_000).unwrap();
        let mut health = Health::default();
        check.judge(&mut health, probe(1));
        assert_eq!((health.failing_streak, health.status.as_str()), (0, ""));
    }
}
