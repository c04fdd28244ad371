//! Names of images that everybody knows, and which guest stands in for each: manifests from
//! tutorials run as they are.
//!
//! A stand-in is used only where no image of that very name was added. Registries and
//! `library/` do not matter; the tag must look like one that was ever published (`latest`,
//! `stable-alpine`, `1.28`, `7.2-alpine`), so that a tutorial's mistyped tag fails as it should.

/// What stands in for a well-known image.
#[derive(Debug, PartialEq, Eq)]
pub struct StandIn {
    /// Its names, without registry and tag.
    names: &'static [&'static str],
    /// The guest.
    pub guest: &'static str,
    /// What makes the guest behave as the image does.
    pub env: &'static [(&'static str, &'static str)],
    /// A file that the image has: path and contents.
    pub file: Option<(&'static str, &'static str)>,
}

const PAGE: &str = "<!DOCTYPE html>\n<html>\n<head><title>Welcome to nginx!</title></head>\n<body>\n\
    <h1>Welcome to nginx!</h1>\n<p>Podlab's own web server answers in its place.</p>\n</body>\n\
    </html>\n";

/// All of them.
const ALL: &[StandIn] = &[
    StandIn {
        names: &["nginx", "nginxinc/nginx-unprivileged"],
        guest: "web",
        env: &[("LISTEN", "0.0.0.0:80"), ("ROOT", "/usr/share/nginx/html"), ("ACCESS_LOG", "-")],
        file: Some(("usr/share/nginx/html/index.html", PAGE)),
    },
    StandIn {
        names: &["httpd"],
        guest: "web",
        env: &[
            ("LISTEN", "0.0.0.0:80"),
            ("ROOT", "/usr/local/apache2/htdocs"),
            ("ACCESS_LOG", "-"),
        ],
        file: Some((
            "usr/local/apache2/htdocs/index.html",
            "<html><body><h1>It works!</h1></body></html>\n",
        )),
    },
    StandIn {
        names: &[
            "busybox",
            "alpine",
            "debian",
            "ubuntu",
            "bash",
            "curlimages/curl",
            "nicolaka/netshoot",
            "e2e-test-images/jessie-dnsutils",
            "hello-world",
        ],
        guest: "toolbox",
        env: &[],
        file: None,
    },
    StandIn {
        names: &["redis", "valkey/valkey"],
        guest: "cache",
        env: &[("MEMCACHED", "-")],
        file: None,
    },
    StandIn {
        names: &["ingress-nginx/controller"],
        guest: "gateway",
        env: &[
            ("LISTEN", "0.0.0.0:80"),
            ("CONTROLLER_CLASS", "k8s.io/ingress-nginx"),
            ("INGRESS_CLASS", "nginx"),
        ],
        file: None,
    },
    StandIn { names: &["memcached"], guest: "cache", env: &[("REDIS", "-")], file: None },
];

/// `registry.k8s.io/e2e-test-images/nginx:1.14` is `e2e-test-images/nginx` and `1.14`.
fn parts(image: &str) -> (&str, &str) {
    let image = image.split('@').next().unwrap_or(image);
    let path = match image.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => rest,
        _ => image,
    };
    let path = path.strip_prefix("library/").unwrap_or(path);
    match path.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (path, "latest"),
    }
}

/// What stands in for the guest of this name, and under which names.
pub fn of_guest(guest: &str) -> impl Iterator<Item = (&'static str, &'static StandIn)> {
    ALL.iter()
        .filter(move |s| s.guest == guest)
        .flat_map(|s| s.names.iter().map(move |name| (*name, s)))
}

/// The well-known name that an image is, if its tag may exist.
pub fn known_name(image: &str) -> Option<&'static str> {
    let (name, tag) = parts(image);
    let found = ALL.iter().flat_map(|s| s.names).find(|n| **n == name)?;
    plausible(tag).then_some(found)
}

