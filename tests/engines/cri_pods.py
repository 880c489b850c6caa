"""CRI: pods and containers."""

import os
import struct
import urllib.request

from cri_wire import Stream
from kit import Operations, alive, all_that_we_have, call, equal, has, kill, process_with, until

operation = operations = Operations()
POD, CONTAINER, NODE = 0, 1, 2
SHOW = "cd /sys/fs/cgroup; cat memory.max cpu.max */memory.limit_in_bytes */cpu.cfs_quota_us 2>/dev/null; true"


@operation("run, status, stop, remove of a pod; stop and remove again")
def _(cri):
    pod = cri.pod()
    status = cri("PodSandboxStatus", pod_sandbox_id=pod)["status"]
    equal(status["state"], 0)
    has(status["network"]["ip"], "10.88.")
    for _ in range(2):
        cri("StopPodSandbox", pod_sandbox_id=pod)
    for _ in range(2):
        cri("RemovePodSandbox", pod_sandbox_id=pod)


@operation("create, start, status, log, exit code of a container")
def _(cri):
    cri.pod()
    id = cri.up("sh", "-c", "echo crumb; echo crust >&2; exit 42")
    equal(cri.ends(id), 42)
    until("the log is written", lambda: sorted(cri.written().split()) == ["crumb", "crust"])


@operation("a program that is not there, or is none: start says so")
def _(cri):
    cri.pod()
    id = cri.create("nowhere")
    has(cri.refuses("StartContainer", container_id=id), "executable file not found")
    equal(cri.status(id)["state"], 2)
    id = cri.create("/etc/plain")
    has(cri.refuses("StartContainer", container_id=id), "permission denied")


@operation("environment, working directory, user, groups")
def _(cri):
    cri.pod()
    security = {"run_as_user": {"value": 1000}, "run_as_group": {"value": 2000}, "supplemental_groups": [3000]}
    found = cri.output("sh", "-c", "echo $PWD $A; id", security=security, working_dir="/www", envs=[{"key": "A", "value": "b"}])
    has(found, "/www b", "uid=1000(baker) gid=2000(yeast)", "3000")
    has(cri.output("id", security={"run_as_username": "baker"}), "uid=1000(baker)")


@operation("mounts: read-write, read-only, propagation to and from the host")
def _(cri):
    cri.pod(security={"privileged": True})
    dir = cri.scene.make("bind")
    mount = {"container_path": "/mnt", "host_path": dir}
    cri.output("sh", "-c", "echo crumb >/mnt/file", mounts=[mount])
    has(cri.output("sh", "-c", "touch /mnt/x 2>&1 || true", mounts=[{**mount, "readonly": True}]), "Read-only file system")
    script = "mkdir /mnt/m; mount -t tmpfs inner /mnt/m"
    cri.output("sh", "-c", script, mounts=[{**mount, "propagation": 2}], security={"privileged": True})
    with open("/proc/self/mountinfo") as file:
        has(file.read(), f"{dir}/m ", " /proc ")
    equal(cri.output("grep", "-c", " /mnt/m ", "/proc/mounts", mounts=[{**mount, "propagation": 1}]), "1")
    call("umount", f"{dir}/m")


@operation("privileged")
def _(cri):
    cri.pod(security={"privileged": True})
    script = "mount -t tmpfs x /tmp && grep CapEff /proc/self/status && ls /dev"
    found = cri.output("sh", "-c", script, security={"privileged": True})
    all_that_we_have(found)
    has(found, "kmsg")


@operation("capabilities added and dropped; no_new_privs")
def _(cri):
    cri.pod()
    security = {"capabilities": {"add_capabilities": ["NET_RAW"], "drop_capabilities": ["ALL"]}, "no_new_privs": True}
    found = cri.output("grep", "-E", "CapEff|NoNewPrivs", "/proc/self/status", security=security)
    has(found, "0000000000002000", "NoNewPrivs:\t1")


@operation("seccomp: runtime default, unconfined, a file")
def _(cri):
    cri.pod()
    show = ["grep", "Seccomp:", "/proc/self/status"]
    has(cri.output(*show, security={"seccomp": {"profile_type": 0}}), "2")
    has(cri.output(*show, security={"seccomp": {"profile_type": 1}}), "0")
    profile = cri.scene.write("profile.json", '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}')
    local = {"profile_type": 2, "localhost_ref": f"localhost/{profile}"}
    has(cri.output("sh", "-c", "mkdir /x 2>&1 || true", security={"seccomp": local}), "not permitted")


