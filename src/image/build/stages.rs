//! Stages at work: several at once, each as far as it gets without those that it needs.

use super::cache::Layer;
use crate::error::{Error, Result};
use crate::image::digest::{Digest, chain_ids};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Of threads; a stage beyond begins when another is done.
const WORKERS_MAX: usize = 32;

/// What a stage has become.
#[derive(Debug, Clone, Default)]
pub struct Built {
    pub layers: Vec<Layer>,
    /// How many of them are the base image's.
    pub base: usize,
    /// Of each entry of history that is not the base image's.
    pub times: Vec<i64>,
    /// Of the newest step, or the base image.
    pub created: i64,
}

impl Built {
    pub fn chain_id(&self) -> Option<Digest> {
        let diff_ids: Vec<Digest> = self.layers.iter().map(|layer| layer.diff_id.clone()).collect();
        chain_ids(&diff_ids).pop()
    }
}

/// By their place in the plan.
pub struct Stages {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The first one that nobody works at. A stage needs only those before it, so that the first unfinished one can
    /// always go on.
    next: usize,
    built: Vec<Option<Built>>,
    /// Steps that may run besides those that do.
    free: usize,
    /// Why the first stage failed that did.
    failed: Option<Error>,
    over: bool,
}

/// A step may run; others may when this is dropped.
pub struct Turn<'a>(&'a Stages);

impl Stages {
    /// `at_once`: steps that run at the same time.
    pub fn new(count: usize, at_once: usize) -> Stages {
        let built = (0..count).map(|_| None).collect();
        let state = State { next: 0, built, free: at_once.max(1), failed: None, over: false };
        Stages { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until<'a>(&'a self, ready: impl Fn(&State) -> bool) -> Result<MutexGuard<'a, State>> {
        let mut state = self.state();
        while !state.over && !ready(&state) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // Whoever failed says why.
        if state.over { Err(Error::new("stopped, since another step has failed")) } else { Ok(state) }
    }

    /// What a stage has become, when it has.
    pub fn get(&self, number: usize) -> Result<Built> {
        let is_built = |state: &State| state.built.get(number).is_none_or(Option::is_some);
        let state = self.wait_until(is_built)?;
        Ok(state.built.get(number).cloned().flatten().unwrap_or_default())
    }

    /// When a step may run.
    pub fn turn(&self) -> Result<Turn<'_>> {
        let mut state = self.wait_until(|state| state.free > 0)?;
        state.free -= 1;
        Ok(Turn(self))
    }

    /// Does `work` for each stage; `give_up` makes those that wait for something else stop when one fails.
    pub fn run(&self, work: impl Fn(usize) -> Result<Built> + Sync, give_up: impl Fn() + Sync) -> Result<()> {
        let workers = self.state().built.len().min(WORKERS_MAX);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| self.work(&work, &give_up));
            }
        });
        match self.state().failed.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn work(&self, work: &(impl Fn(usize) -> Result<Built> + Sync), give_up: &(impl Fn() + Sync)) {
        loop {
            let number = {
                let mut state = self.state();
                if state.over || state.next >= state.built.len() {
                    return;
                }
                state.next += 1;
                state.next - 1
            };
            let result = work(number);
            let mut state = self.state();
            match result {
                Ok(built) => {
                    if let Some(slot) = state.built.get_mut(number) {
                        *slot = Some(built);
                    }
                }
                Err(error) => {
                    state.over = true;
                    state.failed.get_or_insert(error);
                    give_up();
                }
            }
            drop(state);
            self.changed.notify_all();
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().free += 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn built(created: i64) -> Built {
        Built { created, ..Built::default() }
    }

    #[test]
    fn a_stage_waits_for_those_that_it_needs() {
        let stages = Stages::new(50, 2);
        let running = AtomicUsize::new(0);
        let work = |number: usize| {
            let below = if number == 0 { 0 } else { stages.get(number - 1)?.created };
            let _turn = stages.turn()?;
            assert!(running.fetch_add(1, Ordering::SeqCst) < 2);
            std::thread::yield_now();
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(built(below + 1))
        };
        stages.run(work, || ()).unwrap();
        assert_eq!(stages.get(49).unwrap().created, 50);
    }

    #[test]
    fn the_first_failure_is_told_and_nobody_waits_for_ever() {
        let stages = Stages::new(3, 1);
        let gave_up = AtomicUsize::new(0);
        let work = |number: usize| match number {
            0 => Err(Error::new("broken")),
            number => stages.get(number - 1),
        };
        let error = stages.run(work, || gave_up.store(1, Ordering::SeqCst)).unwrap_err();
        assert_eq!(error.to_string(), "broken");
        assert!(gave_up.load(Ordering::SeqCst) > 0);
    }
}
