//! One line an event, on standard error: `level=info event=started port=8080`.

use std::fmt::Display;

/// Something worth knowing.
pub fn info(event: &str, fields: &[(&str, &dyn Display)]) {
    eprintln!("{}", line("info", event, fields));
}

/// Something that went wrong and is being dealt with.
pub fn warn(event: &str, fields: &[(&str, &dyn Display)]) {
    eprintln!("{}", line("warn", event, fields));
}

/// Something that stops the program or loses work.
pub fn error(event: &str, fields: &[(&str, &dyn Display)]) {
    eprintln!("{}", line("error", event, fields));
}

fn line(level: &str, event: &str, fields: &[(&str, &dyn Display)]) -> String {
    let mut out = format!("level={level} event={}", quote(event));
    for (key, value) in fields {
        out.push_str(&format!(" {key}={}", quote(&value.to_string())));
    }
    out
}

/// Quoted where a reader would split it.
fn quote(text: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '"' && c != '=';
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_line_whatever_the_value() {
        let line = super::line("info", "got", &[("path", &"/a b\nc"), ("n", &3)]);
        assert_eq!(line, r#"level=info event=got path="/a b\nc" n=3"#);
    }
}
