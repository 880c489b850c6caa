"""The CRI's messages, as far as the tests use them, on the wire: protocol buffers over gRPC, WebSockets for streams.

A schema is {field: (number, kind)}; a kind is str, int, bool, bytes, MAP, a schema, or a list of one of them.
"""

import base64
import os
import socket
import struct
from urllib.parse import urlsplit

import grpc

MAP = {"key": (1, str), "value": (2, str)}


def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def encode(schema, message):
    out = b""
    for name, value in message.items():
        number, kind = schema[name]
        if kind is MAP:
            value = [{"key": key, "value": word} for key, word in value.items()]
        for one in value if isinstance(value, list) else [value]:
            one_kind = kind[0] if isinstance(kind, list) else kind
            if one_kind in (int, bool):
                out += varint(number << 3) + varint(int(one))
            else:
                data = encode(one_kind, one) if isinstance(one_kind, dict) else one.encode()
                out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def decode(schema, data):
    """Fields that are not set are there with their zero; those that the schema does not know are passed over."""
    def default(kind):
        return [] if isinstance(kind, list) else {} if kind is MAP else decode(kind, b"") if isinstance(kind, dict) else kind()

    found = {name: default(kind) for name, (_, kind) in schema.items()}
    names = {number: (name, kind) for name, (number, kind) in schema.items()}
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = number()
        value = number()
        if tag & 7 == 2:
            at += value
            value = data[at - value:at]
        name, kind = names.get(tag >> 3, (None, None))
        if name is None:
            continue
        one_kind = kind[0] if isinstance(kind, list) else kind
        if isinstance(one_kind, dict):
            value = decode(one_kind, value)
        elif one_kind is str:
            value = value.decode(errors="replace")
        elif one_kind is int and value >> 31 & 1 and value >> 63:
            value -= 1 << 64
        if kind is MAP:
            found[name][value["key"]] = value["value"]
        elif isinstance(kind, list):
            found[name].append(value)
        else:
            found[name] = value
    return found


METADATA = {"name": (1, str), "uid": (2, str), "namespace": (3, str), "attempt": (4, int)}
NAMESPACES = {"network": (1, int), "pid": (2, int), "ipc": (3, int), "target_id": (4, str)}
ID_VALUE = {"value": (1, int)}
PROFILE = {"profile_type": (1, int), "localhost_ref": (2, str)}
POD_SECURITY = {"namespace_options": (1, NAMESPACES), "readonly_rootfs": (4, bool), "privileged": (6, bool), "seccomp": (9, PROFILE)}
POD = {
    "metadata": (1, METADATA), "hostname": (2, str), "log_directory": (3, str),
    "port_mappings": (5, [{"protocol": (1, int), "container_port": (2, int), "host_port": (3, int)}]),
    "labels": (6, MAP), "annotations": (7, MAP),
    "linux": (8, {"cgroup_parent": (1, str), "security_context": (2, POD_SECURITY), "sysctls": (3, MAP)}),
}
RESOURCES = {
    "cpu_period": (1, int), "cpu_quota": (2, int), "cpu_shares": (3, int), "memory_limit_in_bytes": (4, int),
    "oom_score_adj": (5, int), "cpuset_cpus": (6, str),
}
SECURITY = {
    "capabilities": (1, {"add_capabilities": (1, [str]), "drop_capabilities": (2, [str])}), "privileged": (2, bool),
    "namespace_options": (3, NAMESPACES), "run_as_user": (5, ID_VALUE), "run_as_username": (6, str),
    "readonly_rootfs": (7, bool), "supplemental_groups": (8, [int]), "no_new_privs": (11, bool),
    "run_as_group": (12, ID_VALUE), "masked_paths": (13, [str]), "readonly_paths": (14, [str]), "seccomp": (15, PROFILE),
}
MOUNT = {"container_path": (1, str), "host_path": (2, str), "readonly": (3, bool), "propagation": (5, int)}
CONTAINER = {
    "metadata": (1, {"name": (1, str), "attempt": (2, int)}), "image": (2, {"image": (1, str)}), "command": (3, [str]),
    "args": (4, [str]), "working_dir": (5, str), "envs": (6, [{"key": (1, str), "value": (2, str)}]), "mounts": (7, [MOUNT]),
    "log_path": (11, str), "stdin": (12, bool), "stdin_once": (13, bool), "tty": (14, bool),
    "linux": (15, {"resources": (1, RESOURCES), "security_context": (2, SECURITY)}),
}
POD_ID = {"pod_sandbox_id": (1, str)}
CONTAINER_ID = {"container_id": (1, str)}
URL = {"url": (1, str)}
STATUS = {"id": (1, str), "state": (3, int), "exit_code": (7, int), "reason": (10, str), "message": (11, str)}
USAGE = {"memory": (3, {"working_set_bytes": (2, ID_VALUE)})}

