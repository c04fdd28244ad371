//! `podlab kubeconfig`: what kubectl and its kin need to reach a world of a running server.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use axum::http::Uri;
use base64::Engine as _;
use podlab_server::tls::{certificate_in, connect};
use serde_json::{Map, Value, json};

use crate::problem::{Done, Problem};
use crate::{embedded, tls};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// No list of worlds, and no kubeconfig, is longer.
const LONGEST: u64 = 4 << 20;
/// The name of the mark by which our own entries are known again.
const MARK: &str = "podlab";

/// Prints a kubeconfig for a world of a running server.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab kubeconfig > world.yaml && kubectl --kubeconfig world.yaml get pods\n  podlab kubeconfig --world w2\n  podlab kubeconfig --merge ~/.kube/config && kubectl --context podlab-w1 get pods\n\nWith --merge the other entries of the file, and its current context, stay as they are."
)]
pub struct Args {
    /// Which world; needed only if there are several.
    #[arg(long, value_name = "ID")]
    world: Option<String>,
    /// Where the server is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7878")]
    server: String,
    /// The certificate of a server that speaks TLS: PEM [default: the one that --tls made here].
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Adds cluster, user and context to this file (made if there is none) and prints nothing.
    #[arg(long, value_name = "FILE")]
    merge: Option<PathBuf>,
    /// What cluster, user and context are called [default: podlab-ID].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Prints it, or merges it.
pub fn run(args: Args) -> Done {
    let server = args.server.trim_end_matches('/');
    let trusted = trusted(server, args.certificate.as_deref())?;
    let found = worlds(server, trusted.as_deref())?;
    let world = choose(&found, args.world.as_deref(), server)?;
    let name = args.name.unwrap_or_else(|| format!("podlab-{world}"));
    let config = config(server, &world, &name, trusted.as_deref());
    match &args.merge {
        None => print!("{}", yaml(&config)?),
        Some(file) => {
            let current = merge_file(file, &config)?;
            eprintln!("{}: the context {name} is there.", file.display());
            if current != name {
                eprintln!("Use it with: kubectl --context {name} get pods");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The certificate to trust, for a server that speaks TLS.
fn trusted(server: &str, given: Option<&Path>) -> Result<Option<Vec<u8>>, Problem> {
    if !server.starts_with("https://") {
        return Ok(None);
    }
    let own = || embedded::state_dir(None).map(|dir| certificate_in(&tls::folder(&dir)));
    let file = given.map(Path::to_owned).or_else(own).unwrap_or_default();
    let read = fs::read(&file).map_err(|e| {
        Problem::usage(
            format!("{}: {e}", file.display()),
            "Give the certificate of the server with --certificate FILE.",
        )
    })?;
    Ok(Some(read))
}

/// Id and pattern of each world that lives.
fn worlds(server: &str, trusted: Option<&[u8]>) -> Result<Vec<(String, String)>, Problem> {
    let remedy = "Start one with `podlab up`, or say where it is with --server URL.";
    let body = ask(server, "/api/worlds", trusted)
        .map_err(|why| Problem::failed(format!("no server answers at {server}: {why}"), remedy))?;
    let found = serde_json::from_slice::<Value>(&body).ok();
    let Some(list) = found.as_ref().and_then(|v| v["worlds"].as_array()) else {
        return Err(Problem::failed(format!("what answers at {server} is not Podlab"), remedy));
    };
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let living = list.iter().filter(|w| w["dead"] != true);
    Ok(living.map(|w| (text(&w["id"]), text(&w["pattern"]))).collect())
}

fn choose(
    worlds: &[(String, String)],
    wanted: Option<&str>,
    server: &str,
) -> Result<String, Problem> {
    let list = || {
        let named = worlds.iter().map(|(id, pattern)| match pattern.as_str() {
            "" => id.clone(),
            pattern => format!("{id} ({pattern})"),
        });
        named.collect::<Vec<_>>().join(", ")
    };
    match (wanted, worlds) {
        (_, []) => Err(Problem::failed(
            format!("the server at {server} has no world yet"),
            format!("Open {server}/ and choose a pattern, or start `podlab up --pattern NAME`."),
        )),
        (None, [(id, _)]) => Ok(id.clone()),
        (None, _) => Err(Problem::usage(
            format!("there are several worlds: {}", list()),
            "Choose one with --world ID.",
        )),
        (Some(id), _) if worlds.iter().any(|(known, _)| known == id) => Ok(id.into()),
        (Some(id), _) => Err(Problem::usage(
            format!("there is no world {id}"),
            format!("There are: {}.", list()),
        )),
    }
}

/// A connection, TLS or not.
trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// One GET. HTTP/1.0, so that the answer ends where the connection does.
fn ask(server: &str, path: &str, trusted: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let uri: Uri = server.parse().map_err(|e| format!("not a URL ({e})"))?;
    let host = uri.host().ok_or("a URL begins with http://")?;
    let usual = match uri.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return Err("only http:// and https:// can be asked".into()),
    };
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let wrong = |e: std::io::Error| e.to_string();
    let tcp = TcpStream::connect((plain, uri.port_u16().unwrap_or(usual))).map_err(wrong)?;
    tcp.set_read_timeout(Some(PATIENCE)).map_err(wrong)?;
    let mut stream: Box<dyn Stream> = match trusted {
        Some(trusted) => Box::new(connect(plain, tcp, trusted)?),
        None => Box::new(tcp),
    };
    let authority = uri.authority().map_or(host, |a| a.as_str());
    let below = uri.path().trim_end_matches('/');
    write!(stream, "GET {below}{path} HTTP/1.0\r\nHost: {authority}\r\n\r\n").map_err(wrong)?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).map_err(wrong)?;
    let head = answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or("it speaks no HTTP")?;
    let status = String::from_utf8_lossy(&answer[..head]);
    match status.split_whitespace().nth(1) {
        Some("200") => Ok(answer.split_off(head + 4)),
        Some(code) => Err(format!("it says {code} to {path}")),
        None => Err("it speaks no HTTP".into()),
    }
}

/// A kubeconfig with one context (`k8s.io/client-go/tools/clientcmd/api/v1`).
fn config(server: &str, world: &str, name: &str, trusted: Option<&[u8]>) -> Value {
    let mark = json!([{"name": MARK, "extension": {"world": world}}]);
    let mut config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {
            "extensions": mark, "server": format!("{server}/api/worlds/{world}/kube"),
        }}],
        "users": [{"name": name, "user": {"extensions": mark}}],
        "contexts": [{"name": name, "context": {
            "cluster": name, "extensions": mark, "namespace": "default", "user": name,
        }}],
        "current-context": name,
        "preferences": {},
    });
    if let Some(trusted) = trusted {
        let data = base64::engine::general_purpose::STANDARD.encode(trusted);
        config["clusters"][0]["cluster"]["certificate-authority-data"] = json!(data);
        // Over TLS kubectl asks for a user name if it has nothing to show. Who one is, the URL says.
        config["users"][0]["user"]["token"] = json!(MARK);
    }
    config
}

