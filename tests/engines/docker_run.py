"""Docker: containers, from `docker run` to `docker rm`."""

import concurrent.futures
import json
import os
import re
import urllib.request

import image
from kit import Operations, all_that_we_have, equal, has, lacks, until
from terminal import Terminal

operation = operations = Operations()


@operation("info: the runtime is the default")
def _(docker):
    has(docker("info", "--format", "{{.DefaultRuntime}}"), docker.scene.name)


@operation("run --rm: output and exit code 0")
def _(docker):
    equal(docker.run("echo", "crumb"), "crumb")
    equal(docker("ps", "-aq"), "")


@operation("run: both outputs apart")
def _(docker):
    equal(docker.run("sh", "-c", "echo in; echo out >&2"), "in")
    has(docker.run("sh", "-c", "echo out >&2; exit 3", code=3), "out")


@operation("run -i: standard input")
def _(docker):
    equal(docker("run", "--rm", "-i", image.NAME, "cat", stdin="flour\n"), "flour")


@operation("run: the program's exit code")
def _(docker):
    docker.run("sh", "-c", "exit 42", code=42)


@operation("run: exit code 125 for what the daemon refuses")
def _(docker):
    docker.run("--memory", "1k", "--", "true", code=125)


@operation("run: exit code 126 for what is no program")
def _(docker):
    has(docker.run("/etc/plain", code=126), "permission denied")


@operation("run: exit code 127 for what is not there")
def _(docker):
    has(docker.run("nowhere", code=127), "executable file not found")
    has(docker.run("/nowhere", code=127), "no such file or directory")


@operation("run: 128 + the signal")
def _(docker):
    docker.run("--init", "--", "sh", "-c", "kill -9 $$", code=137)
    docker.run("--init", "--", "sh", "-c", "kill -15 $$", code=143)


@operation("run -d, logs, wait")
def _(docker):
    docker("run", "-d", "--name", "loaf", image.NAME, "sh", "-c", "echo crumb; exit 7")
    equal(docker("wait", "loaf"), "7")
    equal(docker("logs", "loaf"), "crumb")


@operation("run -it: prompt, job control, window size")
def _(docker):
    shell = Terminal("docker", "run", "--rm", "-it", image.NAME, rows=33, columns=101, env=docker.env)
    shell.shows("# ")
    shell.shows_after("stty size\n", "33 101")
    shell.resize(20, 50)
    shell.shows_after("stty size\n", "20 50")
    shell.shows("# ")
    shell.type("echo go; sleep 1000\n")
    shell.shows("\ngo")
    shell.shows_after("\x03", "# ")
    shell.shows_after("tty\n", "/dev/pts/0")
    shell.type("exit 5\n")
    shell.ends(5)


@operation("run -it: detach with its keys, attach again")
def _(docker):
    shell = Terminal("docker", "run", "--name", "loaf", "-it", image.NAME, env=docker.env)
    shell.shows("# ")
    shell.type("A=dough\n")
    shell.shows("# ")
    shell.detach()
    shell.ends(0)
    shell = Terminal("docker", "attach", "loaf", env=docker.env)
    shell.type("echo $A-$A; exit 6\n")
    shell.shows("dough-dough")
    shell.ends(6)


@operation("run --user: ids, names, further groups")
def _(docker):
    equal(docker.run("--user", "1000:2000", "--", "id"), "uid=1000(baker) gid=2000(yeast) groups=2000(yeast)")
    has(docker.run("--user", "baker", "--group-add", "3000", "--", "id"), "uid=1000(baker)", "3000")


@operation("run -w, -e, --hostname, --entrypoint")
def _(docker):
    flags = ["-w", "/www", "-e", "A=b", "--hostname", "oven", "--entrypoint", "sh"]
    equal(docker.run(*flags, "--", "-c", "echo $PWD $A $(hostname)"), "/www b oven")


@operation("run --read-only")
def _(docker):
    has(docker.run("--read-only", "--", "touch", "/x", code=1), "Read-only file system")


@operation("run --tmpfs")
def _(docker):
    has(docker.run("--read-only", "--tmpfs", "/x:size=64k,mode=1770", "--", "sh", "-c", "touch /x/y; grep /x /proc/mounts"),
        "size=64k", "mode=1770")


