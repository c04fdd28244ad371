//! The program; see the library.

fn main() -> std::process::ExitCode {
    podlab_guest::program::main(&scatter_root::SPEC, scatter_root::run)
}
