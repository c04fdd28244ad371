//! The subresources that become streams in both directions: exec, attach, portforward
//! (`pkg/registry/core/pod/strategy.go`, `rest/subresources.go`). This decides what is asked for
//! and whether it may be; whoever serves HTTP carries the bytes.

use serde_json::Value;

use super::Api;
use super::access::{Attributes, User};
use super::log::choose;
use super::request::Request;
use super::response::Response;
use crate::control_plane::SessionSpec;
use crate::store::Error;

/// How many ports one request may forward.
const MAX_PORTS: usize = 64;

/// What a client wants to be connected with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Streaming {
    /// A program's streams, and which of its outputs the client wants: standard output, standard
    /// error.
    Session(SessionSpec, bool, bool),
    /// Ports of a pod.
    Forward {
        /// The namespace.
        namespace: String,
        /// The pod.
        pod: String,
        /// The ports that the query names; none where streams name them.
        ports: Vec<u16>,
    },
}

/// Whether this path is one of those that stream.
pub fn is_streaming(path: &str) -> bool {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    matches!(
        parts[..],
        ["api", "v1", "namespaces", _, "pods", _, "exec" | "attach" | "portforward"]
    )
}

impl Api {
    /// What a request for exec, attach or portforward asks for.
    ///
    /// # Errors
    /// The answer to give instead of switching protocols.
    pub fn streaming(&self, request: &Request) -> Result<Streaming, Response> {
        self.asked(request).map_err(|e| Response::error(&e))?
    }

    fn asked(&self, request: &Request) -> Result<Result<Streaming, Response>, Error> {
        let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        let ["api", "v1", "namespaces", namespace, "pods", name, sub] = parts[..] else {
            return Err(Error::no_such_path());
        };
        let verb = if request.method == "POST" { "create" } else { "get" };
        let target = self.target(&parts)?;
        self.authorize(&User::of(&request.user), &Attributes::of(verb, &target))?;
        let pod = self.store.require("pods", namespace, name)?;
        if sub == "portforward" {
            let mut ports = Vec::new();
            for (_, value) in request.query.iter().filter(|(k, _)| k == "ports" || k == "port") {
                for port in value.split(',') {
                    let number = port.parse().ok().filter(|p: &u16| *p > 0);
                    ports.push(number.ok_or_else(|| {
                        Error::bad_request(format!("invalid port {port:?}: must be 1 to 65535"))
                    })?);
                }
            }
            if ports.len() > MAX_PORTS {
                return Err(Error::bad_request(format!("at most {MAX_PORTS} ports at once")));
            }
            return Ok(match running(&pod, name)? {
                Some(refusal) => Err(refusal),
                None => {
                    Ok(Streaming::Forward { namespace: namespace.into(), pod: name.into(), ports })
                }
            });
        }
        let (stdin, tty) = (request.flag("stdin"), request.flag("tty"));
        let (stdout, stderr) = (request.flag("stdout"), request.flag("stderr"));
        if !(stdin || stdout || stderr) {
            return Err(Error::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
        }
        let command: Vec<String> =
            request.query.iter().filter(|(k, _)| k == "command").map(|(_, v)| v.clone()).collect();
        if sub == "exec" && command.is_empty() {
            return Err(Error::bad_request(
                "you must specify at least one command for the container",
            ));
        }
        let container = choose(&pod, name, request.param("container"))?;
        let phase = pod["status"]["phase"].as_str().unwrap_or("");
        if matches!(phase, "Succeeded" | "Failed") {
            return Err(Error::bad_request(format!(
                "cannot exec into a container in a completed pod; current phase is {phase}"
            )));
        }
        if let Some(refusal) = running(&pod, name)? {
            return Ok(Err(refusal));
        }
        let runs = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"]
            .iter()
            .flat_map(|f| pod["status"][f].as_array().into_iter().flatten())
            .any(|c| c["name"] == *container && c["state"]["running"].is_object());
        if !runs {
            // The kubelet says so in plain text, and kubectl after "unable to upgrade connection".
            return Ok(Err(plain(500, &format!("container not found ({container:?})"))));
        }
        let session = SessionSpec {
            namespace: namespace.into(),
            pod: name.into(),
            container,
            command: (sub == "exec").then_some(command),
            stdin,
            terminal: tty,
        };
        Ok(Ok(Streaming::Session(session, stdout, stderr && !tty)))
    }
}

/// An answer instead, if the pod is on no node.
fn running(pod: &Value, name: &str) -> Result<Option<Response>, Error> {
    if pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty) {
        return Err(Error::bad_request(format!("pod {name} does not have a host assigned")));
    }
    let gone = matches!(pod["status"]["phase"].as_str(), Some("Pending")) && {
        pod["status"]["podIP"].is_null()
    };
    Ok(gone.then(|| plain(404, "pod does not exist")))
}

fn plain(status: u16, text: &str) -> Response {
    Response { content_type: "text/plain".into(), ..Response::text(status, text.to_owned()) }
}
