//! The program; see the library.

fn main() -> std::process::ExitCode {
    podlab_guest::program::main(&queue_worker::SPEC, queue_worker::run)
}
