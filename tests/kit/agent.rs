//! A seccomp agent: reads what the kernel asks of a listener (seccomp_unotify(2)) and answers.

use std::os::fd::{AsRawFd, OwnedFd};

/// `struct seccomp_notif`
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
pub struct Question {
    pub id: u64,
    pub pid: u32,
    pub flags: u32,
    pub number: i32,
    pub arch: u32,
    pub instruction: u64,
    pub args: [u64; 6],
}

/// `struct seccomp_notif_resp`
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Errno(i32),
    Value(i64),
    /// The kernel makes the call as if nobody had asked.
    Continue,
}

nix::ioctl_readwrite!(receive, b'!', 0, Question);
nix::ioctl_readwrite!(send, b'!', 1, Response);

/// Answers until nobody is left who could ask, and gives all that was asked.
pub fn serve(listener: &OwnedFd, answer: impl Fn(&Question) -> Answer) -> Vec<Question> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let mut questions = Vec::new();
    loop {
        let mut ready = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        poll(&mut ready, PollTimeout::NONE).unwrap();
        if !ready[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN)) {
            return questions;
        }
        let mut question = Question::default();
        // SAFETY: the structure is the kernel's, and zeroed as the kernel demands.
        if unsafe { receive(listener.as_raw_fd(), &raw mut question) }.is_err() {
            continue; // whoever asked is gone
        }
        let mut response = Response { id: question.id, ..Response::default() };
        match answer(&question) {
            Answer::Errno(errno) => response.error = -errno,
            Answer::Value(value) => response.value = value,
            Answer::Continue => response.flags = 1,
        }
        questions.push(question);
        // SAFETY: the structure is the kernel's. ENOENT: whoever asked is gone.
        let _ = unsafe { send(listener.as_raw_fd(), &raw mut response) };
    }
}
