"""Times OCI runtimes side by side; scripts/bench makes the bundles and calls it.

Each process is started by posix_spawn and waited for by wait4, so that what is measured beside the runtime is small and
the same for all. The containers' processes are ours to reap (PR_SET_CHILD_SUBREAPER), so none is timed while another
dies.
"""

import argparse
import ctypes
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

PR_SET_CHILD_SUBREAPER = 36
NULL = os.open("/dev/null", os.O_RDWR)


class Runtime:
    def __init__(self, name, program, state):
        self.name, self.program, self.root = name, program, os.path.join(state, name)
        os.mkdir(self.root)

    def spawn(self, *words):
        out = self.errors = os.open(os.path.join(self.root, "..", self.name + ".log"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        files = [(os.POSIX_SPAWN_DUP2, NULL, 0), (os.POSIX_SPAWN_DUP2, NULL, 1), (os.POSIX_SPAWN_DUP2, out, 2)]
        pid = os.posix_spawn(self.program, [self.program, "--root", self.root, *words], os.environ, file_actions=files)
        os.close(out)
        return pid

    def call(self, *words):
        """Milliseconds."""
        begin = time.perf_counter_ns()
        pid = self.spawn(*words)
        _, status, _ = os.wait4(pid, 0)
        took = (time.perf_counter_ns() - begin) / 1e6
        if status:
            with open(os.path.join(self.root, "..", self.name + ".log")) as log:
                sys.exit(f"{self.name} {' '.join(words)}: status {os.waitstatus_to_exitcode(status)}: {log.read().strip()}")
        return took

    def version(self):
        output = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout
        return output.splitlines()[0]


def life(runtime, bundle, times):
    pid_file = os.path.join(runtime.root, "..", "pid")
    times["create"].append(runtime.call("create", "--bundle", bundle, "--pid-file", pid_file, "bench"))
    with open(pid_file) as file:
        pid = int(file.read())
    times["state"].append(runtime.call("state", "bench"))
    times["start"].append(runtime.call("start", "bench"))
    times["exec"].append(runtime.call("exec", "bench", "/bin/true"))
    times["kill"].append(runtime.call("kill", "bench", "KILL"))
    os.waitpid(pid, 0)
    times["delete"].append(runtime.call("delete", "bench"))


def rounds(runtimes, count, one):
    """`one(runtime)`, by turns: whoever is first in one round is last in the next."""
    for number in range(count):
        turn = number % len(runtimes)
        for runtime in runtimes[turn:] + runtimes[:turn]:
            one(runtime)


def verbs(runtimes, bundles, suffix, count):
    names = ["run", "create", "state", "start", "exec", "kill", "delete"]
    times = {runtime: {name: [] for name in names} for runtime in runtimes}

    def one(runtime):
        times[runtime]["run"].append(runtime.call("run", "--bundle", f"{bundles}/true{suffix}", "bench"))
        life(runtime, f"{bundles}/sleep{suffix}", times[runtime])

    rounds(runtimes, 2, one)
    for kept in times.values():
        for name in names:
            kept[name].clear()
    rounds(runtimes, count, one)
    return {name: {runtime: times[runtime][name] for runtime in runtimes} for name in names}


def sequence(runtime, bundles):
    begin = time.perf_counter_ns()
    for _ in range(100):
        runtime.call("run", "--bundle", f"{bundles}/true", "bench")
    return (time.perf_counter_ns() - begin) / 1e6


def crowd(runtime, bundles):
    begin = time.perf_counter_ns()
    running, number, total = set(), 0, 200
    while number < total or running:
        while number < total and len(running) < 10:
            running.add(runtime.spawn("create", "--bundle", f"{bundles}/sleep", f"bench{number}"))
            number += 1
        pid, status = os.wait()
        if pid in running and status:
            sys.exit(f"{runtime.name}: one of {total} creates, ten at a time: status {os.waitstatus_to_exitcode(status)}")
        running.discard(pid)
    took = (time.perf_counter_ns() - begin) / 1e6
    for number in range(total):
        runtime.call("delete", "--force", f"bench{number}")
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return took


def peak(runtime, bundle, *words):
    """KiB, of the runtime and of the processes that it waited for. Started from here it would be Python's own peak."""
    command = ["time", "-q", "-f", "%M", runtime.program, "--root", runtime.root, *words, "--bundle", bundle, "bench"]
    output = subprocess.run(command, stdin=NULL, stdout=NULL, stderr=subprocess.PIPE, text=True, check=True).stderr
    return int(output.split()[-1])


def line(title, unit, values, base):
    medians = {runtime: statistics.median(values[runtime]) for runtime in values}
    text = f"{title:<22}"
    for runtime, median in medians.items():
        ratio = f" ({median / medians[base]:.2f})" if base else ""
        text += f"{median:>12.2f}{ratio}" if unit == "ms" else f"{median:>12.0f}{ratio}"
    print(f"{text}  {unit}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bundles")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("runtimes", nargs="+")
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # States are kept on tmpfs, as /run is.
    shm = "/dev/shm" if os.path.ismount("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="bolo-bench.", dir=shm) as state:
        runtimes = [Runtime(*word.split("=", 1), state) for word in options.runtimes]
        base = next((runtime for runtime in runtimes if runtime.name == "crun"), runtimes[0])
        measure(runtimes, base, options)


def measure(runtimes, base, options):
    print(f"Linux {os.uname().release}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.2f}; {options.rounds} rounds")
    for runtime in runtimes:
        print(f"{runtime.name}: {runtime.version()}")
    print(f"\nmedians, in brackets the ratio to {base.name}'s\n{'':<22}" + "".join(f"{r.name:>12}       " for r in runtimes))
    for suffix, title in [("", ""), ("-seccomp", ", seccomp")]:
        if not os.path.exists(f"{options.bundles}/true{suffix}"):
            continue
        for name, values in verbs(runtimes, options.bundles, suffix, options.rounds).items():
            line(name + title, "ms", values, base)
    bundle = f"{options.bundles}/true"
    line("peak memory of run", "KiB", {r: [peak(r, bundle, "run") for _ in range(5)] for r in runtimes}, base)
    if options.quick:
        return
    for title, one in [("100 runs in sequence", sequence), ("200 creates, 10 abreast", crowd)]:
        values = {runtime: [] for runtime in runtimes}
        rounds(runtimes, 3, lambda runtime: values[runtime].append(one(runtime, options.bundles)))
        line(title, "ms", values, base)


main()
