//! The program; see the library.

fn main() -> std::process::ExitCode {
    podlab_guest::program::main(&log_adapter::SPEC, log_adapter::run)
}
