"""Podman: what only root has (limits, bridges, propagation), or has otherwise."""

import json
import os

import image
from kit import Operations, all_that_we_have, call, equal, has, until

operation = operations = Operations()
SHOW = "cd /sys/fs/cgroup; cat memory.max cpu.max pids.max */memory.limit_in_bytes */cpu.cfs_quota_us */pids.max 2>/dev/null; true"


@operation("run -v: propagation rshared, rslave")
def _(podman):
    dir = podman.dir("bind")
    script = "mkdir -p /d/m; mount -t tmpfs inner /d/m"
    podman.run("--cap-add", "SYS_ADMIN", "-v", f"{dir}:/d:rshared", "--", "sh", "-c", script)
    with open("/proc/self/mountinfo") as mounts:
        has(mounts.read(), f"{dir}/m", " /proc ")
    equal(podman.run("-v", f"{dir}:/d:rslave", "--", "grep", "-c", " /d/m ", "/proc/mounts"), "1")
    os.system(f"umount {dir}/m")


@operation("run --memory: the limit, and death of what exceeds it")
def _(podman):
    has(podman.run("--memory", "32m", "--", "sh", "-c", SHOW), "33554432")
    flags = ["--memory", "16m", "--memory-swap", "16m"]
    podman("run", "--name", "big", *flags, image.NAME, "sh", "-c", "tail /dev/zero", code=137)


@operation("run --cpus, --cpuset-cpus, --pids-limit")
def _(podman):
    flags = ["--cpus", "0.5", "--cpuset-cpus", "0", "--pids-limit", "50"]
    has(podman.run(*flags, "--", "sh", "-c", SHOW), "50000", "50")


@operation("run --device, --device-cgroup-rule, --oom-score-adj")
def _(podman):
    found = podman.run("--device", "/dev/null:/dev/x:rw", "--oom-score-adj", "300", "--", "sh", "-c",
                       "echo >/dev/x && stat -c %F /dev/x; cat /proc/self/oom_score_adj")
    equal(found.split("\n"), ["character special file", "300"])
    has(podman.run("sh", "-c", "mknod /m c 1 11 && cat /m", code=1), "not permitted")


@operation("run --privileged: all that the host has")
def _(podman):
    all_that_we_have(podman.run("--privileged", "--", "grep", "CapEff", "/proc/self/status"))


@operation("run --userns auto, --uidmap")
def _(podman):
    found = podman.run("--uidmap", "0:300000:1000", "--gidmap", "0:300000:1000", "--", "sh", "-c", "id -u; cat /proc/self/uid_map")
    equal(found.split(), ["0", "0", "300000", "1000"])
    has(podman.run("--userns", "auto:size=4096", "--", "cat", "/proc/self/uid_map"), "4096")


@operation("exec, volumes and pause in a user namespace")
def _(podman):
    dir = podman.dir("mapped")
    os.chown(dir, 300000, 300000)
    podman.up("--uidmap", "0:300000:3000", "--gidmap", "0:300000:3000", "-v", f"{dir}:/d")
    equal(podman("exec", "loaf", "sh", "-c", "touch /d/x; stat -c %u /d/x"), "0")
    equal(os.stat(f"{dir}/x").st_uid, 300000)
    podman("pause", "loaf")
    podman("unpause", "loaf")
    equal(podman("exec", "-u", "1000", "loaf", "id", "-u"), "1000")


@operation("run --cgroupns, --cgroup-parent, --cgroups=disabled")
def _(podman):
    equal(podman.run("--cgroupns", "private", "--", "sh", "-c", "cut -d: -f3 /proc/self/cgroup | sort -u"), "/")
    has(podman.run("--cgroupns", "host", "--cgroup-parent", "/pantry", "--", "cat", "/proc/self/cgroup"), "/pantry/")
    podman.run("--cgroups", "no-conmon", "--", "true")
    for dir, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
        if "/pantry" in dir:
            os.rmdir(dir)