@operation("read-only root; masked and read-only paths")
def _(cri):
    cri.pod()
    has(cri.output("sh", "-c", "touch /x 2>&1 || true", security={"readonly_rootfs": True}), "Read-only file system")
    security = {"masked_paths": ["/www"], "readonly_paths": ["/home"]}
    has(cri.output("sh", "-c", "ls /www; touch /home/x 2>&1 || true", security=security), "Read-only file system")


@operation("hostPID, hostNetwork, hostIPC")
def _(cri):
    host = {"network": NODE, "pid": NODE, "ipc": NODE}
    cri.pod(namespaces=host)
    found = cri.output("sh", "-c", "ps; ls /sys/class/net", security={"namespace_options": host})
    has(found, "main.py", "pods0")


@operation("shared pid namespace of a pod; a container that joins another's")
def _(cri):
    cri.pod(namespaces={"pid": POD})
    has(cri.output("ps", security={"namespace_options": {"pid": POD}}), "sleep 1000000")
    target = cri.up("sleep", "777", security={"namespace_options": {"pid": CONTAINER}})
    join = {"namespace_options": {"pid": 3, "target_id": target}}
    has(cri.output("ps", security=join), "sleep 777")


@operation("containers of a pod share its network and its host name")
def _(cri):
    cri.pod(hostname="oven")
    cri.up("httpd", "-f", "-h", "/www")
    equal(cri.output("sh", "-c", "wget -qO- http://127.0.0.1; hostname").split("\n"), ["fresh bread", "oven"])


@operation("sysctls of a pod")
def _(cri):
    cri.pod(linux={"sysctls": {"net.ipv4.ip_unprivileged_port_start": "80"}})
    equal(cri.output("cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"), "80")


@operation("host port")
def _(cri):
    cri.pod(port_mappings=[{"container_port": 80, "host_port": 8080}])
    cri.up("httpd", "-f", "-h", "/www")
    address = cri("PodSandboxStatus", pod_sandbox_id=cri.pod_id)["status"]["network"]["ip"]

    def page(host):
        try:
            with urllib.request.urlopen(f"http://{host}/") as answer:
                return answer.read().decode()
        except OSError:
            return None

    equal(until("the page comes", lambda: page(address)), "fresh bread\n")
    equal(until("the page comes by the host's port", lambda: page("127.0.0.1:8080")), "fresh bread\n")


@operation("memory and cpu limits; their update; stats")
def _(cri):
    cri.pod()
    id = cri.up(resources={"memory_limit_in_bytes": 64 << 20, "cpu_period": 100000, "cpu_quota": 50000})
    has(cri.exec(id, "sh", "-c", SHOW), str(64 << 20), "50000")
    cri("UpdateContainerResources", container_id=id, linux={"memory_limit_in_bytes": 32 << 20, "cpu_period": 100000, "cpu_quota": 25000})
    has(cri.exec(id, "sh", "-c", SHOW), str(32 << 20), "25000")
    stats = cri("ContainerStats", container_id=id)["stats"]
    equal(stats["memory"]["working_set_bytes"]["value"] > 0, True)


@operation("death of what exceeds its memory: OOMKilled")
def _(cri):
    cri.pod()
    id = cri.up("sh", "-c", "tail /dev/zero", resources={"memory_limit_in_bytes": 16 << 20})
    equal(cri.ends(id), 137)
    equal(cri.status(id)["reason"], "OOMKilled")


@operation("exec: output, exit code, what is not there, a timeout")
def _(cri):
    cri.pod()
    id = cri.up()
    equal(cri.exec(id, "echo", "crumb"), "crumb")
    cri.exec(id, "sh", "-c", "exit 9", code=9)
    has(cri.refuses("ExecSync", container_id=id, cmd=["nowhere"], timeout=60), "executable file not found")
    has(cri.refuses("ExecSync", container_id=id, cmd=["sleep", "99"], timeout=1), "timeout")


@operation("exec by stream: standard input, both outputs, exit code")
def _(cri):
    cri.pod()
    id = cri.up()
    script = "read a; echo got $a; echo crust >&2; exit 3"
    url = cri("Exec", container_id=id, cmd=["sh", "-c", script], stdin=True, stdout=True, stderr=True)["url"]
    stream = Stream(url)
    stream.send(0, b"flour\n")
    said = stream.rest()
    equal((said[1], said[2]), (b"got flour\n", b"crust\n"))
    has(said[3].decode(), '"3"')