@operation("run -v: a directory, also read-only")
def _(docker):
    dir = docker.scene.make("bind")
    docker.run("-v", f"{dir}:/d", "--", "sh", "-c", "echo crumb >/d/file")
    with open(f"{dir}/file") as file:
        equal(file.read(), "crumb\n")
    has(docker.run("-v", f"{dir}:/d:ro", "--", "touch", "/d/x", code=1), "Read-only file system")


@operation("run -v: a file, and a volume that stays")
def _(docker):
    file = docker.scene.write("note", "crumb\n")
    equal(docker.run("-v", f"{file}:/note", "--", "cat", "/note"), "crumb")
    docker.run("-v", "jar:/d", "--", "touch", "/d/x")
    equal(docker.run("-v", "jar:/d", "--", "ls", "/d"), "x")
    docker("volume", "rm", "jar")


@operation("run -v: propagation rshared, rslave")
def _(docker):
    dir = docker.scene.make("bind")
    docker.run("--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined", "-v", f"{dir}:/d:rshared", "--",
               "sh", "-c", "mkdir /d/m; mount -t tmpfs inner /d/m")
    with open("/proc/self/mountinfo") as mounts:
        has(mounts.read(), f"{dir}/m")
    equal(docker.run("-v", f"{dir}:/d:rslave", "--", "grep", "-c", " /d/m ", "/proc/mounts"), "1")
    os.system(f"umount {dir}/m")


@operation("run --mount: bind without recursion, tmpfs")
def _(docker):
    dir = docker.scene.make("bind")
    flags = ["--mount", f"type=bind,src={dir},dst=/d,bind-nonrecursive", "--mount", "type=tmpfs,dst=/x,tmpfs-size=65536"]
    equal(docker.run(*flags, "--", "grep", "-cE", " /(d|x) ", "/proc/mounts"), "2")


@operation("run -p: a published port answers")
def _(docker):
    docker.up("-p", "8080:80", "--", "httpd", "-f", "-h", "/www")

    def page():
        try:
            with urllib.request.urlopen("http://127.0.0.1:8080/") as answer:
                return answer.read().decode()
        except OSError:
            return None

    equal(until("the page comes", page), "fresh bread\n")


@operation("run --network none, host, container:")
def _(docker):
    equal(docker.run("--network", "none", "--", "ls", "/sys/class/net"), "lo")
    has(docker.run("--network", "host", "--", "ls", "/sys/class/net"), "docker0")
    docker.up("--", "httpd", "-f", "-h", "/www")
    equal(docker.run("--network", "container:loaf", "--", "wget", "-qO-", "http://127.0.0.1"), "fresh bread")


@operation("run --pid host, container:; --ipc, --uts host")
def _(docker):
    equal(docker.run("--pid", "host", "--", "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline | grep -c main.py"), "1")
    docker.up()
    has(docker.run("--pid", "container:loaf", "--", "ps"), "sleep 1000")
    docker.run("--ipc", "host", "--uts", "host", "--", "true")


@operation("run --privileged")
def _(docker):
    found = docker.run("--privileged", "--", "sh", "-c", "mount -t tmpfs x /tmp && grep CapEff /proc/self/status && ls /dev")
    has(found, "kmsg")
    all_that_we_have(found)


@operation("run --cap-drop, --cap-add")
def _(docker):
    has(docker.run("--cap-drop", "ALL", "--cap-add", "NET_RAW", "--", "grep", "CapEff", "/proc/self/status"),
        "0000000000002000")


@operation("run: docker's seccomp profile, and without")
def _(docker):
    has(docker.run("grep", "Seccomp:", "/proc/self/status"), "2")
    has(docker.run("unshare", "-U", "true", code=1), "not permitted")
    has(docker.run("--security-opt", "seccomp=unconfined", "--", "grep", "Seccomp:", "/proc/self/status"), "0")


@operation("run --security-opt no-new-privileges; masked paths")
def _(docker):
    has(docker.run("--security-opt", "no-new-privileges", "--", "grep", "NoNewPrivs", "/proc/self/status"), "1")
    equal(docker.run("sh", "-c", "wc -c </proc/keys; ls -A /sys/firmware | wc -l").split(), ["0", "0"])


