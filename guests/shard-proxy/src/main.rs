//! The program; see the library.

fn main() -> std::process::ExitCode {
    podlab_guest::program::main(&shard_proxy::SPEC, shard_proxy::run)
}
