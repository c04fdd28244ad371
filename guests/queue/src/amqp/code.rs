//! Reply codes (specification 1.1, "Constants"). Those of a channel end the channel, the others the
//! connection.

/// There is no queue for a mandatory message.
pub const NO_ROUTE: u16 = 312;
/// The broker ends.
pub const CONNECTION_FORCED: u16 = 320;
/// It is not allowed to this user.
pub const ACCESS_REFUSED: u16 = 403;
/// There is no such thing.
pub const NOT_FOUND: u16 = 404;
/// Another connection has it for itself.
pub const RESOURCE_LOCKED: u16 = 405;
/// It is not as the method supposes.
pub const PRECONDITION_FAILED: u16 = 406;
/// A frame that cannot be read.
pub const FRAME_ERROR: u16 = 501;
/// A method with wrong arguments.
pub const SYNTAX_ERROR: u16 = 502;
/// A method that does not belong here.
pub const COMMAND_INVALID: u16 = 503;
/// A channel that is not open, or is open already.
pub const CHANNEL_ERROR: u16 = 504;
/// A frame that does not belong here.
pub const UNEXPECTED_FRAME: u16 = 505;
/// More than the broker can take.
pub const RESOURCE_ERROR: u16 = 506;
/// Not what was agreed.
pub const NOT_ALLOWED: u16 = 530;
/// The broker does not have it.
pub const NOT_IMPLEMENTED: u16 = 540;
/// The broker failed.
pub const INTERNAL_ERROR: u16 = 541;

/// Whether only the channel ends.
pub fn soft(code: u16) -> bool {
    matches!(code, 311..=313 | 403..=406)
}

/// The name of a code.
pub fn name(code: u16) -> &'static str {
    match code {
        NO_ROUTE => "NO_ROUTE",
        CONNECTION_FORCED => "CONNECTION_FORCED",
        ACCESS_REFUSED => "ACCESS_REFUSED",
        NOT_FOUND => "NOT_FOUND",
        RESOURCE_LOCKED => "RESOURCE_LOCKED",
        PRECONDITION_FAILED => "PRECONDITION_FAILED",
        FRAME_ERROR => "FRAME_ERROR",
        SYNTAX_ERROR => "SYNTAX_ERROR",
        COMMAND_INVALID => "COMMAND_INVALID",
        CHANNEL_ERROR => "CHANNEL_ERROR",
        UNEXPECTED_FRAME => "UNEXPECTED_FRAME",
        RESOURCE_ERROR => "RESOURCE_ERROR",
        NOT_ALLOWED => "NOT_ALLOWED",
        NOT_IMPLEMENTED => "NOT_IMPLEMENTED",
        _ => "INTERNAL_ERROR",
    }
}
