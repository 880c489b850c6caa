use super::*;

const GETPPID: u32 = libc::SYS_getppid as u32;

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> SockFilter {
    SockFilter { code, jt, jf, k }
}

/// Everything is allowed but getppid.
fn program(verdict: u32) -> Vec<SockFilter> {
    vec![
        instruction(BPF_LD_W_ABS, 0, 0, DATA_NR),
        instruction(BPF_JMP_JEQ_K, 0, 1, GETPPID),
        instruction(BPF_RET_K, 0, 0, verdict),
        instruction(BPF_RET_K, 0, 0, RET_ALLOW),
    ]
}

/// The exit status of a child that does `work`, which makes system calls and nothing else.
fn in_child(work: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child of this many-threaded process makes only system calls before it ends: no lock, no allocation.
    match unsafe { nix::unistd::fork() }.expect("fork") {
        nix::unistd::ForkResult::Parent { child } => match nix::sys::wait::waitpid(child, None).expect("waitpid") {
            nix::sys::wait::WaitStatus::Exited(_, status) => status,
            nix::sys::wait::WaitStatus::Signaled(_, signal, _) => 1000 + signal as i32,
            other => panic!("{other:?}"),
        },
        nix::unistd::ForkResult::Child => {
            // SAFETY: prctl with integers only.
            unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
            let status = work();
            // SAFETY: ends the process at once, which never returns.
            unsafe { libc::_exit(status) }
        }
    }
}

fn getppid_errno() -> i32 {
    // SAFETY: no arguments.
    match unsafe { libc::syscall(libc::SYS_getppid) } {
        -1 => Errno::last_raw(),
        _ => 0,
    }
}

#[test]
fn the_kernel_does_what_the_program_says() {
    for (verdict, expected) in [(RET_ERRNO | 77, 77), (RET_ALLOW, 0), (RET_KILL_PROCESS, 1000 + libc::SIGSYS)] {
        let program = program(verdict);
        let status = in_child(|| match set_mode_filter(&program, FLAG_SPEC_ALLOW) {
            Ok(None) => getppid_errno(),
            Ok(Some(_)) => 201,
            Err(_) => 202,
        });
        assert_eq!(status, expected, "{verdict:#x}");
    }
}

#[test]
fn a_listener_is_a_descriptor_that_closes_on_exec() {
    let program = program(RET_USER_NOTIF);
    let status = in_child(|| match set_mode_filter(&program, FLAG_NEW_LISTENER) {
        Ok(Some(fd)) => nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_GETFD).unwrap_or(203),
        Ok(None) => 201,
        Err(_) => 202,
    });
    assert_eq!(status, libc::FD_CLOEXEC);
}

#[test]
fn a_program_without_end_is_refused() {
    let program = [instruction(BPF_LD_W_ABS, 0, 0, DATA_NR)];
    let status = in_child(|| set_mode_filter(&program, 0).map_or_else(|errno| errno as i32, |_| 201));
    assert_eq!(status, libc::EINVAL);
}

#[test]
fn what_the_kernel_knows() {
    for action in [RET_KILL_PROCESS, RET_KILL_THREAD, RET_TRAP, RET_ERRNO, RET_TRACE, RET_LOG, RET_ALLOW] {
        assert_eq!(action_available(action), Ok(true), "{action:#x}");
    }
    assert_eq!(action_available(0x7123_0000), Ok(false));
    assert_eq!(flags_available(FLAG_LOG | FLAG_SPEC_ALLOW), Ok(true));
    assert_eq!(flags_available(1 << 30), Ok(false));
}
