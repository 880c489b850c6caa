"""Docker: what is left when something is killed in the middle; the last word on what containers leave behind."""

import re

import image
from interrupt import interrupted
from kit import Failure, Operations, alive, call, equal, has, kill, process_with, processes, until

operation = operations = Operations()

# The daemons are other processes by now; docker keeps what is above or beside its containers.
KNOWN = r"process \d+ (dockerd|containerd) |cgroup .*/(docker|buildkit)$|mount /run/docker/netns/default$|state .*/moby$"


@operation("daemon restart with live-restore: containers go on")
def _(docker):
    docker.stop()
    docker.start_daemon("--live-restore")
    docker.up("--", "sh", "-c", "trap 'exit 8' TERM; while :; do sleep 0.1; done")
    pid = docker.pid()
    docker.stop()
    equal(alive(pid), True)
    docker.start_daemon("--live-restore")
    equal(docker.pid(), pid)
    equal(docker("exec", "loaf", "echo", "crumb"), "crumb")
    docker("pause", "loaf")
    docker("unpause", "loaf")
    docker("stop", "loaf")
    equal(docker.show(".State.ExitCode"), "8")


@operation("kill -9 of dockerd and its containerd: started again, containers go on")
def _(docker):
    docker.stop()
    docker.start_daemon("--live-restore")
    docker.up()
    pid = docker.pid()
    docker.scene.stop(docker.daemon, kill=True)
    for process in [pid for pid, words in processes().items() if words.startswith("containerd --config")]:
        until("containerd ends with its parent", lambda: not alive(process))
    equal(alive(pid), True)
    docker.start_daemon("--live-restore")
    equal(docker.pid(), pid)
    equal(docker("exec", "loaf", "echo", "crumb"), "crumb")
    docker("rm", "-f", "loaf")


@operation("daemon restart without live-restore: containers stop, start again")
def _(docker):
    docker.stop()
    docker.start_daemon()
    docker.up("--stop-signal", "KILL")
    docker.stop()
    docker.start_daemon()
    equal(docker.show(".State.Running"), "false")
    docker("start", "loaf")
    equal(docker("exec", "loaf", "echo", "crumb"), "crumb")


@operation("kill -9 of the shim: the container is dead, rm, the name is free")
def _(docker):
    id = docker.up()
    kill(process_with("containerd-shim", id))
    until("docker has seen it", lambda: docker.show(".State.Running") == "false")
    docker("rm", "-f", "loaf")
    docker.up()


@operation("kill -9 of a container's init from the host; exec after it")
def _(docker):
    docker.up()
    kill(docker.pid())
    until("docker has seen it", lambda: docker.show(".State.ExitCode") == "137")
    has(docker("exec", "loaf", "true", code=1), "is not running")


def sweep(docker):
    """Docker forgets a container whose start or deletion failed, whatever the runtime; then the runtime alone cleans up."""
    def forgotten():
        known = docker("ps", "-aq", "--no-trunc").split()
        shims = {pid: re.search(r"-id (\w+)", words) for pid, words in processes().items() if "containerd-shim" in words}
        return {pid: id[1] for pid, id in shims.items() if id and id[1] not in known}

    try:
        until("the shims go", lambda: not forgotten(), 3)
    except Failure:
        for pid, id in forgotten().items():
            kill(pid)
            call(docker.scene.program, "--root", "/run/docker/runtime-runc/moby", "delete", "--force", id)


def again(docker, verb, words):
    """Kills the runtime at several moments of the verb; whatever the operation says, the engine goes on."""
    before = docker.scene.state()

    def attempt():
        call("docker", *words, env=docker.env, code=None)

    def check():
        docker.clean()
        equal(docker.run("echo", "crumb"), "crumb")
        sweep(docker)
        docker.scene.left(before, KNOWN)

    interrupted(docker, verb, attempt, check)


@operation("kill -9 of the runtime in create: rm, run again")
def _(docker):
    again(docker, "create", ["run", "-d", "--runtime", "interruptible", "--name", "loaf", image.NAME, "sleep", "1000"])


@operation("kill -9 of the runtime in start: rm, run again")
def _(docker):
    again(docker, "start", ["run", "-d", "--runtime", "interruptible", "--name", "loaf", image.NAME, "sleep", "1000"])


@operation("kill -9 of the runtime in delete: rm, run again")
def _(docker):
    again(docker, "delete", ["run", "--runtime", "interruptible", "--name", "loaf", image.NAME, "true"])


@operation("kill -9 of the runtime in exec, kill, pause: rm, run again")
def _(docker):
    for verb, words in (("exec", ["exec", "loaf", "true"]), ("kill", ["kill", "loaf"]), ("pause", ["pause", "loaf"])):
        def attempt():
            docker.up("--runtime", "interruptible")
            call("docker", *words, env=docker.env, code=None)

        interrupted(docker, verb, attempt, docker.clean)


@operation("nothing is left: processes, mounts, cgroups, links, state")
def _(docker):
    docker.clean()
    docker("volume", "prune", "-f")

    docker.scene.left(docker.before, KNOWN)
