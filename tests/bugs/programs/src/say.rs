//! What checks read: one JSON object a line on standard output.

use podlab_guest::json;

/// `{"did":"wrote","item":"7"}`.
pub fn did(what: &str, item: impl std::fmt::Display) {
    println!("{{\"did\":{},\"item\":{}}}", json::string(what), json::string(&item.to_string()));
}

/// The same with who did it, and under which token or for what.
pub fn did_by(what: &str, item: impl std::fmt::Display, by: &str) {
    let (what, item, by) = (json::string(what), json::string(&item.to_string()), json::string(by));
    println!("{{\"did\":{what},\"item\":{item},\"by\":{by}}}");
}
