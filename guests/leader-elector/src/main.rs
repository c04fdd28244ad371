//! The program; see the library.

fn main() -> std::process::ExitCode {
    podlab_guest::program::main(&leader_elector::SPEC, leader_elector::run)
}
