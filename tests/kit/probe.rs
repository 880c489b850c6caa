//! A program that makes one system call, by whichever of the kernel's doors, and exits with its errno: 0 where it worked.

/// Which door: what `seccomp_data.arch` and the numbers depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    X86_64,
    /// Numbers with the x32 bit.
    X32,
    /// `int $0x80`
    X86,
}

/// An ELF file (elf(5)) for x86_64.
pub fn program(door: Door, number: u32, argument: u64) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let mut code = Vec::new();
    let number = if door == Door::X32 { number | 0x4000_0000 } else { number };
    code.push(0xb8); // mov $number, %eax
    code.extend(number.to_le_bytes());
    match door {
        Door::X86_64 | Door::X32 => {
            code.extend([0x48, 0xbf]); // movabs $argument, %rdi
            code.extend(argument.to_le_bytes());
            code.extend([0x31, 0xf6, 0x0f, 0x05]); // xor %esi, %esi; syscall
        }
        Door::X86 => {
            code.push(0xbb); // mov $argument, %ebx
            code.extend((argument as u32).to_le_bytes());
            code.extend([0x31, 0xc9, 0xcd, 0x80]); // xor %ecx, %ecx; int $0x80
        }
    }
    code.extend([0x89, 0xc7, 0x31, 0xd2]); // mov %eax, %edi; xor %edx, %edx
    code.extend([0xf7, 0xdf, 0x0f, 0x48, 0xfa]); // neg %edi; cmovs %edx, %edi: a result is no error
    code.extend([0xb8, 60, 0, 0, 0, 0x0f, 0x05]); // mov $SYS_exit, %eax; syscall

    let size = HEADERS + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([2, 0, 62, 0, 1, 0, 0, 0]); // ET_EXEC, EM_X86_64, EV_CURRENT
    for word in [BASE + HEADERS, 64, 0] {
        elf.extend(word.to_le_bytes()); // entry, program headers, section headers
    }
    elf.extend([0; 4]);
    for half in [64_u16, 56, 1, 0, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]); // PT_LOAD, read and execute
    for word in [0, BASE, BASE, size, size, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(code);
    elf
}