@operation("exec by stream at a terminal, resized")
def _(cri):
    cri.pod()
    stream = Stream(cri("Exec", container_id=cri.up(), cmd=["sh"], tty=True, stdin=True, stdout=True)["url"])
    stream.until(b"# ")
    stream.send(4, b'{"Width": 101, "Height": 33}')
    # The new size comes another way than what is typed.
    stream.send(0, b"until stty size | grep '33 101'; do sleep 0.1; done; tty\n")
    has(stream.until(b"/dev/pts/").decode(), "33 101")
    stream.send(0, b"exit\n")
    stream.rest()


@operation("attach: standard input and output of the first program")
def _(cri):
    cri.pod()
    id = cri.up("sh", "-c", "while read a; do echo got $a; done", stdin=True)
    stream = Stream(cri("Attach", container_id=id, stdin=True, stdout=True, stderr=True)["url"])
    stream.send(0, b"flour\n")
    stream.until(b"got flour\n")
    stream.close()


@operation("attach at a terminal")
def _(cri):
    cri.pod()
    id = cri.up("sh", stdin=True, tty=True)
    stream = Stream(cri("Attach", container_id=id, stdin=True, stdout=True, tty=True)["url"])
    stream.send(0, b"tty\n")
    stream.until(b"/dev/pts/0")
    stream.close()


@operation("port-forward")
def _(cri):
    cri.pod()
    cri.up("httpd", "-f", "-h", "/www")
    stream = Stream(cri("PortForward", pod_sandbox_id=cri.pod_id, port=[80])["url"])
    # Each channel begins with the port that it is for.
    for _ in range(2):
        equal(stream.receive()[1], struct.pack("<H", 80))
    stream.send(0, b"GET / HTTP/1.0\r\n\r\n")
    stream.until(b"fresh bread", channel=0)
    stream.close()


@operation("log reopened after its rotation")
def _(cri):
    cri.pod()
    id = cri.up("sh", "-c", "while :; do echo crumb; sleep 0.1; done")
    until("it writes", cri.written)
    os.rename(cri.log, f"{cri.log}.1")
    cri("ReopenContainerLog", container_id=id)
    until("it writes again", lambda: os.path.exists(cri.log) and cri.written())


@operation("stop: the grace, then the signal that cannot be caught; again")
def _(cri):
    cri.pod()
    id = cri.up("sh", "-c", "trap 'exit 8' TERM; while :; do sleep 0.1; done")
    until("it runs", lambda: cri.exec(id, "true") == "")
    cri("StopContainer", container_id=id, timeout=30)
    equal(cri.ends(id), 8)
    id = cri.up("sh", "-c", "trap '' TERM; sleep 999 & while :; do sleep 0.1; done")
    for _ in range(2):
        cri("StopContainer", container_id=id, timeout=1)
    equal(cri.ends(id), 137)
    for _ in range(2):
        cri("RemoveContainer", container_id=id)


@operation("containerd is started again, and killed: pods go on")
def _(cri):
    cri.pod()
    id = cri.up()
    for how in (False, True):
        cri.scene.stop(cri.daemon, kill=how)
        cri.start_daemon()
        equal(cri.status(id)["state"], 1)
        equal(cri.exec(id, "echo", "crumb"), "crumb")


@operation("kill -9 of the pod's shim: stop and remove, another pod runs")
def _(cri):
    pod = cri.pod()
    id = cri.up()
    shim = process_with("containerd-shim", pod)
    kill(shim)
    until("the container has ended", lambda: cri.status(id)["state"] == 2)
    equal(alive(shim), False)
    cri.clean()
    cri.pod()
    equal(cri.output("echo", "crumb"), "crumb")


@operation("ten pods at once")
def _(cri):
    ids = []
    for _ in range(10):
        ids.append(cri.pod())
        cri.up()
    equal(len(cri("ListPodSandbox")["items"]), 10)
    for id in ids:
        cri("StopPodSandbox", pod_sandbox_id=id)
    equal(len(cri("ListContainers")["containers"]), 10)


@operation("nothing is left: processes, mounts, cgroups, links, state")
def _(cri):
    cri.clean()
    cri.nothing_left()
