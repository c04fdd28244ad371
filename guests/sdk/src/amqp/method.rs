//! The methods of AMQP 0-9-1, by their numbers in the specification (and in RabbitMQ's extensions:
//! confirm, nack, blocked). Flags that share an octet are one number here; `bit` names them.

use super::wire::{Long, Malformed, Reader, Table, Wire};

/// Flags within the octet of their method, in the specification's order.
pub mod bit {
    /// `passive` of a declaration.
    pub const PASSIVE: u8 = 1;
    /// `durable` of a declaration.
    pub const DURABLE: u8 = 2;
    /// `exclusive` of a queue; `auto-delete` of an exchange.
    pub const EXCLUSIVE: u8 = 4;
    /// `auto-delete` of a queue; `internal` of an exchange.
    pub const AUTO_DELETE: u8 = 8;
    /// `no-wait` of a declaration.
    pub const DECLARE_NO_WAIT: u8 = 16;
    /// `no-ack` of a consumer.
    pub const NO_ACK: u8 = 2;
    /// `exclusive` of a consumer.
    pub const ONLY: u8 = 4;
    /// `no-wait` of a consumer.
    pub const CONSUME_NO_WAIT: u8 = 8;
    /// `if-unused` of a deletion.
    pub const IF_UNUSED: u8 = 1;
    /// `if-empty` of a deletion of a queue.
    pub const IF_EMPTY: u8 = 2;
    /// `mandatory` of a message.
    pub const MANDATORY: u8 = 1;
    /// `immediate` of a message.
    pub const IMMEDIATE: u8 = 2;
    /// `multiple` of an acknowledgement.
    pub const MULTIPLE: u8 = 1;
    /// `requeue` of `basic.nack`.
    pub const NACK_REQUEUE: u8 = 2;
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $class:literal $id:literal { $($field:ident: $type:ty),* })*) => {
        /// A method.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "the specification names the fields")]
        pub enum Method { $($(#[$doc])* $name { $($field: $type),* },)* }

        impl Method {
            /// Its class and its number there.
            pub fn ids(&self) -> (u16, u16) {
                match self { $(Method::$name { .. } => ($class, $id),)* }
            }

            fn read_arguments(ids: (u16, u16), from: &mut Reader<'_>) -> Result<Option<Method>, Malformed> {
                let method = match ids {
                    $(($class, $id) => {
                        $(let $field = <$type>::read(from)?;)*
                        Method::$name { $($field),* }
                    })*
                    _ => return Ok(None),
                };
                from.end()?;
                Ok(Some(method))
            }

            fn write_arguments(&self, to: &mut Vec<u8>) {
                match self {
                    $(Method::$name { $($field),* } => {
                        $($field.write(to);)*
                        let _written = &to;
                    })*
                }
            }
        }
    };
}

methods! {
    ConnectionStart = 10 10 { major: u8, minor: u8, properties: Table, mechanisms: Long, locales: Long }
    ConnectionStartOk = 10 11 { properties: Table, mechanism: String, response: Long, locale: String }
    ConnectionTune = 10 30 { channel_max: u16, frame_max: u32, heartbeat: u16 }
    ConnectionTuneOk = 10 31 { channel_max: u16, frame_max: u32, heartbeat: u16 }
    ConnectionOpen = 10 40 { host: String, capabilities: String, insist: u8 }
    ConnectionOpenOk = 10 41 { known_hosts: String }
    ConnectionClose = 10 50 { code: u16, text: String, class: u16, method: u16 }
    ConnectionCloseOk = 10 51 {}
    ConnectionBlocked = 10 60 { reason: String }
    ConnectionUnblocked = 10 61 {}
    ConnectionUpdateSecret = 10 70 { secret: Long, reason: String }
    ConnectionUpdateSecretOk = 10 71 {}
    ChannelOpen = 20 10 { reserved: String }
    ChannelOpenOk = 20 11 { reserved: Long }
    ChannelFlow = 20 20 { active: u8 }
    ChannelFlowOk = 20 21 { active: u8 }
    ChannelClose = 20 40 { code: u16, text: String, class: u16, method: u16 }
    ChannelCloseOk = 20 41 {}
    ExchangeDeclare = 40 10 { ticket: u16, exchange: String, kind: String, flags: u8, arguments: Table }
    ExchangeDeclareOk = 40 11 {}
    ExchangeDelete = 40 20 { ticket: u16, exchange: String, flags: u8 }
    ExchangeDeleteOk = 40 21 {}
    ExchangeBind = 40 30 { ticket: u16, to: String, from: String, key: String, no_wait: u8, arguments: Table }
    ExchangeUnbind = 40 40 { ticket: u16, to: String, from: String, key: String, no_wait: u8, arguments: Table }
    QueueDeclare = 50 10 { ticket: u16, queue: String, flags: u8, arguments: Table }
    QueueDeclareOk = 50 11 { queue: String, messages: u32, consumers: u32 }
    QueueBind = 50 20 { ticket: u16, queue: String, exchange: String, key: String, no_wait: u8, arguments: Table }
    QueueBindOk = 50 21 {}
    QueuePurge = 50 30 { ticket: u16, queue: String, no_wait: u8 }
    QueuePurgeOk = 50 31 { messages: u32 }
    QueueDelete = 50 40 { ticket: u16, queue: String, flags: u8 }
    QueueDeleteOk = 50 41 { messages: u32 }
    QueueUnbind = 50 50 { ticket: u16, queue: String, exchange: String, key: String, arguments: Table }
    QueueUnbindOk = 50 51 {}
    BasicQos = 60 10 { prefetch_size: u32, prefetch_count: u16, global: u8 }
    BasicQosOk = 60 11 {}
    BasicConsume = 60 20 { ticket: u16, queue: String, tag: String, flags: u8, arguments: Table }
    BasicConsumeOk = 60 21 { tag: String }
    BasicCancel = 60 30 { tag: String, no_wait: u8 }
    BasicCancelOk = 60 31 { tag: String }
    BasicPublish = 60 40 { ticket: u16, exchange: String, key: String, flags: u8 }
    BasicReturn = 60 50 { code: u16, text: String, exchange: String, key: String }
    BasicDeliver = 60 60 { tag: String, delivery: u64, redelivered: u8, exchange: String, key: String }
    BasicGet = 60 70 { ticket: u16, queue: String, no_ack: u8 }
    BasicGetOk = 60 71 { delivery: u64, redelivered: u8, exchange: String, key: String, messages: u32 }
    BasicGetEmpty = 60 72 { reserved: String }
    BasicAck = 60 80 { delivery: u64, multiple: u8 }
    BasicReject = 60 90 { delivery: u64, requeue: u8 }
    BasicRecoverAsync = 60 100 { requeue: u8 }
    BasicRecover = 60 110 { requeue: u8 }
    BasicRecoverOk = 60 111 {}
    BasicNack = 60 120 { delivery: u64, flags: u8 }
    ConfirmSelect = 85 10 { no_wait: u8 }
    ConfirmSelectOk = 85 11 {}
    TxSelect = 90 10 {}
    TxCommit = 90 20 {}
    TxRollback = 90 30 {}
}

/// A payload that is no method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// There is no such method; the numbers it gave.
    Unknown(u16, u16),
    /// Its arguments are not as they should be; the numbers it gave.
    Malformed(Malformed, u16, u16),
}

impl Method {
    /// Reads the payload of a method frame.
    ///
    /// # Errors
    /// If there is no such method, or its arguments are malformed.
    pub fn read(payload: &[u8]) -> Result<Method, Unreadable> {
        let mut from = Reader::new(payload);
        let ids = (|| Ok((u16::read(&mut from)?, u16::read(&mut from)?)))();
        let ids = ids.map_err(|e| Unreadable::Malformed(e, 0, 0))?;
        let method = Method::read_arguments(ids, &mut from);
        method
            .map_err(|e| Unreadable::Malformed(e, ids.0, ids.1))?
            .ok_or(Unreadable::Unknown(ids.0, ids.1))
    }

    /// The payload of a method frame.
    pub fn payload(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let (class, id) = self.ids();
        class.write(&mut out);
        id.write(&mut out);
        self.write_arguments(&mut out);
        out
    }
}

macro_rules! properties {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $bit:literal,)*) => {
        /// What a message says of itself (class `basic`, specification 1.8).
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Properties { $($(#[$doc])* pub $field: Option<$type>,)* }

        impl Wire for Properties {
            fn read(from: &mut Reader<'_>) -> Result<Properties, Malformed> {
                let flags = u16::read(from)?;
                let known = 0 $(| 1u16 << $bit)*;
                if flags & !known != 0 {
                    return Err(Malformed("a property that does not exist"));
                }
                Ok(Properties {
                    $($field: if flags & 1 << $bit != 0 { Some(<$type>::read(from)?) } else { None },)*
                })
            }

            fn write(&self, to: &mut Vec<u8>) {
                let flags = 0u16 $(| u16::from(self.$field.is_some()) << $bit)*;
                flags.write(to);
                $(if let Some(value) = &self.$field { value.write(to); })*
            }
        }
    };
}

properties! {
    /// The type of the body.
    content_type: String = 15,
    /// How it is encoded.
    content_encoding: String = 14,
    /// What applications add.
    headers: Table = 13,
    /// 2: outlives the broker's program, in a durable queue.
    delivery_mode: u8 = 12,
    /// 0 to 9.
    priority: u8 = 11,
    /// Which request it answers.
    correlation_id: String = 10,
    /// Where an answer goes.
    reply_to: String = 9,
    /// Milliseconds it may wait, as a text.
    expiration: String = 8,
    /// Its name.
    message_id: String = 7,
    /// When it was made.
    timestamp: u64 = 6,
    /// What it is.
    kind: String = 5,
    /// Who made it.
    user_id: String = 4,
    /// What made it.
    app_id: String = 3,
    /// Not in use.
    cluster_id: String = 2,
}

/// The head of a content: how long its body is, and its properties.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Bytes of the body.
    pub size: u64,
    /// What the message says of itself.
    pub properties: Properties,
}

impl Header {
    /// Reads the payload of a header frame.
    ///
    /// # Errors
    /// If it is malformed, or of another class than `basic`.
    pub fn read(payload: &[u8]) -> Result<Header, Malformed> {
        let mut from = Reader::new(payload);
        if u16::read(&mut from)? != 60 {
            return Err(Malformed("a content of another class than basic"));
        }
        let _weight = u16::read(&mut from)?;
        let size = u64::read(&mut from)?;
        let properties = Properties::read(&mut from)?;
        from.end()?;
        Ok(Header { size, properties })
    }

    /// The payload of a header frame.
    pub fn payload(&self) -> Vec<u8> {
        let mut out = Vec::new();
        60u16.write(&mut out);
        0u16.write(&mut out);
        self.size.write(&mut out);
        self.properties.write(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::tests::table;
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = String> {
        "\\PC{0,40}"
    }

    fn method() -> impl Strategy<Value = Method> {
        prop_oneof![
            (table(), text(), any::<Vec<u8>>(), text()).prop_map(
                |(properties, mechanism, b, locale)| {
                    Method::ConnectionStartOk { properties, mechanism, response: Long(b), locale }
                }
            ),
            any::<(u16, u32, u16)>().prop_map(|(channel_max, frame_max, heartbeat)| {
                Method::ConnectionTuneOk { channel_max, frame_max, heartbeat }
            }),
            (any::<(u16, u8)>(), text(), table()).prop_map(
                |((ticket, flags), queue, arguments)| {
                    Method::QueueDeclare { ticket, queue, flags, arguments }
                }
            ),
            (text(), text(), any::<u8>()).prop_map(|(exchange, key, flags)| Method::BasicPublish {
                ticket: 0,
                exchange,
                key,
                flags
            }),
            (text(), text(), any::<(u64, u8)>()).prop_map(|(tag, key, (delivery, redelivered))| {
                Method::BasicDeliver { tag, delivery, redelivered, exchange: String::new(), key }
            }),
            any::<(u64, u8)>().prop_map(|(delivery, flags)| Method::BasicNack { delivery, flags }),
            Just(Method::ConfirmSelectOk {}),
        ]
    }

    fn properties() -> impl Strategy<Value = Properties> {
        let optional = || proptest::option::of(text());
        (
            optional(),
            proptest::option::of(table()),
            any::<Option<u8>>(),
            optional(),
            any::<Option<u64>>(),
            optional(),
        )
            .prop_map(
                |(content_type, headers, delivery_mode, expiration, timestamp, app_id)| {
                    Properties {
                        content_type,
                        headers,
                        delivery_mode,
                        expiration,
                        timestamp,
                        app_id,
                        ..Properties::default()
                    }
                },
            )
    }

    proptest! {
        #[test]
        fn a_method_is_read_as_it_was_written(method in method()) {
            let mut bytes = method.payload();
            prop_assert_eq!(Method::read(&bytes).unwrap(), method.clone());
            for cut in 0..bytes.len() {
                prop_assert!(Method::read(&bytes[..cut]).is_err(), "{method:?} cut at {cut}");
            }
            bytes.push(0);
            prop_assert!(Method::read(&bytes).is_err());
        }

        #[test]
        fn a_header_is_read_as_it_was_written(size: u64, properties in properties()) {
            let header = Header { size, properties };
            prop_assert_eq!(Header::read(&header.payload()).unwrap(), header);
        }

        #[test]
        fn any_bytes_are_a_method_or_an_error(
            class in prop_oneof![Just(10u16), Just(20), Just(40), Just(50), Just(60), Just(85)],
            id in 0u16..130,
            rest in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let bytes = [&class.to_be_bytes()[..], &id.to_be_bytes(), &rest].concat();
            if let Ok(method) = Method::read(&bytes) {
                prop_assert_eq!(Method::read(&method.payload()).unwrap(), method);
            }
            let _either = Header::read(&bytes);
        }
    }

    #[test]
    fn what_is_no_method() {
        assert_eq!(Method::read(&[0, 60, 0, 99]), Err(Unreadable::Unknown(60, 99)));
        assert!(matches!(Method::read(&[0]), Err(Unreadable::Malformed(_, 0, 0))));
        assert!(Header::read(&[0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
