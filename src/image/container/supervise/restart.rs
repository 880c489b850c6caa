//! Whether a container that has ended is started again, and when (docker run, "Restart policies").

use crate::image::container::config::{Restart, RestartPolicy};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
/// Who ran this long was well; the waiting begins anew.
const WELL_AFTER: Duration = Duration::from_secs(10);

/// How long to wait before each start.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Backoff {
        Backoff { next: FIRST }
    }

    pub(super) fn after(&mut self, ran: Duration) -> Duration {
        if ran >= WELL_AFTER {
            self.next = FIRST;
        }
        let delay = self.next;
        self.next = (delay * 2).min(LONGEST);
        delay
    }
}

/// `count`: how often it was started again before.
pub(super) fn wanted(restart: Restart, exit_code: i32, count: u32, stopped_by_user: bool) -> bool {
    if stopped_by_user {
        return false;
    }
    match restart.policy {
        RestartPolicy::No => false,
        RestartPolicy::OnFailure => exit_code != 0 && (restart.maximum == 0 || count < restart.maximum),
        RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        use RestartPolicy::{Always, No, OnFailure, UnlessStopped};
        let of = |policy, maximum| Restart { policy, maximum };
        assert!(!wanted(of(No, 0), 1, 0, false));
        assert!(wanted(of(OnFailure, 0), 1, 1000, false) && !wanted(of(OnFailure, 0), 0, 0, false));
        assert!(wanted(of(OnFailure, 2), 1, 1, false) && !wanted(of(OnFailure, 2), 1, 2, false));
        assert!(wanted(of(Always, 0), 0, 9, false) && !wanted(of(Always, 0), 0, 0, true));
        assert!(wanted(of(UnlessStopped, 0), 0, 0, false));
    }

    #[test]
    fn the_wait_doubles_up_to_a_minute_and_begins_anew() {
        let mut backoff = Backoff::new();
        let waits: Vec<u128> = (0..12).map(|_| backoff.after(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits[..4], [100, 200, 400, 800]);
        assert_eq!(waits[11], 60_000);
        assert_eq!(backoff.after(WELL_AFTER), FIRST);
    }
}
