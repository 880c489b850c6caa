"""The image that all engines get: busybox, as an archive that `docker save` would have written."""

import hashlib
import io
import json
import os
import subprocess
import tarfile

NAME = "localhost/loaf:1"
# The CRI's pause container.
PAUSE = "localhost/pause:1"
BUSYBOX = "/bin/busybox"
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nbaker:x:1000:1000:baker:/home/baker:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "etc/group": "root:x:0:\nbaker:x:1000:\nyeast:x:2000:baker\nnogroup:x:65534:\n",
    "www/index.html": "fresh bread\n",
    "etc/plain": "not a program\n",
}


def add(tar, name, data=b"", mode=0o755, kind=tarfile.REGTYPE, link=""):
    member = tarfile.TarInfo(name)
    member.mode, member.type, member.linkname, member.size = mode, kind, link, len(data)
    tar.addfile(member, io.BytesIO(data))


def layer():
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for name in ("bin", "dev", "etc", "proc", "root", "sys", "www", "home", "home/baker", "var", "var/empty"):
            add(tar, name, kind=tarfile.DIRTYPE)
        add(tar, "tmp", kind=tarfile.DIRTYPE, mode=0o1777)
        with open(BUSYBOX, "rb") as busybox:
            add(tar, "bin/busybox", busybox.read())
        applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
        for applet in applets:
            if applet != "busybox":
                add(tar, f"bin/{applet}", kind=tarfile.SYMTYPE, link="busybox")
        for name, text in FILES.items():
            add(tar, name, text.encode(), mode=0o644)
    return output.getvalue()


def archive(path, name, command):
    blob = layer()
    digest = hashlib.sha256(blob).hexdigest()
    config = {
        "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": command},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "busybox"}],
    }
    text = json.dumps(config).encode()
    config_name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(path, "w") as tar:
        add(tar, config_name, text, mode=0o644)
        add(tar, f"{digest}/layer.tar", blob, mode=0o644)
        add(tar, "manifest.json", json.dumps(manifest).encode(), mode=0o644)


def unpack(dir):
    """The same as a directory: a root filesystem."""
    with tarfile.open(fileobj=io.BytesIO(layer())) as tar:
        tar.extractall(dir)