/// Whether such a tag was likely ever published: known words, and versions of at most three
/// numbers below 100.
fn plausible(tag: &str) -> bool {
    let word = |w: &str| {
        let known = [
            "latest", "stable", "mainline", "alpine", "slim", "perl", "otel", "edge", "musl",
            "glibc", "uclibc", "linux", "bookworm", "bullseye", "trixie", "jammy", "noble",
            "focal",
        ];
        let numbered = w.strip_prefix("alpine").filter(|rest| !rest.is_empty());
        known.contains(&w) || version(numbered.unwrap_or(w))
    };
    !tag.is_empty() && tag.split('-').all(word)
}

fn version(text: &str) -> bool {
    let text = text.strip_prefix('v').unwrap_or(text);
    let number = |n: &str| (1..=2).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit());
    text.split('.').count() <= 3 && text.split('.').all(number)
}

/// What a container of a well-known image runs, given its arguments: images that are collections
/// of tools run a shell, `curl` takes options alone, and a server's own command starts the guest.
pub fn command(name: &str, guest: &str, args: Vec<String>) -> Vec<String> {
    let own = args.first().map_or("", |a| a.rsplit('/').next().unwrap_or(a)).to_owned();
    let first = args.get(1).map_or("", String::as_str);
    let with = |command: &[&str], rest: &[String]| {
        command.iter().map(|c| (*c).to_owned()).chain(rest.iter().cloned()).collect()
    };
    match (name, own.as_str()) {
        ("hello-world", "toolbox") => with(&["echo", "Hello from Podlab!"], &[]),
        ("curlimages/curl", "toolbox") if first.starts_with('-') || first.contains("://") => {
            with(&["curl"], &args[1..])
        }
        (_, "toolbox") if args.len() == 1 => with(&["sh"], &[]),
        (
            _,
            "nginx" | "nginx-debug" | "httpd" | "httpd-foreground" | "redis-server" | "memcached",
        ) if guest != "toolbox" => with(&[guest], &[]),
        (_, "nginx-ingress-controller") => with(&[guest], &args[1..]),
        _ => args,
    }
}

/// Whether a program of this name is a tool that any image has, beside its own program.
pub fn is_shell(name: &str) -> bool {
    ["sh", "ash", "bash", "sleep", "echo", "cat", "true", "false", "env", "ls", "tail"]
        .contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_under_any_registry() {
        for image in [
            "nginx",
            "nginx:1.14.2",
            "docker.io/library/nginx:1.27-alpine",
            "registry.example.com:5000/nginx:stable-alpine3.20",
            "nginx@sha256:00",
        ] {
            assert_eq!(known_name(image), Some("nginx"), "{image}");
        }
        assert_eq!(
            known_name("registry.k8s.io/ingress-nginx/controller:v1.12.1@sha256:00"),
            Some("ingress-nginx/controller")
        );
        assert_eq!(known_name("quay.io/curlimages/curl:8.10.1"), Some("curlimages/curl"));
        for image in ["nginx:1.161", "nginx:broken", "mynginx", "someone/nginx", "nginx:", ""] {
            assert_eq!(known_name(image), None, "{image}");
        }
    }

    #[test]
    fn commands_are_those_of_the_image() {
        let run = |name, guest, args: &str| {
            command(name, guest, args.split(' ').map(str::to_owned).collect()).join(" ")
        };
        assert_eq!(run("busybox", "toolbox", "toolbox"), "sh");
        assert_eq!(run("busybox", "toolbox", "toolbox sleep 9"), "toolbox sleep 9");
        assert_eq!(run("busybox", "toolbox", "/bin/sh -c ls"), "/bin/sh -c ls");
        assert_eq!(run("curlimages/curl", "toolbox", "toolbox -s http://x"), "curl -s http://x");
        assert_eq!(run("nginx", "web", "nginx -g daemon off;"), "web");
        assert_eq!(
            run("ingress-nginx/controller", "gateway", "/nginx-ingress-controller --a=b"),
            "gateway --a=b"
        );
    }
}
