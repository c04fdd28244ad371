//! The program; see the library.

fn main() -> std::process::ExitCode {
    podlab_guest::program::main(&kv_load::SPEC, kv_load::run)
}
