//! Who sends a request.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE, HeaderValue};
use axum::http::request::Parts;

/// The cookie that holds a capability.
pub const COOKIE_NAME: &str = "podlab-workshop";
/// How long a browser keeps it, in s: a week.
const MAX_AGE: u32 = 7 * 24 * 3600;

/// Who sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// There is no workshop: the server is its user's own.
    Owner,
    /// Who leads the workshop.
    Instructor,
    /// Who has this seat.
    Learner(u32),
    /// Who waits for a seat, with this ticket.
    Waiting(u32),
    /// Nobody known.
    Nobody,
}

/// The capability that a request showed, for those few who need it again: it is hidden from all
/// others.
#[derive(Clone)]
pub struct Shown(pub String);

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Viewer, Infallible> {
        // Without the gate nobody is anybody.
        Ok(parts.extensions.get::<Viewer>().copied().unwrap_or(Viewer::Nobody))
    }
}

/// The capability that a request shows: of its cookie, or as a bearer's token.
pub fn shown(headers: &HeaderMap) -> Option<String> {
    let bearer = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
    if let Some(token) = bearer.and_then(|v| v.strip_prefix("Bearer ")) {
        return Some(token.trim().to_owned());
    }
    let cookies = headers.get_all(COOKIE).iter().filter_map(|v| v.to_str().ok());
    let mut pairs =
        cookies.flat_map(|v| v.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value.to_owned())
}

/// Takes the capability out of a request, so that no program in a world ever sees it.
pub fn hide(headers: &mut HeaderMap) {
    let rest: Vec<String> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .map(|pair| pair.trim().to_owned())
        .filter(|pair| {
            !pair.is_empty() && pair.split('=').next().map(str::trim) != Some(COOKIE_NAME)
        })
        .collect();
    headers.remove(COOKIE);
    if let Ok(value) = HeaderValue::from_str(&rest.join("; "))
        && !rest.is_empty()
    {
        headers.insert(COOKIE, value);
    }
    if headers.get(AUTHORIZATION).is_some_and(|v| v.as_bytes().starts_with(b"Bearer ")) {
        headers.remove(AUTHORIZATION);
    }
}

/// The header that gives a browser a capability: no script can read it, no other site sends it, and
/// where TLS is spoken it is sent over nothing else.
pub fn cookie(capability: &str, tls: bool) -> String {
    let secure = if tls { "; Secure" } else { "" };
    format!(
        "{COOKIE_NAME}={capability}; Path=/; Max-Age={MAX_AGE}; HttpOnly; SameSite=Strict{secure}"
    )
}

/// The header that takes it away again.
pub fn no_cookie() -> String {
    format!("{COOKIE_NAME}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_is_found_and_hidden() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=b; podlab-workshop=xyz"));
        headers.append(COOKIE, HeaderValue::from_static("c=d"));
        assert_eq!(shown(&headers).as_deref(), Some("xyz"));
        hide(&mut headers);
        assert_eq!(headers.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=b; c=d"]);
        assert_eq!(shown(&headers), None);
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer k"));
        assert_eq!(shown(&headers).as_deref(), Some("k"));
        hide(&mut headers);
        assert_eq!(shown(&headers), None);
    }
}
