"""What the drivers of the engines share: commands, what is expected of them, waiting, and the list of operations."""

import os
import re
import signal
import subprocess
import time

# A hung engine is a failure of the operation, not the end of the whole run. The emulated machine has more of it.
PATIENCE = float(os.environ.get("ENGINES_PATIENCE", "60"))


class Failure(Exception):
    """What an operation found, in one line."""


class Skip(Exception):
    """Why an operation cannot be tried here."""


class Operation:
    def __init__(self, words, function):
        self.words, self.function = words, function


class Operations(list):
    """`@operation("run: exit code")` above a function that takes the engine: a line of the table."""

    def __call__(self, words):
        def keep(function):
            self.append(Operation(words, function))
            return function

        return keep


def last_line(text):
    """The words of an engine that tell what is wrong are in its last line, or so."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("See '", "Run '", "Usage:"))] or [""]
    return lines[-1][-300:]


def call(*words, code=0, env=None, stdin="", cwd="/"):
    """What a command writes, which must end with `code` (None: with any): its standard output, both for a failure."""
    words = [str(word) for word in words]
    try:
        done = subprocess.run(
            words, input=stdin, capture_output=True, text=True, errors="replace", timeout=PATIENCE, cwd=cwd,
            env={**os.environ, **(env or {})},
        )
    except subprocess.TimeoutExpired as slow:
        raise Failure(f"{' '.join(words)[:120]}: hung") from slow
    if code is not None and done.returncode != code:
        said = last_line(done.stderr) or last_line(done.stdout)
        raise Failure(f"{' '.join(words)[-160:]}: exit code {done.returncode}, not {code}: {said}")
    return done.stdout.strip() if code == 0 else (done.stdout + done.stderr).strip()


def equal(found, wanted):
    if found != wanted:
        raise Failure(f"{found!r} is not {wanted!r}")


def has(text, *parts):
    for part in parts:
        if part not in text:
            raise Failure(f"no {part!r} in {text[-400:]!r}")


def lacks(text, part):
    if part in text:
        raise Failure(f"{part!r} is in {text[-400:]!r}")


def until(what, condition, patience=PATIENCE):
    """Waits until the condition holds, and returns what it returned."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"never: {what}")
        time.sleep(0.05)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def kill(pid, number=signal.SIGKILL):
    """By its id, and gone when this returns."""
    os.kill(pid, number)
    until(f"process {pid} ends", lambda: not alive(pid))


def processes():
    """pid -> command line, of those that run."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and alive(name):
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    words = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
            except OSError:
                continue
            if words:
                found[int(name)] = words
    return found


def process_with(*parts):
    """The one process whose command line has all these parts."""
    found = [pid for pid, words in processes().items() if all(part in words for part in parts)]
    if len(found) != 1:
        raise Failure(f"{len(found)} processes have {parts} in their command line")
    return found[0]


def status_of(pid, field):
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            name, _, value = line.partition(":")
            if name == field:
                return value.strip()
    raise Failure(f"no {field} in the status of {pid}")


# Engines know capabilities up to some kernel's: CAP_AUDIT_READ is in all of their lists.
KNOWN_TO_ENGINES = (1 << 38) - 1


def all_that_we_have(status):
    """CapEff in the text is that of a privileged container: no less than we could give."""
    found = int(re.search(r"CapEff:\s*(\w+)", status)[1], 16)
    equal(found & KNOWN_TO_ENGINES, int(status_of("self", "CapBnd"), 16) & KNOWN_TO_ENGINES)
