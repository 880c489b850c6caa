"""Compiles a profile with libseccomp. In: {"default": n, "arches": [word], "optimize": n, "rules": [[action, name, [[arg,
op, value, valueTwo]]]]}. Out: {"program": [[code, jt, jf, k]], "numbers": {name: {arch: n}}}, where a number below
-10000 says that the architecture has no such call, and a missing name that libseccomp does not know it."""
import json
import struct
import sys
import tempfile

import seccomp


def action(value):
    return value - (1 << 32) if value >= 1 << 31 else value


profile = json.load(sys.stdin)
compiled = seccomp.SyscallFilter(action(profile["default"]))
for word in profile["arches"]:
    arch = getattr(seccomp.Arch, word.removeprefix("SCMP_ARCH_"))
    if not compiled.exist_arch(arch):
        compiled.add_arch(arch)
if profile["optimize"] != 1:
    compiled.set_attr(seccomp.Attr.CTL_OPTIMIZE, profile["optimize"])
numbers = {}
for verdict, name, conditions in profile["rules"]:
    try:
        if seccomp.resolve_syscall(seccomp.Arch.NATIVE, name) == -1:
            continue
    except ValueError:
        continue
    arches = ("X86_64", "X32", "X86")
    numbers[name] = {arch: seccomp.resolve_syscall(getattr(seccomp.Arch, arch), name) for arch in arches}
    if verdict == profile["default"]:
        continue
    args = [seccomp.Arg(arg, getattr(seccomp, op.removeprefix("SCMP_CMP_")), a, b) for arg, op, a, b in conditions]
    compiled.add_rule(action(verdict), name, *args)
with tempfile.TemporaryFile() as file:
    compiled.export_bpf(file)
    file.seek(0)
    program = [list(i) for i in struct.iter_unpack("=HBBI", file.read())]
json.dump({"program": program, "numbers": numbers}, sys.stdout)
