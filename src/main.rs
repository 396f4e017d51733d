//! The `bot` command.

fn main() -> std::process::ExitCode {
    bot::cli::main()
}
