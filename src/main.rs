//! The `volley` command.

fn main() -> std::process::ExitCode {
    volley::cli::main()
}
