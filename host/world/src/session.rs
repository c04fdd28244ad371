//! Clients from outside at the streams of programs: `kubectl exec` and `attach`.
//!
//! What a client does enters as inputs; what the program writes goes to the outbox, in pieces
//! that begin with one byte: 1 for standard output, 2 for standard error (the channels of
//! Kubernetes' `channel.k8s.io` protocols).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::{BufMut as _, BytesMut};
use podlab_kube::control_plane::{ControlPlane, Session, SessionSpec};
use podlab_kube::runtime::Output;
use podlab_sim::Handle;
use podlab_trace::Stream;

use crate::gateway::{Outbox, Outside};

/// How many sessions may be open at once.
const MAX_OPEN: usize = 256;

/// The sessions of one world.
pub struct Sessions {
    sim: Handle,
    outbox: Outbox,
    open: Arc<Mutex<BTreeMap<u64, Session>>>,
}

impl Sessions {
    /// None yet; what their programs write will go to `outbox`.
    pub fn new(sim: &Handle, outbox: &Outbox) -> Sessions {
        Sessions { sim: sim.clone(), outbox: outbox.clone(), open: Arc::default() }
    }

    /// Begins one.
    ///
    /// # Errors
    /// If the container does not run, or too many are open.
    pub fn begin(&self, control: &ControlPlane, id: u64, spec: &SessionSpec) -> Result<(), String> {
        if self.open.lock().expect("sessions lock").len() >= MAX_OPEN {
            return Err(format!("{MAX_OPEN} sessions are open already"));
        }
        let sink = self.outbox.clone();
        let output: Output = Arc::new(Mutex::new(move |stream: Stream, bytes: &[u8]| {
            let mut piece = BytesMut::with_capacity(bytes.len() + 1);
            piece.put_u8(if stream == Stream::Stderr { 2 } else { 1 });
            piece.extend_from_slice(bytes);
            sink.put(id, Outside::Data(piece.freeze()));
        }));
        let session = control.session(spec, output)?;
        self.open.lock().expect("sessions lock").insert(id, session.clone());
        let (open, outbox) = (self.open.clone(), self.outbox.clone());
        self.sim.spawn(async move {
            let exit = session.wait().await;
            if open.lock().expect("sessions lock").remove(&id).is_some() {
                outbox.put(id, Outside::Exited(exit.code));
            }
        });
        Ok(())
    }

    fn get(&self, id: u64) -> Option<Session> {
        self.open.lock().expect("sessions lock").get(&id).cloned()
    }

    /// What a client typed or sent. Whether there is such a session.
    pub fn input(&self, id: u64, bytes: &[u8]) -> bool {
        let Some(session) = self.get(id) else { return false };
        if let Err(why) = session.input(bytes) {
            self.hang_up(id);
            self.outbox.put(id, Outside::Failed(why));
        }
        true
    }

    /// The client sends no more. Whether there is such a session.
    pub fn end_input(&self, id: u64) -> bool {
        let session = self.get(id);
        session.iter().for_each(Session::end_input);
        session.is_some()
    }

    /// The client's window has another size.
    pub fn resize(&self, id: u64) {
        self.get(id).iter().for_each(Session::resize);
    }

    /// The client has gone away. Whether there was such a session.
    pub fn hang_up(&self, id: u64) -> bool {
        let session = self.open.lock().expect("sessions lock").remove(&id);
        session.iter().for_each(Session::hang_up);
        session.is_some()
    }

    /// How many bytes of a client's input wait for the program.
    pub fn backlog(&self, id: u64) -> usize {
        self.get(id).map_or(0, |s| s.backlog())
    }
}
