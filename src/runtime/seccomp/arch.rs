//! The architectures of the specification, and which of them one kernel can run side by side.

use super::syscalls::{Row, SYSCALLS};
use crate::sys::seccomp::{AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, X32_SYSCALL_BIT};

macro_rules! arches {
    ($($name:ident $word:literal,)*) => {
        /// SCMP_ARCH_*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Arch { $($name,)* }

        impl Arch {
            pub const ALL: &[Arch] = &[$(Arch::$name,)*];

            /// The word of config.json.
            pub fn word(self) -> &'static str {
                match self { $(Arch::$name => $word,)* }
            }
        }
    };
}

arches! {
    X86 "SCMP_ARCH_X86",
    X86_64 "SCMP_ARCH_X86_64",
    X32 "SCMP_ARCH_X32",
    Arm "SCMP_ARCH_ARM",
    Aarch64 "SCMP_ARCH_AARCH64",
    Mips "SCMP_ARCH_MIPS",
    Mips64 "SCMP_ARCH_MIPS64",
    Mips64n32 "SCMP_ARCH_MIPS64N32",
    Mipsel "SCMP_ARCH_MIPSEL",
    Mipsel64 "SCMP_ARCH_MIPSEL64",
    Mipsel64n32 "SCMP_ARCH_MIPSEL64N32",
    Ppc "SCMP_ARCH_PPC",
    Ppc64 "SCMP_ARCH_PPC64",
    Ppc64le "SCMP_ARCH_PPC64LE",
    S390 "SCMP_ARCH_S390",
    S390x "SCMP_ARCH_S390X",
    Parisc "SCMP_ARCH_PARISC",
    Parisc64 "SCMP_ARCH_PARISC64",
    Riscv64 "SCMP_ARCH_RISCV64",
    Loongarch64 "SCMP_ARCH_LOONGARCH64",
    M68k "SCMP_ARCH_M68K",
    Sh "SCMP_ARCH_SH",
    Sheb "SCMP_ARCH_SHEB",
}

/// How calls of one architecture look to a filter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Abi {
    pub(super) arch: Arch,
    /// Its column in the table of system calls.
    column: usize,
    /// Added to every number.
    pub(super) base: u32,
    /// Arguments are compared in 64 bits. x32's registers have as many, its integers and pointers 32; libseccomp compares
    /// those.
    pub(super) wide: bool,
}

/// One value of `seccomp_data.arch`, and the ABIs that share it, by growing base.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) audit: u32,
    pub(super) abis: &'static [Abi],
}

const X86_64: Machine = Machine {
    audit: AUDIT_ARCH_X86_64,
    abis: &[
        Abi { arch: Arch::X86_64, column: 0, base: 0, wide: true },
        Abi { arch: Arch::X32, column: 2, base: X32_SYSCALL_BIT, wide: false },
    ],
};
const X86: Machine =
    Machine { audit: AUDIT_ARCH_I386, abis: &[Abi { arch: Arch::X86, column: 1, base: 0, wide: false }] };
const AARCH64: Machine =
    Machine { audit: AUDIT_ARCH_AARCH64, abis: &[Abi { arch: Arch::Aarch64, column: 3, base: 0, wide: true }] };
const ARM: Machine =
    Machine { audit: AUDIT_ARCH_ARM, abis: &[Abi { arch: Arch::Arm, column: 4, base: 0, wide: false }] };

impl Arch {
    /// The architecture this program is built for; None where it has no name in the specification.
    pub fn native() -> Option<Arch> {
        let arch = match std::env::consts::ARCH {
            "x86" => Arch::X86,
            "x86_64" => Arch::X86_64,
            "arm" => Arch::Arm,
            "aarch64" => Arch::Aarch64,
            "powerpc64" if cfg!(target_endian = "little") => Arch::Ppc64le,
            "s390x" => Arch::S390x,
            "riscv64" => Arch::Riscv64,
            "loongarch64" => Arch::Loongarch64,
            _ => return None,
        };
        Some(arch)
    }

    pub(super) fn from_word(word: &str) -> Option<Arch> {
        Arch::ALL.iter().copied().find(|arch| arch.word() == word)
    }

    /// What a kernel of this architecture runs, itself first. Empty: there is no table of its system calls here.
    pub(super) fn machines(self) -> &'static [Machine] {
        match self {
            Arch::X86_64 => &[X86_64, X86],
            Arch::X86 => &[X86],
            Arch::Aarch64 => &[AARCH64, ARM],
            Arch::Arm => &[ARM],
            _ => &[],
        }
    }
}

impl Abi {
    /// The number that a filter sees for a call; None where the architecture has no such call.
    pub(super) fn number(&self, row: &Row) -> Option<u32> {
        let number = *row.1.get(self.column)?;
        (number != super::syscalls::NO).then_some(number | self.base)
    }
}

/// The numbers of a system call, by name; None for a name unknown to every architecture of the table.
pub(super) fn lookup(name: &str) -> Option<&'static Row> {
    SYSCALLS.binary_search_by(|row| row.0.cmp(name)).ok().and_then(|at| SYSCALLS.get(at))
}

/// x86's calls that carry another call by its number in their first argument: carrier's number, carried call's number.
/// From ipc(2) and socketcall(2), linux/net.h and linux/ipc.h.
pub(super) fn carried(name: &str) -> Option<(u32, u32)> {
    const SOCKETCALL: u32 = 102;
    const IPC: u32 = 117;
    let carried = match name {
        "socket" => (SOCKETCALL, 1),
        "bind" => (SOCKETCALL, 2),
        "connect" => (SOCKETCALL, 3),
        "listen" => (SOCKETCALL, 4),
        "accept" => (SOCKETCALL, 5),
        "getsockname" => (SOCKETCALL, 6),
        "getpeername" => (SOCKETCALL, 7),
        "socketpair" => (SOCKETCALL, 8),
        "send" => (SOCKETCALL, 9),
        "recv" => (SOCKETCALL, 10),
        "sendto" => (SOCKETCALL, 11),
        "recvfrom" => (SOCKETCALL, 12),
        "shutdown" => (SOCKETCALL, 13),
        "setsockopt" => (SOCKETCALL, 14),
        "getsockopt" => (SOCKETCALL, 15),
        "sendmsg" => (SOCKETCALL, 16),
        "recvmsg" => (SOCKETCALL, 17),
        "accept4" => (SOCKETCALL, 18),
        "recvmmsg" => (SOCKETCALL, 19),
        "sendmmsg" => (SOCKETCALL, 20),
        "semop" => (IPC, 1),
        "semget" => (IPC, 2),
        "semctl" => (IPC, 3),
        "semtimedop" => (IPC, 4),
        "msgsnd" => (IPC, 11),
        "msgrcv" => (IPC, 12),
        "msgget" => (IPC, 13),
        "msgctl" => (IPC, 14),
        "shmat" => (IPC, 21),
        "shmdt" => (IPC, 22),
        "shmget" => (IPC, 23),
        "shmctl" => (IPC, 24),
        _ => return None,
    };
    Some(carried)
}
