use bolo::sys::heap::Heap;

#[global_allocator]
static HEAP: Heap = Heap::new();

fn main() -> std::process::ExitCode {
    bolo::runtime::main()
}
