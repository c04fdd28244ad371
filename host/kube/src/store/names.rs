//! What names may look like (`k8s.io/apimachinery/pkg/util/validation`).

use podlab_sim::Rng;

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const QUALIFIED: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

fn is_label(text: &str) -> bool {
    let alnum = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|c| alnum(*c))
        && bytes.last().is_some_and(|c| alnum(*c))
        && bytes.iter().all(|c| alnum(*c) || *c == b'-')
}

/// Why `name` is no RFC 1123 label (63 bytes).
pub fn label_error(name: &str) -> Option<String> {
    if name.len() > 63 {
        Some("must be no more than 63 bytes".into())
    } else if !is_label(name) {
        Some(format!(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{LABEL}')"
        ))
    } else {
        None
    }
}

/// Why `name` is no RFC 1035 label: as a Service's name must be.
pub fn label_1035_error(name: &str) -> Option<String> {
    if name.len() > 63 {
        Some("must be no more than 63 bytes".into())
    } else if !is_label(name) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        Some(format!(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '{LABEL_1035}')"
        ))
    } else {
        None
    }
}

/// Why `name` is no RFC 1123 subdomain (253 bytes): as most names must be.
pub fn subdomain_error(name: &str) -> Option<String> {
    if name.len() > 253 {
        Some("must be no more than 253 bytes".into())
    } else if !name.split('.').all(is_label) {
        Some(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{SUBDOMAIN}')"
        ))
    } else {
        None
    }
}

fn is_qualified_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(c))
}

/// Why `key` is no key of a label or an annotation: an optional DNS prefix, `/`, a name.
pub fn qualified_errors(key: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let parts: Vec<&str> = key.split('/').collect();
    let name = match parts[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".into());
            } else if let Some(e) = subdomain_error(prefix) {
                errors.push(format!("prefix part {e}"));
            }
            name
        }
        _ => {
            return vec![format!(
                "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{QUALIFIED}') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".into());
    } else if name.len() > 63 {
        errors.push("name part must be no more than 63 bytes".into());
    }
    if !is_qualified_part(name) {
        errors.push(format!(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{QUALIFIED}')"
        ));
    }
    errors
}

/// Why `value` is no label value.
pub fn label_value_error(value: &str) -> Option<String> {
    if value.len() > 63 {
        Some("must be no more than 63 bytes".into())
    } else if !value.is_empty() && !is_qualified_part(value) {
        Some(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                .into(),
        )
    } else {
        None
    }
}

/// Why `key` is no key of a ConfigMap or Secret.
pub fn config_key_error(key: &str) -> Option<String> {
    if key.len() > 253 {
        Some("must be no more than 253 bytes".into())
    } else if key.is_empty()
        || !key.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
    {
        Some("a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')".into())
    } else if key == "." || key == ".." {
        Some(format!("must not be '{key}'"))
    } else if key.starts_with("..") {
        Some("must not start with '..'".into())
    } else {
        None
    }
}

/// `base` with five random letters, as `generateName` wants it.
pub fn generate(rng: &mut Rng, base: &str) -> String {
    // No vowels, so that no words come out (apimachinery/pkg/util/rand).
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut end = base.len().min(58);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = base[..end].to_string();
    for _ in 0..5 {
        name.push(char::from(LETTERS[rng.below(LETTERS.len() as u64) as usize]));
    }
    name
}

/// A random uid (RFC 9562, version 4).
pub fn uid(rng: &mut Rng) -> String {
    let mut b = [0u8; 16];
    rng.fill(&mut b);
    b[6] = b[6] & 0x0f | 0x40;
    b[8] = b[8] & 0x3f | 0x80;
    let hex: String = b.iter().map(|b| format!("{b:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, ok) in [
            ("web", true),
            ("a.b-c.0", true),
            ("A", false),
            ("-a", false),
            ("a..b", false),
            ("", false),
        ] {
            assert_eq!(subdomain_error(name).is_none(), ok, "{name:?}");
        }
        assert!(label_error("a.b").is_some());
        assert!(label_1035_error("0a").is_some());
        assert!(label_value_error("").is_none() && label_value_error("a b").is_some());
        assert!(qualified_errors("example.com/Name_1").is_empty());
        assert_eq!(qualified_errors("bad key!").len(), 1);
        assert!(config_key_error("..a").is_some());
    }

    #[test]
    fn generated_names_are_bounded_and_uids_are_version_4() {
        let mut rng = Rng::named(1, "t");
        assert_eq!(generate(&mut rng, &"é".repeat(60)).len(), 58 + 5);
        let uid = uid(&mut rng);
        assert_eq!((uid.len(), &uid[14..15]), (36, "4"));
    }
}
