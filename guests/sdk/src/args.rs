//! The command line: `--name value`, `--name=value`, switches, the rest.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// One option of a program.
pub struct Opt {
    /// Its name, without the dashes.
    pub name: &'static str,
    /// What stands for its value in the help; empty for a switch.
    pub value: &'static str,
    /// The value if it is not given; empty for none. An environment variable of the same name in
    /// capitals (`log-dir`: `LOG_DIR`) comes before it, unless it describes a Service.
    pub default: &'static str,
    /// One line of help.
    pub help: &'static str,
}

/// Shorthand for [`Opt`].
pub const fn opt(
    name: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
) -> Opt {
    Opt { name, value, default, help }
}

/// A program's command line.
pub struct Spec {
    /// The program.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Its options.
    pub options: &'static [Opt],
}

/// What was given.
#[derive(Debug, Default)]
pub struct Args {
    values: BTreeMap<&'static str, String>,
    /// What is not an option.
    pub rest: Vec<String>,
}

impl Spec {
    /// The text of `--help`.
    pub fn help(&self) -> String {
        let mut out = format!("{} {}\n{}\n\nOptions:\n", self.name, self.version, self.about);
        for option in self.options {
            let left = format!("--{} {}", option.name, option.value);
            let default = match option.default {
                "" => String::new(),
                text => format!(" [{text}]"),
            };
            out.push_str(&format!("  {left:<24} {}{default}\n", option.help));
        }
        out.push_str("  --help, --version\n");
        out
    }

    /// Reads a command line (without the program's name).
    ///
    /// # Errors
    /// What is wrong with it, for the user.
    pub fn parse(
        &self,
        words: &[String],
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Args, String> {
        let mut args = Args::default();
        for option in self.options {
            let variable = option.name.to_uppercase().replace('-', "_");
            if let Some(value) = env(&variable).filter(|v| !is_service_link(&variable, v, &env)) {
                args.values.insert(option.name, value);
            } else if !option.default.is_empty() {
                args.values.insert(option.name, option.default.to_owned());
            }
        }
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                args.rest.extend(words.by_ref().cloned());
                break;
            }
            let Some(long) = word.strip_prefix("--") else {
                args.rest.push(word.clone());
                continue;
            };
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let option = self.options.iter().find(|o| o.name == name);
            let option =
                option.ok_or_else(|| format!("there is no option --{name}: see --help"))?;
            let value = match value {
                Some(value) => value,
                None if option.value.is_empty() => "true".to_owned(),
                None => words
                    .next()
                    .cloned()
                    .ok_or_else(|| format!("--{name} needs a value: {}", option.help))?,
            };
            args.values.insert(option.name, value);
        }
        Ok(args)
    }

    /// Reads this program's command line; ends the program after `--help`, `--version`, or an error.
    pub fn read(&self) -> Args {
        let words: Vec<String> = std::env::args().skip(1).collect();
        if words.iter().any(|w| w == "--help") {
            print!("{}", self.help());
            std::process::exit(0);
        }
        if words.iter().any(|w| w == "--version") {
            println!("{} {}", self.name, self.version);
            std::process::exit(0);
        }
        match self.parse(&words, |name| std::env::var(name).ok()) {
            Ok(args) => args,
            Err(message) => self.refuse(&message),
        }
    }

    /// Ends the program with what is wrong.
    pub fn refuse(&self, message: &str) -> ! {
        eprintln!("{}: {message}", self.name);
        crate::program::exit(2)
    }
}

/// Whether a variable is there because of a Service and not for us. For a Service `origin`,
/// Kubernetes (as Docker did) gives every container of the namespace `ORIGIN_PORT=tcp://IP:80`,
/// `ORIGIN_SERVICE_HOST`, `ORIGIN_SERVICE_PORT`, `ORIGIN_SERVICE_PORT_HTTP`, `ORIGIN_PORT_80_TCP`
/// and the like: `--access-log-size` must not come from a Service called `access-log-size`.
fn is_service_link(name: &str, value: &str, env: &impl Fn(&str) -> Option<String>) -> bool {
    let link = ["tcp://", "udp://", "sctp://"].iter().any(|p| value.starts_with(p));
    let ends = |suffix: &str| {
        let service = name.strip_suffix(suffix).or_else(|| {
            // `_PORT_80_TCP_ADDR`, `_SERVICE_PORT_HTTP`
            name.find(&format!("{suffix}_")).map(|at| &name[..at])
        });
        service
            .filter(|s| !s.is_empty())
            .is_some_and(|s| env(&format!("{s}_SERVICE_HOST")).is_some())
    };
    link && name.ends_with("_PORT")
        || ends("_SERVICE_HOST")
        || ends("_SERVICE_PORT")
        || ends("_PORT")
}

