//! What comes from outside and changes a world.

use podlab_kube::api::{Request, Response};
use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// Something from outside that changes a world. Enters at a quiescent instant: everything due
/// at that instant has happened, and nothing after it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// A mutation through the Kubernetes API.
    Api(Request),
    /// A fault, or its end.
    Fault(Fault),
    /// A connection from outside begins.
    Open {
        /// Its number, chosen by whoever opens it; never used before in this world.
        id: u64,
        /// Where to: `service.namespace:port`, `pod-ip:port`.
        target: String,
    },
    /// Bytes from outside.
    Send {
        /// The connection.
        id: u64,
        /// The bytes.
        bytes: serde_bytes::ByteBuf,
    },
    /// The outside sends no more.
    Shut {
        /// The connection.
        id: u64,
    },
    /// The outside has gone away.
    Drop {
        /// The connection.
        id: u64,
    },
    /// A program is started inside a container.
    Exec {
        /// Its number, from the same series as connections.
        id: u64,
        /// The namespace.
        namespace: String,
        /// The pod.
        pod: String,
        /// The container.
        container: String,
        /// The command and its arguments.
        command: Vec<String>,
    },
    /// An image can be used from now on.
    Image {
        /// Its name and tag.
        name: String,
        /// BLAKE3 of the wasm file, hex.
        digest: String,
    },
    /// A client comes to the streams of a program. What it sends are `Send`, `Shut` and `Drop`
    /// with the same number.
    Session {
        /// Its number, from the same series as connections.
        id: u64,
        /// The namespace.
        namespace: String,
        /// The pod.
        pod: String,
        /// The container.
        container: String,
        /// A further program with its arguments; `None` is the container's own.
        command: Option<Vec<String>>,
        /// Whether the client sends input.
        stdin: bool,
        /// Whether a further program gets a terminal.
        terminal: bool,
    },
    /// The window of a session's client has another size.
    Resize {
        /// The session.
        id: u64,
        /// Its columns.
        columns: u16,
        /// Its rows.
        rows: u16,
    },
}

impl Input {
    /// What it is, for people.
    pub fn summary(&self) -> String {
        match self {
            Input::Api(request) => format!("{} {}", request.method, request.path),
            Input::Fault(fault) => format!("fault {} {}", fault.name(), fault.target()),
            Input::Open { id, target } => format!("connection {id} to {target}"),
            Input::Send { id, bytes } => format!("connection {id} sends {} bytes", bytes.len()),
            Input::Shut { id } => format!("connection {id} sends no more"),
            Input::Drop { id } => format!("connection {id} is dropped"),
            Input::Exec { pod, container, command, .. } => {
                format!("exec {pod}/{container}: {}", command.join(" "))
            }
            Input::Image { name, .. } => format!("image {name}"),
            Input::Session { pod, container, command: Some(command), .. } => {
                format!("exec {pod}/{container}: {}", command.join(" "))
            }
            Input::Session { pod, container, .. } => format!("attach {pod}/{container}"),
            Input::Resize { id, columns, rows } => format!("window {id} is {columns}x{rows}"),
        }
    }
}

/// What came of an input at once.
pub enum Outcome {
    /// The answer of the API server.
    Api(Response),
    /// It was taken in.
    Done,
    /// It could not be, and why. It still is part of the recording.
    Refused(String),
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Outcome::Api(response) => write!(f, "Api({})", response.status),
            Outcome::Done => f.write_str("Done"),
            Outcome::Refused(why) => write!(f, "Refused({why})"),
        }
    }
}
