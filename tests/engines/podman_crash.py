"""Podman: what is left when something is killed in the middle; the last word on what containers leave behind."""

import image
from interrupt import interrupted
from kit import Operations, call, equal, has, kill, process_with, until

operation = operations = Operations()


@operation("kill -9 of conmon: stop and rm, the name is free")
def _(podman):
    id = podman.up()
    kill(process_with("conmon", id))
    podman("rm", "-f", "-t", "0", "loaf")
    podman.up()
    equal(podman("exec", "loaf", "echo", "crumb"), "crumb")


@operation("kill -9 of a container's init from the host; exec after it; start again")
def _(podman):
    podman.up()
    kill(podman.pid())
    until("podman has seen it", lambda: podman.show(".State.Status") == "exited")
    equal(podman.show(".State.ExitCode"), "137")
    has(podman("exec", "loaf", "true", code=255), "container state improper")
    podman("start", "loaf")
    equal(podman("exec", "loaf", "echo", "crumb"), "crumb")


def again(podman, verb, words):
    before = podman.scene.state()

    def attempt():
        call(*podman.words(*words), env=podman.env, code=None)

    def check():
        podman.clean()
        equal(podman.run("echo", "crumb"), "crumb")
        podman.nothing_left(before)

    interrupted(podman, verb, attempt, check)


RUN = ["run", "-d", "--runtime", "interruptible", "--name", "loaf", image.NAME, "sleep", "1000"]


@operation("kill -9 of the runtime in create: rm, run again, nothing is left")
def _(podman):
    again(podman, "create", RUN)


@operation("kill -9 of the runtime in start: rm, run again, nothing is left")
def _(podman):
    again(podman, "start", RUN)


@operation("kill -9 of the runtime in delete: rm, run again, nothing is left")
def _(podman):
    again(podman, "delete", ["run", "--runtime", "interruptible", "--name", "loaf", image.NAME, "true"])


@operation("kill -9 of the runtime in exec, kill: rm, nothing is left")
def _(podman):
    before = podman.scene.state()
    for verb, words in (("exec", ["exec", "loaf", "true"]), ("kill", ["kill", "loaf"])):
        def attempt():
            podman.up("--runtime", "interruptible")
            call(*podman.words(*words), env=podman.env, code=None)

        def check():
            podman.clean()
            podman.nothing_left(before)

        interrupted(podman, verb, attempt, check)


@operation("nothing is left: processes, mounts, cgroups, links, state")
def _(podman):
    podman.clean()
    podman.nothing_left()
