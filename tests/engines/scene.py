"""Where one engine runs with one runtime: namespaces and cgroups of its own, on this side of the fence.

The engine finds an empty /run, an empty network, and its directories in /var/lib empty; what it does ends with its
process namespace. `Scene` is made in there by `inside`, which main.py calls.
"""

import os
import re
import subprocess

import image
from kit import PATIENCE, Failure, alive, processes, until

# What engines keep below /var/lib, whatever one tells them.
KEPT = ("docker", "containerd", "containers", "cni", "buildkit")


class Scene:
    def __init__(self, dir, name, program):
        self.dir, self.name, self.program = dir, name, program
        self.daemons = []

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def make(self, *names):
        path = self.path(*names)
        os.makedirs(path, exist_ok=True)
        return path

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def daemon(self, *words, env=None):
        log = open(self.path(os.path.basename(words[0]) + ".log"), "ab")
        process = subprocess.Popen(
            [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, **(env or {})}, cwd="/",
        )
        log.close()
        self.daemons.append(process)
        return process

    def stop(self, process, kill=False):
        if process in self.daemons:
            self.daemons.remove(process)
            process.kill() if kill else process.terminate()
            process.wait()

    def archive(self, name=image.NAME, command=("sh",)):
        path = self.path(name.replace("/", "-").replace(":", "-") + ".tar")
        if not os.path.exists(path):
            image.archive(path, name, list(command))
        return path

    def state(self):
        """What a container may leave behind: processes, mounts, cgroups, links, and its runtime's files."""
        found = {f"process {pid} {words[:80]}" for pid, words in processes().items()}
        with open("/proc/self/mountinfo") as file:
            found |= {f"mount {line.split()[4]}" for line in file}
        for dir, dirs, _ in os.walk("/sys/fs/cgroup"):
            found |= {f"cgroup {os.path.join(dir, name)}" for name in dirs}
        found |= {f"link {name}" for name in os.listdir("/sys/class/net")}
        for dir, dirs, _ in os.walk("/run"):
            if re.search(r"/(bolo|runc|runtime-[a-z]+)(/[a-z.0-9]+)?$", dir):
                found |= {f"state {os.path.join(dir, name)}" for name in dirs}
        return found

    def left(self, before, known):
        """Waits until no more is there than before, and what `known` describes."""
        def more():
            return sorted(item for item in self.state() - before if not re.match(known, item))

        try:
            until("it goes", lambda: not more(), PATIENCE / 6)
        except Failure as never:
            raise Failure(f"{len(more())} left: " + "; ".join(more())[:400]) from never


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def own_cgroups():
    """In the scene /sys/fs/cgroup begins at the scene's own cgroups, as in any container."""
    with open("/proc/self/mountinfo") as file:
        lines = [line.split() for line in file]
    if os.statvfs("/sys/fs/cgroup") and any(w[4] == "/sys/fs/cgroup" and "cgroup2" in w for w in lines):
        subprocess.run(["umount", "-l", "/sys/fs/cgroup"], check=True)
        mount("-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
        leave_the_root("/sys/fs/cgroup")
        return
    hierarchies = [(w[4], w[w.index("-") + 1], w[-1]) for w in lines if w[4].startswith("/sys/fs/cgroup/")]
    # A link like cpu -> cpu,cpuacct is told again, too.
    links = [(n, os.readlink(f"/sys/fs/cgroup/{n}")) for n in os.listdir("/sys/fs/cgroup") if os.path.islink(f"/sys/fs/cgroup/{n}")]
    subprocess.run(["umount", "-lR", "/sys/fs/cgroup"], check=True)
    mount("-t", "tmpfs", "-o", "mode=755", "cgroup", "/sys/fs/cgroup")
    for path, kind, options in hierarchies:
        os.makedirs(path)
        options = ",".join(word for word in options.split(",") if word != "rw")
        mount("-t", kind, *(["-o", options] if options and kind == "cgroup" else []), kind, path)
    for name, target in links:
        os.symlink(target, f"/sys/fs/cgroup/{name}")


def leave_the_root(path):
    """Version 2 gives controllers only to children of a cgroup without processes."""
    os.mkdir(f"{path}/driver")
    with open(f"{path}/cgroup.procs") as file:
        pids = file.read().split()
    for pid in pids:
        with open(f"{path}/driver/cgroup.procs", "w") as file:
            file.write(pid)
    with open(f"{path}/cgroup.controllers") as file:
        for name in file.read().split():
            try:
                with open(f"{path}/cgroup.subtree_control", "w") as control:
                    control.write(f"+{name}")
            except OSError:  # some are the host's alone
                pass


def furnish(dir):
    """The namespaces are new: fill them."""
    mount("--make-rshared", "/")
    mount("-t", "tmpfs", "-o", "mode=755", "run", "/run")
    os.mkdir("/run/lock")
    for name in KEPT:
        os.makedirs(f"/var/lib/{name}", exist_ok=True)
        os.makedirs(f"{dir}/var/{name}")
        mount("--bind", f"{dir}/var/{name}", f"/var/lib/{name}")
    own_cgroups()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.environ.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", HOME=f"{dir}/home", LC_ALL="C", TMPDIR=f"{dir}/tmp")
    for name in ("home", "tmp"):
        os.mkdir(f"{dir}/{name}")
    for name in ("DOCKER_HOST", "CONTAINER_HOST", "XDG_RUNTIME_DIR", "NOTIFY_SOCKET", "LISTEN_FDS"):
        os.environ.pop(name, None)


def orphans(ours):
    """What runs when the engine has been stopped, apart from us; shims take a moment to go."""
    def left():
        return {pid: words for pid, words in processes().items() if pid not in ours and alive(pid)}

    try:
        until("every process ends", lambda: not left(), PATIENCE / 6)
    except Failure:
        pass
    return sorted(left().values())