impl Args {
    /// The text of an option; empty if it was not given and has no default.
    pub fn text(&self, name: &str) -> String {
        self.values.get(name).cloned().unwrap_or_default()
    }

    /// Whether a switch was given.
    pub fn switch(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|v| v == "true" || v == "1")
    }

    /// The number of an option.
    ///
    /// # Errors
    /// If it is none.
    pub fn number<T: FromStr>(&self, name: &str) -> Result<T, String> {
        let text = self.text(name);
        text.parse().map_err(|_| format!("--{name}: {text:?} is not a number that fits"))
    }

    /// The time of an option: `250ms`, `1.5s`, `2m`, `1h`; a bare number is seconds.
    ///
    /// # Errors
    /// If it is none.
    pub fn duration(&self, name: &str) -> Result<Duration, String> {
        let text = self.text(name);
        duration(&text).ok_or_else(|| format!("--{name}: {text:?} is no time such as 250ms or 5s"))
    }
}

/// Reads `250ms`, `1.5s`, `2m`, `1h`, `3`.
pub fn duration(text: &str) -> Option<Duration> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let (number, unit) = units
        .iter()
        .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|n| (n, *unit)))
        .unwrap_or((text, 1.0));
    let seconds = number.parse::<f64>().ok()? * unit;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: Spec = Spec {
        name: "p",
        version: "1",
        about: "a",
        options: &[opt("port", "N", "80", ""), opt("once", "", "", "")],
    };

    fn parse(words: &[&str]) -> Result<Args, String> {
        SPEC.parse(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>(), |_| None)
    }

    #[test]
    fn options_switches_and_the_rest() {
        let args = parse(&["--once", "a", "--port=81", "--", "--b"]).unwrap();
        assert_eq!(args.number::<u16>("port"), Ok(81));
        assert!(args.switch("once"));
        assert_eq!(args.rest, ["a", "--b"]);
        assert!(parse(&["--nope"]).unwrap_err().contains("--nope"));
        assert!(parse(&["--port", "x"]).unwrap().number::<u16>("port").is_err());
    }

    /// What a Service `web` and one `web-port` put into every container of their namespace.
    #[test]
    fn the_variables_of_services_are_no_options() {
        const SPEC: Spec = Spec {
            name: "p",
            version: "1",
            about: "a",
            options: &[
                opt("port", "N", "80", ""),
                opt("web-port", "N", "81", ""),
                opt("web-service-port", "N", "82", ""),
                opt("web-service-host", "NAME", "none", ""),
                opt("web-port-8080-tcp", "X", "default", ""),
                opt("store", "URL", "http://store", ""),
            ],
        };
        let env = |name: &str| {
            let value = match name {
                "PORT" => "8000",
                "WEB_SERVICE_HOST" => "10.0.0.1",
                "WEB_SERVICE_PORT" | "WEB_SERVICE_PORT_HTTP" => "8080",
                "WEB_PORT" | "WEB_PORT_8080_TCP" => "tcp://10.0.0.1:8080",
                "STORE" => "http://there",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let args = SPEC.parse(&[], env).unwrap();
        let all = SPEC.options.iter().map(|o| args.text(o.name)).collect::<Vec<_>>();
        assert_eq!(all, ["8000", "81", "82", "none", "default", "http://there"]);
        // The same names without a Service are for us.
        let own = |name: &str| (name == "WEB_PORT").then(|| "9".to_owned());
        assert_eq!(SPEC.parse(&[], own).unwrap().number::<u16>("web-port"), Ok(9));
    }

    #[test]
    fn times() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("-1s"), None);
        assert_eq!(duration("x"), None);
    }
}
