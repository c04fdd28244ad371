//! The program; see the library.

fn main() -> std::process::ExitCode {
    podlab_guest::program::main(&mail_sink::SPEC, mail_sink::run)
}
