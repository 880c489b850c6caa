"""Podman: pods, and Kubernetes' words for them."""

import image
from kit import Operations, Skip, equal, has, until

operation = operations = Operations()


def pod(podman, *flags):
    # The infra container sleeps: podman's own pause image has to be built, where there is no registry.
    return podman("pod", "create", "--name", "basket", "--infra-image", image.NAME, "--infra-command", "sleep 1000", *flags)


@operation("pod create, run --pod: one network, one ipc, one hostname")
def _(podman):
    pod(podman)
    podman("run", "-d", "--pod", "basket", image.NAME, "httpd", "-f", "-h", "/www")
    equal(podman("run", "--rm", "--pod", "basket", image.NAME, "wget", "-qO-", "http://127.0.0.1"), "fresh bread")
    equal(podman("run", "--rm", "--pod", "basket", image.NAME, "hostname"), "basket")


@operation("pod create --share pid; pod ps, top, inspect")
def _(podman):
    pod(podman, "--share", "net,ipc,uts,pid")
    podman("run", "-d", "--name", "loaf", "--pod", "basket", image.NAME, "sleep", "999")
    has(podman("exec", "loaf", "ps"), "sleep 1000", "sleep 999")
    has(podman("pod", "ps"), "basket", "Running")
    has(podman("pod", "top", "basket"), "sleep 999")


@operation("pod stop, start, restart, kill, rm")
def _(podman):
    pod(podman)
    podman("run", "-d", "--name", "loaf", "--pod", "basket", image.NAME, "sleep", "1000")
    podman("pod", "stop", "-t", "0", "basket")
    equal(podman.show(".State.Status"), "exited")
    podman("pod", "start", "basket")
    equal(podman.show(".State.Status"), "running")
    podman("pod", "restart", "basket")
    podman("pod", "kill", "basket")
    until("it is dead", lambda: podman.show(".State.Status") == "exited")
    podman("pod", "rm", "-f", "-t", "0", "basket")


@operation("pod pause, unpause, stats")
def _(podman):
    if podman.uid:
        raise Skip("a user has no cgroup on version 1, so podman does not try")
    pod(podman)
    podman("run", "-d", "--name", "loaf", "--pod", "basket", image.NAME, "sleep", "1000")
    podman("pod", "pause", "basket")
    equal(podman.show(".State.Status"), "paused")
    podman("pod", "unpause", "basket")
    has(podman("pod", "stats", "--no-stream", "--format", "{{.Name}}"), "loaf")


PLAY = f"""apiVersion: v1
kind: Pod
metadata:
  name: basket
spec:
  restartPolicy: Never
  initContainers:
  - name: first
    image: {image.NAME}
    command: [sh, -c, "echo flour >/jar/flour"]
    volumeMounts: [{{name: jar, mountPath: /jar}}]
  containers:
  - name: loaf
    image: {image.NAME}
    imagePullPolicy: Never
    command: [sh, -c, "cat /jar/flour; echo $KIND; id -u; exec sleep 1000"]
    env: [{{name: KIND, value: rye}}]
    securityContext: {{runAsUser: 1000, capabilities: {{drop: [ALL]}}}}
    resources: {{limits: {{memory: 64Mi}}}}
    volumeMounts: [{{name: jar, mountPath: /jar}}]
  volumes:
  - name: jar
    emptyDir: {{}}
"""


@operation("kube play, generate, down")
def _(podman):
    # A user has no cgroup on version 1, and so no limits.
    text = PLAY.replace("    resources: {limits: {memory: 64Mi}}\n", "") if podman.uid else PLAY
    # podman makes its pause image of catatonit, which is there.
    file = podman.scene.write("play.yaml", text)
    podman("kube", "play", file)
    podman.logs("1000", "basket-loaf")
    equal(podman("logs", "basket-loaf").split(), ["flour", "rye", "1000"])
    has(podman("kube", "generate", "basket"), "kind: Pod", "rye")
    podman("kube", "down", file)
