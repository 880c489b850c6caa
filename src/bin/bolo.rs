fn main() -> std::process::ExitCode {
    bolo::runtime::main()
}
