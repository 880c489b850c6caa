//! `linux.resources`: what the kernel is told, and that it acts on it.

use crate::kit::*;

fn file(container: &Container, controller: &str, name: &str) -> String {
    let path = cgroup::of(controller, container.cgroup()).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}")).trim().to_owned()
}

#[test]
fn a_fork_bomb_stops() {
    needs!(host::controller("pids"), "no pids controller");
    let script = "echo ready; while [ ! -e /go ]; do sleep 0.05; done; bomb() { bomb | bomb & }; bomb; sleep 1000";
    let container = Bundle::sh(script).set("/linux/resources/pids/limit", 20).start();
    container.wait_stdout("ready");
    std::fs::write(container.in_rootfs("/go"), "").unwrap();
    wait("the kernel refuses a fork", || {
        file(&container, "pids", "pids.events").lines().any(|line| line.starts_with("max ") && line != "max 0")
    });
    let count: u32 = file(&container, "pids", "pids.current").parse().unwrap();
    assert!(count <= 20, "{count}");
    container.call(["delete", "--force", container.id()]).run().ok();
    container.leaves_nothing();
}

/// CPU time that the container has had, in microseconds, and how often it had to wait for more.
fn cpu(container: &Container) -> (u64, u64) {
    let number = |text: &str, key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok());
        line.unwrap_or_default()
    };
    let stat = file(container, "cpu", "cpu.stat");
    let throttled = number(&stat, "nr_throttled ");
    if peer::v2() {
        return (number(&stat, "usage_usec "), throttled);
    }
    let nanoseconds: u64 = file(container, "cpuacct", "cpuacct.usage").parse().unwrap();
    (nanoseconds / 1000, throttled)
}

#[test]
fn a_quota_of_half_a_cpu_halves_a_busy_loop() {
    needs!(host::controller("cpu"), "no cpu controller");
    let busy = || Bundle::sh("while :; do :; done");
    let container = busy().set("/linux/resources/cpu", json!({"quota": 50_000, "period": 100_000})).start();
    let measure = |container: &Container| {
        let (before, _) = cpu(container);
        let begun = std::time::Instant::now();
        wait("it has run for a while", || begun.elapsed().as_millis() > 1500 && cpu(container).0 > before + 50_000);
        let wall = begun.elapsed().as_micros() as u64;
        (cpu(container).0 - before) as f64 / wall as f64
    };
    let share = measure(&container);
    assert!(share < 0.6, "it had {share} of a CPU");
    wait("it is held back", || cpu(&container).1 > 0);
    container.call(["update", "--cpu-quota", "-1", container.id()]).run().ok();
    let before = cpu(&container).1;
    measure(&container);
    let after = cpu(&container).1;
    assert!(after <= before + 1, "it is still held back: {before}, {after}");
}

/// What the runtime itself needs does not count: crun starts this from about 0.22 MiB on, runc from 2.5.
#[test]
fn a_container_starts_with_very_little_memory() {
    needs!(host::controller("memory"), "no memory controller");
    not_on!("runc", "needs several MiB");
    let limit = 700 << 10;
    let bundle = Bundle::program(["true"]).set("/linux/resources/memory", json!({"limit": limit, "swap": limit}));
    bundle.run().ok();
}

#[test]
fn a_memory_hog_is_ended() {
    needs!(host::controller("memory"), "no memory controller");
    let memory = json!({"limit": 16 << 20, "swap": 16 << 20});
    let script = "x=0123456789abcdef; while :; do x=$x$x; done";
    Bundle::sh(script).set("/linux/resources/memory", memory).run().code_is(137);
}

#[test]
fn what_cannot_be_had_is_refused_with_its_path_and_leaves_nothing() {
    bolo_only!("its own words");
    for (pointer, value, message) in [
        ("/memory/limit", json!(-7), "linux.resources.memory.limit: -7 is negative"),
        ("/blockIO/weight", json!(3), "linux.resources.blockIO.weight: 3 is not in the range 10 to 1000"),
        ("/cpu/cpus", json!("zero"), "linux.resources.cpu.cpus: \"zero\" is no list"),
        ("/devices", json!([{"allow": true, "type": "p"}]), "linux.resources.devices[0].type: \"p\" is none of"),
        ("/unified", json!({"../x.y": "1"}), "linux.resources.unified[\"../x.y\"]: it must be a file name"),
        ("/rdma", json!({"mlx": {"hcaHandles": 1}}), "linux.resources.rdma[\"mlx\"]: "),
        ("/cpu/cpus", json!("4000"), "linux.resources.cpu.cpus: "),
    ] {
        let bundle = Bundle::sh("true").set(&format!("/linux/resources{pointer}"), value);
        bundle.try_create().fails().stderr_has(message);
        bundle.leaves_nothing();
    }
}

#[test]
fn an_allowed_device_works_and_a_denied_one_does_not() {
    let kmsg = json!({"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11});
    needs!(std::path::Path::new("/dev/kmsg").exists(), "no /dev/kmsg");
    let script = "dd if=/dev/null of=/dev/kmsg count=0 2>&1 && echo opened";
    let bundle = || Bundle::sh(script).push("/linux/devices", kmsg.clone());
    bundle().run().code_is(1).stdout_has("Operation not permitted");
    let rule = json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "w"});
    bundle().push("/linux/resources/devices", rule.clone()).run().ok().stdout_has("opened");
    let read_only = json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"});
    bundle().push("/linux/resources/devices", read_only).run().code_is(1).stdout_has("Operation not permitted");
}
