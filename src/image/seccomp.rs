//! The seccomp filter of containers whose engine was asked for none: what programs use is allowed, and what administers
//! the machine, or is of use to attackers mainly, is an error. What a capability stands for is allowed with it.

use super::config::host_architecture;
use serde_json::{Value, json};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// The namespaces of clone(2): a new user namespace would give all capabilities, and with them more of the kernel.
const CLONE_NAMESPACES: u32 = 0x7e02_0000;
/// linux/personality.h: Linux and Linux on 32 bits, each with UNAME26 or not, and the question for the present one.
const PERSONALITIES: [u32; 5] = [0, 8, 0x2_0000, 0x2_0008, u32::MAX];
const AF_VSOCK: u32 = 40;

/// With the kernel's present tables; what a machine does not have is passed over by the runtime.
const ALLOWED: &str = "
    _llseek _newselect accept accept4 access adjtimex alarm arch_prctl arm_fadvise64_64 arm_sync_file_range bind
    brk cacheflush cachestat capget capset chdir chmod chown chown32 chroot clock_adjtime clock_adjtime64
    clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close
    close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait
    epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64
    fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64
    fdatasync fgetxattr file_getattr file_setattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64
    fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait
    futex_waitv futex_wake futimesat get_robust_list get_thread_area get_tls getcpu getcwd getdents getdents64
    getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid
    getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage
    getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch
    inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents
    io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set ipc kill landlock_add_rule
    landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listns
    listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise membarrier memfd_create
    memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 modify_ldt mprotect
    mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
    mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at
    nanosleep newfstatat nice oldfstat oldlstat oldolduname oldstat olduname open openat openat2 pause
    pciconfig_iobase pciconfig_read pciconfig_write pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free
    pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease
    process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead
    readdir readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages
    removexattr removexattrat rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending
    rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
    rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
    sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity
    sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop
    semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area
    set_tid_address set_tls setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32
    setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid
    setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat sgetmask shmat shmctl shmdt
    shmget shutdown sigaction sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend
    socketpair splice ssetmask stat stat64 statfs statfs64 statmount statx symlink symlinkat sync
    sync_file_range sync_file_range2 syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun
    timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64
    timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat
    usr26 usr32 utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
";

/// What the kernel itself checks by the capability.
const WITH_CAPABILITY: [(&str, &str); 12] = [
    ("CAP_BPF", "bpf"),
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    ("CAP_PERFMON", "perf_event_open"),
    (
        "CAP_SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount \
         open_tree open_tree_attr perf_event_open pivot_root quotactl quotactl_fd setdomainname sethostname setns syslog \
         umount umount2 unshare",
    ),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_MODULE", "delete_module finit_module init_module"),
    ("CAP_SYS_NICE", "get_mempolicy mbind migrate_pages move_pages set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise"),
    ("CAP_SYS_RAWIO", "ioperm iopl"),
    ("CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"),
    ("CAP_SYSLOG", "syslog"),
];

/// The part of config.json, for a container with these capabilities.
pub fn default_profile(capabilities: &[String]) -> Value {
    let has = |name: &str| capabilities.iter().any(|capability| capability == name);
    let granted = WITH_CAPABILITY.iter().filter(|(capability, _)| has(capability)).flat_map(|(_, calls)| words(calls));
    let mut names: Vec<&str> = words(ALLOWED).chain(granted).collect();
    names.sort_unstable();
    names.dedup();
    let one_of = |value: &u32| json!({"index": 0, "value": value, "op": "SCMP_CMP_EQ"});
    let mut rules = vec![
        allow(&names, Value::Null),
        allow(&["socket"], json!([{"index": 0, "value": AF_VSOCK, "op": "SCMP_CMP_NE"}])),
    ];
    rules.extend(PERSONALITIES.iter().map(|value| allow(&["personality"], json!([one_of(value)]))));
    if !has("CAP_SYS_ADMIN") {
        let no_namespaces = json!([{
            "index": 0, "value": CLONE_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ",
        }]);
        rules.push(allow(&["clone"], no_namespaces));
        // Its flags are in memory, where a filter cannot look; a program that misses it uses clone.
        rules.push(json!({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS}));
    }
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "architectures": architectures(),
        "syscalls": rules,
    })
}

fn words(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split_ascii_whitespace()
}

fn allow(names: &[&str], args: Value) -> Value {
    let mut rule = json!({"names": names, "action": "SCMP_ACT_ALLOW"});
    if !args.is_null() {
        rule["args"] = args;
    }
    rule
}

/// Programs of which architectures the kernel of this machine runs.
fn architectures() -> &'static [&'static str] {
    match host_architecture() {
        "amd64" => &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "arm64" => &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        "riscv64" => &["SCMP_ARCH_RISCV64"],
        "ppc64le" => &["SCMP_ARCH_PPC64LE"],
        "s390x" => &["SCMP_ARCH_S390X"],
        "loong64" => &["SCMP_ARCH_LOONGARCH64"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(profile: &Value) -> Vec<String> {
        serde_json::from_value(profile["syscalls"][0]["names"].clone()).unwrap()
    }

    #[test]
    fn what_administers_the_machine_needs_its_capability() {
        let plain = default_profile(&["CAP_CHOWN".to_owned()]);
        let names = allowed(&plain);
        assert!(
            names.is_sorted()
                && ["openat", "execve", "futex", "ptrace", "chroot"].iter().all(|name| names.iter().any(|n| n == name))
        );
        for name in [
            "mount",
            "bpf",
            "setns",
            "clone",
            "clone3",
            "io_uring_setup",
            "keyctl",
            "kexec_load",
            "userfaultfd",
            "socket",
        ] {
            assert!(!names.iter().any(|n| n == name), "{name}");
        }
        let admin = default_profile(&["CAP_SYS_ADMIN".to_owned()]);
        assert!(["mount", "clone3", "setns"].iter().all(|name| allowed(&admin).iter().any(|n| n == name)));
        assert!(!admin.to_string().contains("errnoRet\":38") && plain.to_string().contains("errnoRet\":38"));
    }
}
