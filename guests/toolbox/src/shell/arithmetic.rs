//! `$(( ))`: whole numbers, as in C.

/// How deep parentheses may be.
const DEEPEST: usize = 50;

/// Operators by how tightly they bind, the loosest first.
const LEVELS: [&[&str]; 6] =
    [&["||"], &["&&"], &["==", "!="], &["<=", ">=", "<", ">"], &["+", "-"], &["*", "/", "%"]];

struct Reader<'a> {
    rest: &'a str,
    get: &'a dyn Fn(&str) -> Option<String>,
    depth: usize,
}

/// The value of an expression.
///
/// # Errors
/// If it is none, or divides by zero.
pub fn value(text: &str, get: &dyn Fn(&str) -> Option<String>) -> Result<i64, String> {
    let mut reader = Reader { rest: text.trim(), get, depth: 0 };
    if reader.rest.is_empty() {
        return Ok(0);
    }
    let value = reader.level(0)?;
    match reader.rest {
        "" => Ok(value),
        rest => Err(format!("arithmetic: unexpected {rest:?}")),
    }
}

impl Reader<'_> {
    fn eat(&mut self, text: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn level(&mut self, level: usize) -> Result<i64, String> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.level(level + 1)?;
        while let Some(op) = operators.iter().find(|op| self.eat(op)) {
            let right = self.level(level + 1)?;
            left = match *op {
                "||" => i64::from(left != 0 || right != 0),
                "&&" => i64::from(left != 0 && right != 0),
                "==" => i64::from(left == right),
                "!=" => i64::from(left != right),
                "<=" => i64::from(left <= right),
                ">=" => i64::from(left >= right),
                "<" => i64::from(left < right),
                ">" => i64::from(left > right),
                "+" => left.wrapping_add(right),
                "-" => left.wrapping_sub(right),
                "*" => left.wrapping_mul(right),
                _ if right == 0 => return Err("arithmetic: division by zero".into()),
                "/" => left.wrapping_div(right),
                _ => left.wrapping_rem(right),
            };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<i64, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("arithmetic: nested too deeply".into());
        }
        let value = if self.eat("(") {
            let value = self.level(0)?;
            if !self.eat(")") {
                return Err("arithmetic: ) is missing".into());
            }
            value
        } else if self.eat("-") {
            self.unary()?.wrapping_neg()
        } else if self.eat("+") {
            self.unary()?
        } else if self.eat("!") {
            i64::from(self.unary()? == 0)
        } else {
            let end = self
                .rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            self.rest = rest;
            let text = if word.starts_with(|c: char| c.is_ascii_digit()) {
                word.to_owned()
            } else if word.is_empty() {
                return Err("arithmetic: a number is missing".into());
            } else {
                (self.get)(word).filter(|v| !v.is_empty()).unwrap_or_else(|| "0".into())
            };
            text.trim().parse().map_err(|_| format!("arithmetic: {text:?} is no number"))?
        };
        self.depth -= 1;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn as_in_c() {
        let get = |name: &str| (name == "x").then(|| "7".to_owned());
        let value = |text: &str| super::value(text, &get);
        for (text, wanted) in [
            ("1 + 2 * 3", 7),
            ("(1+2)*3", 9),
            ("x - 10", -3),
            ("-x % 4", -3),
            ("10 / 3 == 3 && !0", 1),
            ("nothing", 0),
            ("3 > 2", 1),
            ("", 0),
        ] {
            assert_eq!(value(text), Ok(wanted), "{text}");
        }
        for bad in ["1 +", "1 / 0", "1 2", "(1", "1x", &"(".repeat(100)] {
            assert!(value(bad).is_err(), "{bad}");
        }
    }
}