/// The YAML of `config`, if it says the same.
fn yaml(config: &Value) -> Result<String, Problem> {
    let lost = || Problem::failed("this configuration cannot be written as YAML", "");
    // Certificates and tokens stay on one line, as kubectl writes them.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let text = serde_saphyr::to_string_with_options(config, options).map_err(|_| lost())?;
    let again: Value = serde_saphyr::from_str(&text).map_err(|_| lost())?;
    if again == *config { Ok(text) } else { Err(lost()) }
}

/// Adds `new` to the configuration `old`.
///
/// # Errors
/// If `old` is no kubeconfig, or has entries of this name that are not ours.
fn merge(old: Value, new: &Value) -> Result<Value, String> {
    let mut merged = match old {
        Value::Null => Map::new(),
        Value::Object(map) => map,
        _ => return Err("this is no kubeconfig".into()),
    };
    if merged.get("kind").is_some_and(|k| k != "Config") {
        return Err("this is no kubeconfig".into());
    }
    for key in ["apiVersion", "kind", "preferences"] {
        merged.entry(key).or_insert_with(|| new[key].clone());
    }
    for (list, part) in [("clusters", "cluster"), ("users", "user"), ("contexts", "context")] {
        let entry = &new[list][0];
        let there = merged.entry(list).or_insert(Value::Null);
        if there.is_null() {
            *there = json!([]);
        }
        let there = there.as_array_mut().ok_or_else(|| format!("`{list}` is not a list"))?;
        match there.iter_mut().find(|e| e["name"] == entry["name"]) {
            None => there.push(entry.clone()),
            Some(before) => {
                let marks = before[part]["extensions"].as_array();
                if !marks.is_some_and(|all| all.iter().any(|m| m["name"] == MARK)) {
                    return Err(format!("it has a {part} {} already", entry["name"]));
                }
                *before = entry.clone();
            }
        }
    }
    let current = merged.entry("current-context").or_insert(Value::Null);
    if current.as_str().is_none_or(str::is_empty) {
        *current = new["current-context"].clone();
    }
    Ok(Value::Object(merged))
}

/// Removes a file when it goes.
struct Lock(PathBuf);

impl Drop for Lock {
    fn drop(&mut self) {
        // If somebody else removed it, it is gone all the same.
        let _ = fs::remove_file(&self.0);
    }
}

