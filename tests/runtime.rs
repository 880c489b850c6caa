//! Black-box tests of `bolo`: one module per verb or feature. See tests/kit for how they are written and run.

#![expect(unreachable_pub, reason = "what the kit makes public is public to the tests of one program")]

mod kit;

mod runtime {
    mod budget;
    mod cgroup;
    mod cgroup_crash;
    mod cgroup_limits;
    mod cgroup_rootless;
    mod cgroup_values;
    mod cgroup_verbs;
    mod command_line;
    mod create;
    mod crowd;
    mod delete;
    mod devices;
    mod errors;
    mod exec;
    mod exploits;
    mod fds;
    mod hooks;
    mod identity;
    mod ids;
    mod kill;
    mod list;
    mod mounts;
    mod mutations;
    mod namespaces;
    mod notify;
    mod paths;
    mod plan;
    mod process;
    mod rootfs;
    mod rootless;
    mod run;
    mod seal;
    mod seccomp;
    mod spec;
    mod spec_cgroups;
    mod spec_features;
    mod spec_hooks;
    mod spec_lifecycle;
    mod spec_linux;
    mod spec_mounts;
    mod spec_netdevices;
    mod spec_process;
    mod spec_rdt;
    mod spec_seccomp;
    mod start;
    mod state;
    mod sysctl;
    mod systemd;
    mod systemd_engines;
    mod systemd_limits;
    mod tty;
    mod userns;
}
