//! HTTP: asking, and being asked.

use std::rc::Rc;
use std::time::Duration;

use podlab_guest::http::{Client, Headers, Request, Response, Url};
use rhai::{Dynamic, INT, Map, Module, NativeCallContext as Call};

use super::{duration, text_of};
use crate::engine::{Answer, At, MAX_TEXT, fail};
use crate::state::State;

/// `http::get(url)` and so on. What comes back is a map, also when nobody answered.
pub fn module(state: &Rc<State>) -> Module {
    let mut module = Module::new();
    for method in ["get", "delete"] {
        let own = state.clone();
        module.set_native_fn(method, move |at: Call<'_>, url: &str| {
            let method = method.to_uppercase();
            send(&own, &Asked { method, url: url.to_owned(), ..Asked::new(&own) }).at(&at)
        });
    }
    for method in ["post", "put"] {
        let own = state.clone();
        module.set_native_fn(method, move |at: Call<'_>, url: &str, body: Dynamic| {
            let asked = Asked::new(&own).with_body(&body).at(&at)?;
            send(&own, &Asked { method: method.to_uppercase(), url: url.to_owned(), ..asked })
                .at(&at)
        });
    }
    let own = state.clone();
    module.set_native_fn("request", move |at: Call<'_>, map: Map| {
        Asked::read(&own, &map).and_then(|asked| send(&own, &asked)).at(&at)
    });
    module
}

struct Asked {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
    patience: Duration,
}

impl Asked {
    fn new(state: &State) -> Asked {
        let (headers, patience) = (Vec::new(), state.patience);
        Asked { method: "GET".into(), url: String::new(), headers, body: String::new(), patience }
    }

    fn with_body(mut self, body: &Dynamic) -> Answer<Asked> {
        let (text, json) = text_of(body)?;
        let kind = if json { "application/json" } else { "text/plain; charset=utf-8" };
        if !text.is_empty() && !self.headers.iter().any(|(n, _)| n == "content-type") {
            self.headers.push(("content-type".into(), kind.into()));
        }
        self.body = text;
        Ok(self)
    }

    /// Of `#{method, url, headers, body, timeout}`, all but the URL optional.
    fn read(state: &State, map: &Map) -> Answer<Asked> {
        let mut asked = Asked::new(state);
        let mut body = Dynamic::UNIT;
        for (name, value) in map {
            match name.as_str() {
                "method" => asked.method = value.to_string().to_uppercase(),
                "url" => asked.url = value.to_string(),
                "headers" => asked.headers = headers(value)?,
                "body" => body = value.clone(),
                "timeout" => asked.patience = duration(value)?,
                other => {
                    return fail(format!(
                        "http::request: there is no {other:?}; there are method, url, headers, body, timeout"
                    ));
                }
            }
        }
        if !asked.method.bytes().all(|b| b.is_ascii_uppercase()) || asked.method.is_empty() {
            return fail(format!("{:?} is no method", asked.method));
        }
        asked.with_body(&body)
    }
}

/// Fields from a map. A line end in one would begin another message.
fn headers(value: &Dynamic) -> Answer<Vec<(String, String)>> {
    let Some(map) = value.read_lock::<Map>() else {
        return fail("headers are a map: #{\"x-name\": \"value\"}");
    };
    let mut fields = Vec::new();
    for (name, value) in map.iter() {
        let (name, value) = (name.to_lowercase().to_string(), value.to_string());
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(plain) || value.contains(|c: char| c.is_control()) {
            return fail(format!("{name}: {value:?} cannot be a header"));
        }
        if ["content-length", "transfer-encoding", "connection", "host"].contains(&name.as_str()) {
            return fail(format!("{name} is set by the container"));
        }
        fields.push((name, value));
    }
    Ok(fields)
}

fn map_of(headers: &Headers) -> Map {
    let fields = headers.0.iter().map(|(n, v)| (n.to_lowercase().into(), v.clone().into()));
    fields.collect()
}

fn send(state: &State, asked: &Asked) -> Answer<Map> {
    let url = Url::parse(&asked.url).or_else(fail)?;
    let fields: Vec<(&str, &str)> =
        asked.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    // A connection for each request: with one that is kept, a Service would not choose again.
    let mut client = Client::new("script", asked.patience).keep(false);
    let body = asked.body.as_bytes();
    let reply = match state.wait(client.send(&asked.method, &url, &fields, body)) {
        Ok(reply) if reply.body.len() > MAX_TEXT => Err("the answer is larger than 1 MiB".into()),
        Ok(reply) => Ok(reply),
        Err(error) => Err(error.to_string()),
    };
    let mut map = Map::new();
    let (status, error) = match reply {
        Ok(reply) => {
            map.insert("headers".into(), map_of(&reply.headers).into());
            map.insert("body".into(), String::from_utf8_lossy(&reply.body).into_owned().into());
            (reply.status, String::new())
        }
        Err(error) => {
            map.insert("headers".into(), Map::new().into());
            map.insert("body".into(), "".into());
            (0, error)
        }
    };
    map.insert("status".into(), INT::from(status).into());
    map.insert("ok".into(), (200..300).contains(&status).into());
    map.insert("error".into(), error.into());
    Ok(map)
}

/// A request as a handler sees it.
pub fn asked(request: &Request) -> Map {
    let mut query = Map::new();
    for pair in request.query.split('&').filter(|p| !p.is_empty()) {
        let name = pair.split('=').next().unwrap_or_default();
        let value = request.parameter(name).unwrap_or_default();
        query.insert(name.into(), value.into());
    }
    Map::from([
        ("method".into(), request.method.clone().into()),
        ("path".into(), request.path.clone().into()),
        ("target".into(), request.target.clone().into()),
        ("query".into(), query.into()),
        ("headers".into(), map_of(&request.headers).into()),
        ("body".into(), String::from_utf8_lossy(&request.body).into_owned().into()),
        ("client".into(), request.peer.clone().into()),
    ])
}

/// What `respond` returns.
#[derive(Clone)]
pub struct Reply {
    status: u16,
    body: Dynamic,
    headers: Vec<(String, String)>,
}

/// `respond(status, body, headers)`.
pub fn respond(status: INT, body: Dynamic, fields: Option<Dynamic>) -> Answer<Reply> {
    let Some(status) = u16::try_from(status).ok().filter(|s| (200..=599).contains(s)) else {
        return fail(format!("respond: {status} is no status from 200 to 599"));
    };
    let headers = fields.map_or_else(|| Ok(Vec::new()), |f| headers(&f))?;
    Ok(Reply { status, body, headers })
}

/// What a handler returned, as it is sent: a `respond`, a text, a map or an array as JSON, nothing.
///
/// # Errors
/// If it is something else.
pub fn response(value: Dynamic) -> Answer<Response> {
    let reply = match value.try_cast_result::<Reply>() {
        Ok(reply) => reply,
        Err(value) if value.is_unit() => return Ok(Response::new(204, "text/plain", "")),
        Err(body) => Reply { status: 200, body, headers: Vec::new() },
    };
    if reply.body.is_fnptr() {
        return fail("a handler returned a function");
    }
    let (text, json) = text_of(&reply.body)?;
    let kind = if json { "application/json" } else { "text/plain; charset=utf-8" };
    let mut response = Response::new(reply.status, kind, text);
    for (name, value) in reply.headers {
        if name == "content-type" {
            response.headers.clear();
        }
        response = response.with(&name, value);
    }
    Ok(response)
}
