//! The program; see the library.

fn main() -> std::process::ExitCode {
    podlab_guest::program::main(&metrics_adapter::SPEC, metrics_adapter::run)
}
