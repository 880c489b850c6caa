fn main() -> std::process::ExitCode {
    bolo::image::main()
}
