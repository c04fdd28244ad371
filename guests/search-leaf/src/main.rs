//! The program; see the library.

fn main() -> std::process::ExitCode {
    podlab_guest::program::main(&search_leaf::SPEC, search_leaf::run)
}
