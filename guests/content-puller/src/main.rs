//! The program; see the library.

fn main() -> std::process::ExitCode {
    podlab_guest::program::main(&content_puller::SPEC, content_puller::run)
}