@operation("pause, unpause; exec while paused; rm -f of a paused one")
def _(podman):
    podman.up()
    podman("pause", "loaf")
    equal(podman.show(".State.Status"), "paused")
    podman("exec", "loaf", "true", code=255)
    podman("unpause", "loaf")
    equal(podman("exec", "loaf", "echo", "crumb"), "crumb")
    podman("pause", "loaf")
    podman("rm", "-f", "-t", "0", "loaf")


@operation("stats")
def _(podman):
    podman.up("--memory", "64m")
    stats = json.loads(podman("stats", "--no-stream", "--format", "json", "loaf"))[0]
    has(stats["mem_usage"], "/ 67.11MB")
    equal(stats["pids"], "1")


@operation("update --memory, --cpus")
def _(podman):
    podman.up("--memory", "64m")
    podman("update", "--memory", "32m", "--cpus", "0.25", "loaf")
    has(podman("exec", "loaf", "sh", "-c", SHOW), "33554432", "25000")


@operation("networks: a bridge with names, connect, disconnect")
def _(podman):
    podman("network", "create", "street")
    podman("run", "-d", "--name", "shop", "--network", "street", image.NAME, "httpd", "-f", "-h", "/www")
    equal(podman.run("--network", "street", "--", "wget", "-qO-", "http://shop"), "fresh bread")
    podman("network", "disconnect", "street", "shop")
    podman("network", "connect", "street", "shop")
    has(podman("exec", "shop", "ls", "/sys/class/net"), "eth")
    podman("rm", "-f", "-t", "0", "shop")
    podman("network", "rm", "street")


HOOK = '{{"version": "1.0.0", "hook": {{"path": "{path}", "args": ["hook", "{stage}"]}}, "when": {{"always": true}}, "stages": ["{stage}"]}}'


@operation("hooks of all kinds from a hooks directory")
def _(podman):
    log = podman.scene.path("hooks.log")
    path = podman.scene.write("hook", f"#!/bin/sh\ncat >/dev/null\necho $1 >>{log}\n", 0o755)
    stages = ["createRuntime", "createContainer", "poststart", "poststop", "prestart"]
    for stage in stages:
        podman.scene.write(f"hooks/{stage}.json", HOOK.format(path=path, stage=stage))
    podman("--hooks-dir", podman.scene.path("hooks"), "run", "--rm", image.NAME, "true")

    def ran():
        with open(log) as file:
            return sorted(file.read().split()) == sorted(stages)

    until("every hook ran", ran)


@operation("run --systemd=always: a real systemd comes up and goes down")
def _(podman):
    # Of the host's own files: no image with a systemd is needed.
    root = podman.scene.make("oven")
    call("cp", "-a", "/etc", root)
    for name in ("bin", "sbin", "lib", "lib64"):
        os.symlink(f"usr/{name}", f"{root}/{name}")
    for name in ("dev", "proc", "sys", "run", "tmp", "var", "usr", "root"):
        os.mkdir(f"{root}/{name}")
    program = ["/usr/lib/systemd/systemd", "--unit=basic.target"]
    flags = ["--systemd", "always", "--network", "none", "-v", "/usr:/usr:ro", "--rootfs", root]
    podman("run", "-d", "--name", "loaf", *flags, *program)
    until("systemd runs", lambda: podman("exec", "loaf", "systemctl", "is-system-running", code=None) in ("running", "degraded"))
    has(podman("exec", "loaf", "systemctl", "show", "-p", "Virtualization"), "podman")
    podman("exec", "loaf", "systemd-run", "--wait", "-q", "true")
    podman("stop", "-t", "30", "loaf")


@operation("logs -f, --since; attach without a terminal")
def _(podman):
    podman("run", "-d", "--name", "loaf", image.NAME, "sh", "-c", "for i in 1 2 3; do echo line $i; sleep 0.2; done")
    equal(podman("logs", "-f", "loaf").split("\n"), ["line 1", "line 2", "line 3"])
    equal(podman("logs", "--since", "1h", "--tail", "1", "loaf"), "line 3")
