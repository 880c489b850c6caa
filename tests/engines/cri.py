"""Kubernetes' CRI as the kubelet calls it, in containerd, with a handler for the runtime under test."""

import itertools
import os

import grpc

import image
from cri_pods import operations
from cri_wire import Client
from kit import Failure, call, until

__all__ = ["Engine", "operations"]

CONFIGURATION = """version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  disable_tcp_service = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "under-test"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.under-test]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.under-test.options]
        BinaryName = "{program}"
"""
NETWORK = """{{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {{"type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": true, "ipam":
    {{"type": "host-local", "dataDir": "{dir}", "ranges": [[{{"subnet": "10.88.0.0/16"}}]], "routes": [{{"dst": "0.0.0.0/0"}}]}}}},
  {{"type": "portmap", "capabilities": {{"portMappings": true}}}}]}}
"""


class Engine:
    def __init__(self, scene):
        self.scene = scene
        self.socket = "/run/containerd.sock"
        self.numbers = itertools.count()
        self.logs = scene.make("logs")

    def start(self):
        scene = self.scene
        scene.write("cni/pods.conflist", NETWORK.format(dir=scene.make("addresses")))
        text = CONFIGURATION.format(socket=self.socket, program=scene.program, pause=image.PAUSE, cni=scene.path("cni"))
        self.config = scene.write("containerd.toml", text)
        self.start_daemon()
        for name, command in ((image.NAME, ["sh"]), (image.PAUSE, ["/bin/sleep", "1000000"])):
            call("ctr", "--address", self.socket, "-n", "k8s.io", "images", "import", scene.archive(name, command))
        # The bridge stays when its pods are gone.
        self.pod()
        self.clean()
        self.before = scene.state()

    def start_daemon(self):
        self.daemon = self.scene.daemon("containerd", "--config", self.config)
        self.client = Client(self.socket)
        until("the CRI answers", self.answers)

    def answers(self):
        if self.daemon.poll() is not None:
            raise Failure(f"containerd ended: see {self.scene.path('containerd.log')}")
        try:
            return self.client("Version")
        except grpc.RpcError:
            return None

    def stop(self):
        self.scene.stop(self.daemon)

    def __call__(self, method, **message):
        try:
            return self.client(method, **message)
        except grpc.RpcError as error:
            raise Failure(f"{method}: {error.details()}") from error

    def refuses(self, method, **message):
        try:
            self.client(method, **message)
        except grpc.RpcError as error:
            return error.details()
        raise Failure(f"{method} goes well")

    def pod(self, namespaces=None, **more):
        """The id of a new pod; its configuration is kept for its containers."""
        security = {"namespace_options": namespaces or {}, **more.pop("security", {})}
        self.config_of_pod = {
            "metadata": {"name": f"pod{next(self.numbers)}", "uid": "uid", "namespace": "bakery", "attempt": 0},
            "log_directory": self.logs, **more, "linux": {"security_context": security, **more.pop("linux", {})},
        }
        self.pod_id = self("RunPodSandbox", config=self.config_of_pod)["pod_sandbox_id"]
        return self.pod_id

    def create(self, *command, security=None, resources=None, **more):
        name = f"c{next(self.numbers)}"
        self.log = os.path.join(self.logs, f"{name}.log")
        config = {
            "metadata": {"name": name}, "image": {"image": image.NAME}, "command": list(command or ("sleep", "1000")),
            "log_path": f"{name}.log", "linux": {"resources": resources or {}, "security_context": security or {}}, **more,
        }
        return self("CreateContainer", pod_sandbox_id=self.pod_id, config=config, sandbox_config=self.config_of_pod)["container_id"]

    def up(self, *command, **more):
        id = self.create(*command, **more)
        self("StartContainer", container_id=id)
        return id

    def status(self, id):
        return self("ContainerStatus", container_id=id)["status"]

    def ends(self, id):
        """Its exit code."""
        until("the container ends", lambda: self.status(id)["state"] == 2)
        return self.status(id)["exit_code"]

    def output(self, *command, **more):
        """What a container of its own writes, to its end."""
        id = self.up(*command, **more)
        code = self.ends(id)
        text = self.written()
        if code:
            raise Failure(f"{command}: exit code {code}: {text}")
        return text

    def written(self):
        """The log's lines: time, stream, whole or part, text."""
        with open(self.log) as file:
            return "".join(line.split(" ", 3)[3] for line in file).strip()

    def exec(self, id, *command, code=0):
        answer = self("ExecSync", container_id=id, cmd=list(command), timeout=60)
        if answer["exit_code"] != code:
            raise Failure(f"exec {command}: exit code {answer['exit_code']}: {answer['stderr']}")
        return answer["stdout"].strip()

    def clean(self):
        for pod in self("ListPodSandbox")["items"]:
            self("StopPodSandbox", pod_sandbox_id=pod["id"])
            self("RemovePodSandbox", pod_sandbox_id=pod["id"])

    def nothing_left(self):
        self.scene.left(self.before, r"process \d+ containerd |cgroup .*/k8s.io$|state .*/k8s.io$")