# Method: what is asked, what is answered.
METHODS = {
    "Version": ({}, {"runtime_name": (2, str), "runtime_api_version": (4, str)}),
    "RunPodSandbox": ({"config": (1, POD), "runtime_handler": (2, str)}, POD_ID),
    "StopPodSandbox": (POD_ID, {}),
    "RemovePodSandbox": (POD_ID, {}),
    "PodSandboxStatus": (POD_ID, {"status": (1, {"id": (1, str), "state": (3, int), "network": (5, {"ip": (1, str)})})}),
    "ListPodSandbox": ({}, {"items": (1, [{"id": (1, str)}])}),
    "CreateContainer": ({"pod_sandbox_id": (1, str), "config": (2, CONTAINER), "sandbox_config": (3, POD)}, CONTAINER_ID),
    "StartContainer": (CONTAINER_ID, {}),
    "StopContainer": ({"container_id": (1, str), "timeout": (2, int)}, {}),
    "RemoveContainer": (CONTAINER_ID, {}),
    "ListContainers": ({}, {"containers": (1, [{"id": (1, str)}])}),
    "ContainerStatus": (CONTAINER_ID, {"status": (1, STATUS)}),
    "UpdateContainerResources": ({"container_id": (1, str), "linux": (2, RESOURCES)}, {}),
    "ReopenContainerLog": (CONTAINER_ID, {}),
    "ExecSync": (
        {"container_id": (1, str), "cmd": (2, [str]), "timeout": (3, int)},
        {"stdout": (1, str), "stderr": (2, str), "exit_code": (3, int)},
    ),
    "Exec": (
        {"container_id": (1, str), "cmd": (2, [str]), "tty": (3, bool), "stdin": (4, bool), "stdout": (5, bool), "stderr": (6, bool)},
        URL,
    ),
    "Attach": ({"container_id": (1, str), "stdin": (2, bool), "tty": (3, bool), "stdout": (4, bool), "stderr": (5, bool)}, URL),
    "PortForward": ({"pod_sandbox_id": (1, str), "port": (2, [int])}, URL),
    "ContainerStats": (CONTAINER_ID, {"stats": (1, USAGE)}),
}


class Client:
    def __init__(self, path):
        self.channel = grpc.insecure_channel(f"unix://{path}", options=[("grpc.enable_http_proxy", 0)])

    def __call__(self, method, **message):
        asked, answered = METHODS[method]
        ask = self.channel.unary_unary(f"/runtime.v1.RuntimeService/{method}")
        return decode(answered, ask(encode(asked, message), timeout=120))


class Stream:
    """A WebSocket to containerd's streaming server: each message begins with its channel's number."""

    def __init__(self, url):
        place = urlsplit(url)
        self.socket = socket.create_connection((place.hostname, place.port), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {place.path} HTTP/1.1", f"Host: {place.netloc}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: v4.channel.k8s.io"]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.file = self.socket.makefile("rb")
        status = self.file.readline().decode()
        if " 101 " not in status:
            raise ValueError(f"the stream is refused: {status.strip()}")
        while self.file.readline().strip():
            pass

    def send(self, channel, data):
        data = bytes([channel]) + data
        size = bytes([len(data) | 128]) if len(data) < 126 else bytes([126 | 128]) + struct.pack(">H", len(data))
        self.socket.sendall(b"\x82" + size + b"\0\0\0\0" + data)

    def receive(self):
        """(channel, data), or None at the end."""
        head = self.file.read(2)
        if len(head) < 2:
            return None
        size = head[1] & 127
        if size > 125:
            size = struct.unpack(">H", self.file.read(2))[0] if size == 126 else struct.unpack(">Q", self.file.read(8))[0]
        data = self.file.read(size)
        if head[0] & 15 == 8:
            return None
        return (data[0], data[1:]) if data else (0, b"")

    def until(self, part, channel=1):
        """Reads on until the channel has said it."""
        said = b""
        while part not in said:
            message = self.receive()
            if message is None:
                raise ValueError(f"the stream ends before {part!r}: {said[-200:]!r}")
            if message[0] == channel:
                said += message[1]
        return said

    def rest(self):
        """channel -> all that comes until the end."""
        found = {}
        while message := self.receive():
            found[message[0]] = found.get(message[0], b"") + message[1]
        return found

    def close(self):
        self.socket.close()
