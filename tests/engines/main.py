"""usage: main.py [--json FILE] [--only WORD] [--keep] RUNTIME=PROGRAM... -- ENGINE...

Runs every operation of the engines, with each runtime in the same way, and prints the table. scripts/test-engines
calls it.
"""

import argparse
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import kit  # noqa: E402
import scene  # noqa: E402
import table  # noqa: E402


def attempt(engine, operation):
    """pass, or why not."""
    begin = time.monotonic()
    try:
        operation.function(engine)
        verdict = {"verdict": "pass"}
    except kit.Skip as reason:
        verdict = {"verdict": "skip", "why": str(reason)}
    except (kit.Failure, OSError, ValueError, KeyError, IndexError) as reason:
        verdict = {"verdict": "fail", "why": " ".join(str(reason).split()) or type(reason).__name__}
    try:
        engine.clean()
    except kit.Failure as reason:
        if verdict["verdict"] == "pass":
            verdict = {"verdict": "fail", "why": f"afterwards: {reason}"}
    return {**verdict, "seconds": round(time.monotonic() - begin, 1)}


def drive(name, place, only, out):
    """In the scene's namespaces: starts the engine, tries each operation, writes a line of JSON for each."""
    module = importlib.import_module(name)
    engine = module.Engine(place)
    ours = {1, os.getpid(), os.getppid()}
    try:
        engine.start()
        try:
            for operation in module.operations:
                if only in operation.words:
                    result = {"engine": name, "runtime": place.name, "operation": operation.words}
                    result.update(attempt(engine, operation))
                    print(json.dumps(result), file=out, flush=True)
                    print(f"  {place.name} {name}: {operation.words}: {result['verdict']}", file=sys.stderr, flush=True)
        finally:
            engine.stop()
    finally:
        for process in list(place.daemons):
            place.stop(process, kill=True)
    left = scene.orphans(ours)
    result = {"engine": name, "runtime": place.name, "operation": "the engine is stopped: no process is left"}
    verdict = {"verdict": "fail", "why": "; ".join(left)[:300]} if left else {"verdict": "pass"}
    print(json.dumps({**result, **verdict, "seconds": 0}), file=out, flush=True)


def inside(arguments):
    """The first process of the scene's pid namespace: it reaps what nobody waits for."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            scene.furnish(arguments.inside)
            with open(arguments.json, "a") as out:
                place = scene.Scene(arguments.inside, *arguments.words[0].split("=", 1))
                drive(arguments.words[1], place, arguments.only, out)
            code = 0
        except (kit.Failure, OSError, subprocess.CalledProcessError) as reason:
            print(f"{arguments.words[1]}: {reason}", file=sys.stderr)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    while True:
        pid, status = os.wait()
        if pid == child:
            sys.exit(os.waitstatus_to_exitcode(status))


def cgroup_dirs():
    with open("/proc/self/mountinfo") as file:
        found = [w[4] for w in map(str.split, file) if w[w.index("-") + 1] in ("cgroup", "cgroup2")]
    return [os.path.join(path, f"bolo-engines-{os.getpid()}") for path in found if path.startswith("/sys/fs/cgroup")]


def enter(dirs):
    for dir in dirs:
        os.makedirs(dir, exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            file = os.path.join(dir, name)
            if os.path.exists(file) and not os.path.exists(os.path.join(dir, "cgroup.controllers")):
                with open(os.path.join(os.path.dirname(dir), name)) as above, open(file, "w") as here:
                    here.write(above.read())
        with open(os.path.join(dir, "cgroup.procs"), "w") as procs:
            procs.write(str(os.getpid()))


def outside(engine, runtime, arguments):
    """Makes a scene, runs this program in it, and takes the scene away."""
    dir = tempfile.mkdtemp(prefix="engines-", dir=arguments.tmp)
    os.chmod(dir, 0o755)
    results = os.path.join(dir, "results")
    dirs = cgroup_dirs()
    namespaces = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--cgroup", "--uts", "--ipc"]
    me = [sys.executable, os.path.abspath(__file__), "--inside", dir, "--json", results, "--only", arguments.only]
    try:
        done = subprocess.run(
            ["unshare", *namespaces, *me, runtime, engine], preexec_fn=lambda: enter(dirs), stdin=subprocess.DEVNULL
        )
        lines = []
        if os.path.exists(results):
            with open(results) as file:
                lines = [json.loads(line) for line in file]
        if done.returncode:
            lines.append({"engine": engine, "runtime": runtime.split("=")[0], "operation": "the engine starts",
                          "verdict": "fail", "why": f"the driver ended with {done.returncode}", "seconds": 0})
        return lines
    finally:
        for top in dirs:
            for path, _, _ in os.walk(top, topdown=False):
                os.rmdir(path)
        if arguments.keep:
            print(f"kept: {dir}", file=sys.stderr)
        else:
            shutil.rmtree(dir)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", help="add the results to this file, a line of JSON for each")
    parser.add_argument("--only", default="", help="only the operations whose words have this part")
    parser.add_argument("--keep", action="store_true", help="keep the engines' directories, with their logs")
    parser.add_argument("--tmp", default=None)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("words", nargs="+", help="NAME=PROGRAM of each runtime, and the engines' names")
    arguments = parser.parse_args()
    if arguments.inside:
        inside(arguments)
    # Whoever ends us early wants all taken away, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    runtimes = [word for word in arguments.words if "=" in word]
    engines = [word for word in arguments.words if "=" not in word]
    results = []
    for engine in engines:
        found = [line for runtime in runtimes for line in outside(engine, runtime, arguments)]
        print(table.text(found), flush=True)
        results += found
    if arguments.json:
        with open(arguments.json, "a") as file:
            file.writelines(json.dumps(line) + "\n" for line in results)
    print(table.sums(results))
    sys.exit(table.regressions(results) != 0)


if __name__ == "__main__":
    main()
