//! The program; see the library.

fn main() -> std::process::ExitCode {
    podlab_guest::program::main(&gateway::SPEC, gateway::run)
}
