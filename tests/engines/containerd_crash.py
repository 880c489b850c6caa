"""containerd: what is left when something is killed in the middle; the last word on what containers leave behind."""

import os
import signal

from interrupt import interrupted
from kit import Failure, Operations, alive, call, equal, has, kill, process_with, processes, until

operation = operations = Operations()


@operation("exec into a container whose init is a zombie is refused; rm")
def _(ctr):
    # Who reaps is the shim: stopped, it leaves the dead as they are.
    ctr.up()
    pid, shim = ctr.pid(), process_with("containerd-shim", "-id loaf ")
    os.kill(shim, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    until("init is a zombie", lambda: not alive(pid))
    said = call(ctr.program, "--root", "/run/runtime-under-test/default", "exec", "loaf", "true", code=None)
    os.kill(shim, signal.SIGCONT)
    has(said, "stopped")
    until("it stops", lambda: ctr.status() == "STOPPED")


@operation("delete --force of an id that is gone exits 0")
def _(ctr):
    call(ctr.program, "--root", "/run/runtime-under-test/default", "delete", "--force", "nobody")
    call(ctr.program, "delete", "--force", "nobody")


@operation("containerd is started again: tasks go on")
def _(ctr):
    ctr.up()
    ctr.scene.stop(ctr.daemon)
    ctr.start_daemon()
    equal(ctr.status(), "RUNNING")
    equal(ctr.exec("echo", "crumb"), "crumb")
    ctr("task", "pause", "loaf")
    ctr("task", "resume", "loaf")


@operation("kill -9 of containerd: started again, tasks go on")
def _(ctr):
    ctr.up()
    ctr.scene.stop(ctr.daemon, kill=True)
    ctr.start_daemon()
    equal(ctr.status(), "RUNNING")
    equal(ctr.exec("echo", "crumb"), "crumb")


@operation("kill -9 of the shim: the container is dead, the name is free")
def _(ctr):
    ctr.up()
    pid = ctr.pid()
    kill(process_with("containerd-shim", "-id loaf "))
    until("init is dead, too", lambda: not alive(pid))
    ctr.clean()
    ctr.up()
    equal(ctr.exec("echo", "crumb"), "crumb")


def sweep(ctr):
    """A shim whose runtime died may be forgotten by containerd: then the runtime alone cleans up."""
    def forgotten():
        return [pid for pid, words in processes().items() if "containerd-shim" in words and "-id loaf " in words]

    try:
        until("the shim goes", lambda: not forgotten(), 3)
    except Failure:
        for pid in forgotten():
            kill(pid)
        call(ctr.program, "--root", "/run/runtime-under-test/default", "delete", "--force", "loaf")


def again(ctr, verb, attempt):
    before = ctr.scene.state()

    def check():
        ctr.clean()
        sweep(ctr)
        equal(ctr.run("echo", "crumb"), "crumb")
        ctr.nothing_left(before)

    interrupted(ctr, verb, attempt, check)


def start(ctr, code=None):
    return call(*ctr.run_words("-d", program=ctr.interruptible), code=code)


@operation("kill -9 of the runtime in create: run again, nothing is left")
def _(ctr):
    again(ctr, "create", lambda: start(ctr))


@operation("kill -9 of the runtime in start: run again, nothing is left")
def _(ctr):
    again(ctr, "start", lambda: start(ctr))


@operation("kill -9 of the runtime in delete: run again, nothing is left")
def _(ctr):
    again(ctr, "delete", lambda: call(*ctr.run_words("--rm", program=ctr.interruptible, command=["true"]), code=None))


@operation("kill -9 of the runtime in exec, kill, pause: nothing is left")
def _(ctr):
    for verb in ("exec", "kill", "pause"):
        words = {"exec": ["task", "exec", "--exec-id", "x", "loaf", "true"], "kill": ["task", "kill", "-s", "9", "loaf"],
                 "pause": ["task", "pause", "loaf"]}[verb]

        def attempt():
            start(ctr, code=0)
            call(*ctr.words(*words), code=None)

        again(ctr, verb, attempt)


@operation("nothing is left: processes, mounts, cgroups, links, state")
def _(ctr):
    ctr.clean()
    ctr.nothing_left()
