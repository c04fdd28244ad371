//! How a connection begins and ends: who it is, what both sides can take, which virtual host.

use podlab_guest::log;

use super::session::{CHANNEL_MAX, FRAME_MAX, Session, State, Step};
use super::{Refusal, code};
use crate::broker::Broker;
use podlab_guest::amqp::method::Method;
use podlab_guest::amqp::wire::{FRAME_MIN, Long, Table, Value};

/// Seconds between signs of life that are proposed to a client.
const HEARTBEAT: u16 = 60;

impl Session {
    pub(super) fn start(&mut self) {
        self.state = State::Start;
        let able = |name: &str| (name.to_owned(), Value::Bool(true));
        let capabilities = Table(
            [
                "publisher_confirms",
                "basic.nack",
                "consumer_cancel_notify",
                "connection.blocked",
                "per_consumer_qos",
                "authentication_failure_close",
            ]
            .map(able)
            .into(),
        );
        let properties = Table(vec![
            ("capabilities".into(), Value::Table(capabilities)),
            ("product".into(), Value::text("podlab queue")),
            ("version".into(), Value::text(env!("CARGO_PKG_VERSION"))),
        ]);
        let (mechanisms, locales) = (Long(b"PLAIN".to_vec()), Long(b"en_US".to_vec()));
        self.send(
            0,
            &Method::ConnectionStart { major: 0, minor: 9, properties, mechanisms, locales },
        );
    }

    pub(super) fn connection(
        &mut self,
        broker: &mut Broker,
        method: Method,
    ) -> Result<Step, Refusal> {
        match (self.state, method) {
            (_, Method::ConnectionClose { .. }) => {
                self.leave(broker);
                self.send(0, &Method::ConnectionCloseOk {});
                return Ok(Step::End);
            }
            (State::Start, Method::ConnectionStartOk { properties, mechanism, response, .. }) => {
                self.client = properties;
                if mechanism != "PLAIN" {
                    let text = format!("unknown authentication mechanism '{mechanism:.30}'");
                    return self.stranger(broker, text);
                }
                let wanted = format!("\0{}", self.login.replacen(':', "\0", 1));
                if response.0 != wanted.as_bytes() {
                    let text = "Login was refused using authentication mechanism PLAIN.";
                    return self.stranger(broker, text.into());
                }
                self.state = State::Tune;
                self.send(
                    0,
                    &Method::ConnectionTune {
                        channel_max: CHANNEL_MAX,
                        frame_max: FRAME_MAX,
                        heartbeat: HEARTBEAT,
                    },
                );
            }
            (State::Tune, Method::ConnectionTuneOk { channel_max, frame_max, heartbeat }) => {
                if frame_max != 0 && !(FRAME_MIN..=FRAME_MAX).contains(&frame_max) {
                    let text = format!("frame_max={frame_max} is not {FRAME_MIN} to {FRAME_MAX}");
                    return Err(Refusal::new(code::NOT_ALLOWED, text));
                }
                if channel_max > CHANNEL_MAX {
                    let text = format!("channel_max={channel_max} is more than {CHANNEL_MAX}");
                    return Err(Refusal::new(code::NOT_ALLOWED, text));
                }
                self.frame_max = if frame_max == 0 { FRAME_MAX } else { frame_max };
                self.channel_max = if channel_max == 0 { CHANNEL_MAX } else { channel_max };
                self.heartbeat = heartbeat;
                self.state = State::Open;
            }
            (State::Open, Method::ConnectionOpen { host, .. }) => {
                if host != "/" {
                    return Err(Refusal::new(
                        code::NOT_ALLOWED,
                        format!("vhost {host:.60} not found"),
                    ));
                }
                self.state = State::Running;
                self.send(0, &Method::ConnectionOpenOk { known_hosts: String::new() });
            }
            (State::Running, Method::ConnectionUpdateSecret { .. }) => {
                self.send(0, &Method::ConnectionUpdateSecretOk {});
            }
            (state, method) => {
                let (class, id) = method.ids();
                let text = format!("method {id} of class {class} in state {state:?}");
                return Err(Refusal::new(code::COMMAND_INVALID, text));
            }
        }
        Ok(Step::More)
    }

    /// Somebody who may not log in: told so only if they can understand it.
    fn stranger(&mut self, broker: &mut Broker, text: String) -> Result<Step, Refusal> {
        if self.able("authentication_failure_close") {
            return Err(Refusal::new(code::ACCESS_REFUSED, text));
        }
        log::warn("amqp-login-refused", &[("client", &self.id)]);
        self.leave(broker);
        Ok(Step::End)
    }
}
