//! Generated from the WIT of WASI 0.2.
#![allow(missing_docs, reason = "generated")]

wasmtime::component::bindgen!({
    path: "wit",
    world: "podlab:host/container",
    imports: {
        // Reading `/dev/signals` waits for a signal, and a fault may make writes slow.
        "wasi:filesystem/types.[method]descriptor.read": async | trappable,
        "wasi:filesystem/types.[method]descriptor.write": async | trappable,
        default: trappable,
    },
    trappable_error_type: {
        "wasi:filesystem/types.error-code" => crate::host::Fail<wasi::filesystem::types::ErrorCode>,
        "wasi:sockets/network.error-code" => crate::host::Fail<wasi::sockets::network::ErrorCode>,
    },
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:sockets/network.network": crate::host::sockets::Network,
        "wasi:sockets/ip-name-lookup.resolve-address-stream": crate::host::sockets::Lookup,
        "wasi:sockets/tcp.tcp-socket": crate::host::tcp::Socket,
        "wasi:sockets/udp.udp-socket": crate::host::udp::Socket,
        "wasi:sockets/udp.incoming-datagram-stream": crate::host::udp::Incoming,
        "wasi:sockets/udp.outgoing-datagram-stream": crate::host::udp::Outgoing,
        "wasi:filesystem/types.descriptor": crate::host::files::Descriptor,
        "wasi:filesystem/types.directory-entry-stream": crate::host::files::Entries,
    },
    require_store_data_send: true,
});