@operation("run --memory: the limit, and death of what exceeds it")
def _(docker):
    docker.up("--memory", "32m")
    equal(docker("exec", "loaf", "sh", "-c", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null || true"), "33554432")
    docker("run", "--name", "big", "--memory", "16m", "--memory-swap", "16m", image.NAME, "sh", "-c", "tail /dev/zero", code=137)
    equal(docker.show(".State.OOMKilled", "big"), "true")


@operation("run --cpus, --cpu-shares, --cpuset-cpus, --pids-limit")
def _(docker):
    flags = ["--cpus", "0.5", "--cpu-shares", "512", "--cpuset-cpus", "0", "--pids-limit", "50"]
    found = docker.run(*flags, "--", "sh", "-c", "cd /sys/fs/cgroup; cat cpu.max pids.max cpuset.cpus */cpu.cfs_quota_us "
                       "*/pids.max */cpuset.cpus */cpu.shares 2>/dev/null; true").split("\n")
    # cpu.max says the period, too; there are no shares in version 2.
    equal({"50000", "50", "0"} - {word for line in found for word in line.split()}, set())


@operation("run --ulimit, --sysctl, --shm-size, --oom-score-adj")
def _(docker):
    flags = ["--ulimit", "nofile=100:200", "--sysctl", "net.ipv4.ip_forward=0", "--shm-size", "1m", "--oom-score-adj", "300"]
    found = docker.run(*flags, "--", "sh", "-c", "ulimit -n; ulimit -Hn; cat /proc/sys/net/ipv4/ip_forward /proc/self/oom_score_adj; grep -c 'shm.*size=1024k' /proc/mounts")
    equal(found.split(), ["100", "200", "0", "300", "1"])


@operation("run --device, --device-cgroup-rule")
def _(docker):
    equal(docker.run("--device", "/dev/null:/dev/x:rw", "--", "sh", "-c", "echo >/dev/x && stat -c %F /dev/x"), "character special file")
    has(docker.run("sh", "-c", "mknod /m c 1 11 && cat /m", code=1), "not permitted")


@operation("run --init reaps orphans")
def _(docker):
    docker.up("--init", "--", "sh", "-c", "sleep 1000")
    has(docker("exec", "loaf", "cat", "/proc/1/cmdline"), "docker-init")
    docker("exec", "loaf", "sh", "-c", "(sleep 0.1 &)")
    until("no zombie is left", lambda: "Z" not in re.findall(r"[(].*[)] (.)", docker("exec", "loaf", "sh", "-c", "cat /proc/[0-9]*/stat")))


@operation("health checks")
def _(docker):
    docker.up("--health-cmd", "test -e /tmp/ready", "--health-interval", "1s", "--health-retries", "1")
    until("it is unhealthy", lambda: docker.show(".State.Health.Status") == "unhealthy")
    docker("exec", "loaf", "touch", "/tmp/ready")
    until("it is healthy", lambda: docker.show(".State.Health.Status") == "healthy")


@operation("exec: output, exit codes 126, 127 and its own")
def _(docker):
    docker.up()
    equal(docker("exec", "loaf", "echo", "crumb"), "crumb")
    docker("exec", "loaf", "sh", "-c", "exit 9", code=9)
    has(docker("exec", "loaf", "nowhere", code=126 if docker_is_old(docker) else 127), "executable file not found")
    has(docker("exec", "loaf", "/etc/plain", code=126), "permission denied")


def docker_is_old(docker):
    """Before 23.0 an exec of what is not there gave 126."""
    return int(docker("version", "--format", "{{.Server.Version}}").split(".")[0]) < 23


@operation("exec -u, -w, -e, -d, --privileged")
def _(docker):
    docker.up()
    equal(docker("exec", "-u", "baker", "-w", "/www", "-e", "A=b", "loaf", "sh", "-c", "echo $(id -un) $PWD $A"), "baker /www b")
    docker("exec", "-d", "loaf", "touch", "/tmp/there")
    until("the detached program ran", lambda: docker("exec", "loaf", "ls", "/tmp") == "there")
    all_that_we_have(docker("exec", "--privileged", "loaf", "grep", "CapEff", "/proc/self/status"))


@operation("exec -it at a terminal; exec -i")
def _(docker):
    docker.up()
    shell = Terminal("docker", "exec", "-it", "loaf", "sh", rows=31, columns=91, env=docker.env)
    shell.shows("# ")
    shell.shows_after("stty size\n", "31 91")
    shell.type("exit 4\n")
    shell.ends(4)
    equal(docker("exec", "-i", "loaf", "cat", stdin="flour"), "flour")


@operation("top, stats, ps, inspect")
def _(docker):
    docker.up("--memory", "64m")
    has(docker("top", "loaf"), "sleep 1000")
    equal(docker("top", "loaf", "-o", "pid").split()[1], str(docker.pid()))
    stats = json.loads(docker("stats", "--no-stream", "--format", "{{json .}}", "loaf"))
    has(stats["MemUsage"], "/ 64MiB")
    equal(stats["PIDs"], "1")
    has(docker("ps", "--format", "{{.Names}} {{.Status}}"), "loaf Up")
    has(docker.show(".HostConfig.Runtime"), docker.scene.name)


@operation("pause, unpause; exec and top while paused")
def _(docker):
    docker.up()
    docker("pause", "loaf")
    equal(docker.show(".State.Status"), "paused")
    has(docker("exec", "loaf", "true", code=1), "is paused")
    docker("unpause", "loaf")
    equal(docker("exec", "loaf", "echo", "crumb"), "crumb")


@operation("rm -f of a paused container")
def _(docker):
    docker.up()
    docker("pause", "loaf")
    docker("rm", "-f", "loaf")


@operation("update --memory, --cpus, --pids-limit")
def _(docker):
    docker.up("--memory", "64m")
    docker("update", "--memory", "32m", "--memory-swap", "64m", "--cpus", "0.25", "--pids-limit", "40", "loaf")
    found = docker("exec", "loaf", "sh", "-c", "cd /sys/fs/cgroup; cat memory.max cpu.max pids.max */memory.limit_in_bytes */cpu.cfs_quota_us */pids.max 2>/dev/null; true")
    has(found, "33554432", "25000", "40")


@operation("kill by name and number; stop, its grace and its signal")
def _(docker):
    trap = "trap 'echo hup' HUP; trap 'exit 8' TERM; while :; do sleep 0.1; done"
    docker.up("--", "sh", "-c", trap)
    docker("kill", "-s", "HUP", "loaf")
    until("it heard HUP", lambda: "hup" in docker("logs", "loaf"))
    docker("stop", "loaf")
    equal(docker.show(".State.ExitCode"), "8")
    docker("start", "loaf")
    docker("kill", "loaf")
    until("it is dead", lambda: docker.show(".State.ExitCode") == "137")
    docker("rm", "loaf")
    docker.up()
    docker("stop", "-t", "0", "loaf")
    equal(docker.show(".State.ExitCode"), "137")


@operation("restart, start; restart policy")
def _(docker):
    docker.up("--", "sh", "-c", "date >>/tmp/starts; sleep 1000")
    docker("restart", "-t", "0", "loaf")
    until("it started twice", lambda: docker("exec", "loaf", "sh", "-c", "wc -l </tmp/starts") == "2")
    docker("run", "-d", "--name", "again", "--restart", "on-failure:2", image.NAME, "sh", "-c", "exit 1")
    until("it was restarted", lambda: docker.show(".RestartCount", "again") == "2")


@operation("create, start -a, cp, diff, commit, export, rename")
def _(docker):
    docker("create", "--name", "loaf", image.NAME, "sh", "-c", "cat /x; touch /y")
    file = docker.scene.write("x", "crumb\n")
    docker("cp", file, "loaf:/x")
    equal(docker("start", "-a", "loaf"), "crumb")
    has(docker("diff", "loaf"), "A /y")
    docker("commit", "loaf", "crust")
    docker("rename", "loaf", "bread")
    equal(docker("run", "--rm", "crust", "ls", "/y"), "/y")
    docker("rm", "bread")
    docker("rmi", "crust")


@operation("checkpoint: refused in clear words")
def _(docker):
    docker.up()
    lacks(docker("checkpoint", "create", "loaf", "one", code=1), "panic")
    equal(docker.show(".State.Status"), "running")


@operation("events of a container's life")
def _(docker):
    begin = docker.run("date", "+%s")
    docker.run("true")
    end = str(int(docker.run("date", "+%s")) + 1)
    found = docker("events", "--since", begin, "--until", end, "--format", "{{.Action}}").split()
    for action in ("create", "start", "die", "destroy"):
        has(found, action)


@operation("ten containers at once")
def _(docker):
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        equal(list(pool.map(lambda n: docker.run("echo", str(n)), range(10))), [str(n) for n in range(10)])