/// Merges `new` into `file`, all or nothing; gives the current context.
fn merge_file(file: &Path, new: &Value) -> Result<String, Problem> {
    // A link stays a link.
    let real = fs::canonicalize(file).unwrap_or_else(|_| file.into());
    let problem = |e: std::io::Error| Problem::file(file, e);
    let folder = real.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(problem)?;
    // kubectl takes the same lock (clientcmd's lockFile).
    let mut name = real.clone().into_os_string();
    name.push(".lock");
    let lock = PathBuf::from(name);
    match OpenOptions::new().write(true).create_new(true).open(&lock) {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            return Err(Problem::failed(
                format!("{} is there: somebody is changing the file", lock.display()),
                "Try again; if nobody is, remove that file.",
            ));
        }
        Err(e) => return Err(problem(e)),
    }
    let _lock = Lock(lock);
    let (old, mode) = match fs::File::open(&real) {
        Ok(opened) => {
            let mut text = String::new();
            let permissions = opened.metadata().map_err(problem)?.permissions();
            opened.take(LONGEST).read_to_string(&mut text).map_err(problem)?;
            if text.len() as u64 == LONGEST {
                return Err(Problem::file(file, "it is too long for a kubeconfig"));
            }
            let value = if text.trim().is_empty() {
                Value::Null
            } else {
                serde_saphyr::from_str(&text).map_err(|e| Problem::file(file, e))?
            };
            (value, Some(permissions))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => (Value::Null, None),
        Err(e) => return Err(problem(e)),
    };
    let merged = merge(old, new).map_err(|why| {
        Problem::usage(
            format!("{}: {why}", file.display()),
            "It was left as it is. Choose another name with --name NAME.",
        )
    })?;
    // Beside the file, and readable by its owner only, as such files are.
    let mut next = tempfile::NamedTempFile::new_in(folder).map_err(problem)?;
    next.write_all(yaml(&merged)?.as_bytes()).map_err(problem)?;
    if let Some(mode) = mode {
        next.as_file().set_permissions(mode).map_err(problem)?;
    }
    next.as_file().sync_all().map_err(problem)?;
    next.persist(&real).map_err(|e| problem(e.error))?;
    Ok(merged["current-context"].as_str().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> Value {
        config("http://127.0.0.1:7878", "w1", "podlab-w1", None)
    }

    const FOREIGN: &str = r#"apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority-data: TFMwdExTMUNSVWRKVGlCRFJWSlVTVVpKUTBGVVJTMHRMUzB0Q2sxSlNVUkNSRU5EUVdWNVowRjNTVUpCWjBsQ1FVUkJUa0puYTNGb2EybEhPWGN3UWtGUmMwWkJSRUZXVFZKTmQwVlJXVVJXVVZGRVJYZHdjbVJYU214amJUVnNaRWRXZWs=
    server: https://real.example:6443
  name: real
contexts:
- context: {cluster: real, user: "yes"}
  name: "1e3"
current-context: "1e3"
users:
- name: "yes"
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, args: ["0x10", "~", "a: b", "line\nbreak "], command: get-token, interactiveMode: Never}
"#;

    #[test]
    fn foreign_entries_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        fs::write(&file, FOREIGN).unwrap();
        assert_eq!(merge_file(&file, &new()).unwrap(), "1e3");
        // A second time changes nothing.
        let once = fs::read_to_string(&file).unwrap();
        merge_file(&file, &new()).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), once);
        let merged: Value = serde_saphyr::from_str(&once).unwrap();
        let before: Value = serde_saphyr::from_str(FOREIGN).unwrap();
        for list in ["clusters", "users", "contexts"] {
            assert_eq!(merged[list].as_array().unwrap().len(), 2);
            assert_eq!(merged[list][0], before[list][0]);
            assert_eq!(merged[list][1], new()[list][0]);
        }
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "neither lock nor half-written file is left");
    }

    #[test]
    fn a_name_that_is_taken_is_refused_and_the_file_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let taken = FOREIGN.replace("name: real", "name: podlab-w1");
        fs::write(&file, &taken).unwrap();
        assert!(merge_file(&file, &new()).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), taken);
        for bad in ["- a\n", "kind: Pod\n", "clusters: 7\n", "a: [\n"] {
            fs::write(&file, bad).unwrap();
            assert!(merge_file(&file, &new()).is_err(), "{bad}");
            assert_eq!(fs::read_to_string(&file).unwrap(), bad);
        }
        fs::write(folder.path().join("config.lock"), "").unwrap();
        fs::write(&file, "").unwrap();
        assert!(merge_file(&file, &new()).is_err(), "somebody else holds the lock");
    }

    #[test]
    fn a_file_that_is_not_there_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".kube/config");
        assert_eq!(merge_file(&file, &new()).unwrap(), "podlab-w1");
        let written: Value = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(written, new());
    }

    #[test]
    fn one_world_needs_no_choice() {
        let all = [("w1".to_owned(), "sidecar".to_owned()), ("w2".to_owned(), String::new())];
        let server = "http://x";
        assert_eq!(choose(&all[..1], None, server).unwrap(), "w1");
        assert_eq!(choose(&all, Some("w2"), server).unwrap(), "w2");
        for (worlds, wanted) in [(&all[..0], None), (&all[..], None), (&all[..], Some("w3"))] {
            assert!(choose(worlds, wanted, server).is_err());
        }
    }

    #[test]
    fn what_is_no_server_is_told_apart() {
        for url in ["127.0.0.1:1", "https://127.0.0.1:1", "http://127.0.0.1:1", "http://a b", ""] {
            assert!(worlds(url, None).is_err(), "{url}");
        }
    }
}
