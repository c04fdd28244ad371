//! The page as a program for the browser.

fn main() {
    podlab_web::run();
}
