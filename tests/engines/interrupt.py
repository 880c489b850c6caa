"""A runtime that is killed in the middle of a verb, time after time a little later."""

import os

from kit import until

# A wrapper between the engine and the runtime. `plan` says which verb dies, and after how many seconds.
WRAPPER = """#!/bin/bash
exec {{keep}}<{plan}
read -r verb delay <&$keep
exec {{keep}}<&-
for word; do
    if [[ -n $verb && $word == "$verb" ]]; then
        {program} "$@" <&0 &
        sleep "$delay"
        kill -9 $! 2>/dev/null && echo "$verb $delay" >>{done}
        wait $!
        exit
    fi
done
exec {program} "$@"
"""
DELAYS = ("0", "0.001", "0.002", "0.004", "0.008", "0.016", "0.032")


def wrapper(scene):
    """A runtime's program that does what scene/plan says."""
    plan = scene.write("plan", "\n")
    return scene.write("interruptible", WRAPPER.format(plan=plan, program=scene.program, done=scene.path("killed")), 0o755)


def interrupted(engine, verb, attempt, check):
    """`attempt` while `verb` is killed after each delay; then the runtime is whole again for `check`."""
    for delay in DELAYS:
        engine.scene.write("plan", f"{verb} {delay}\n")
        try:
            attempt()
        finally:
            engine.scene.write("plan", "\n")
        check()
