//! The description of the API, as OpenAPI 3.1.

mod workshop;

use serde_json::{Value, json};

/// The document that `/api/openapi.json` serves.
pub fn document() -> Value {
    let world = json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string", "example": "w1" } });
    let path = |name: &str, about: &str| json!({ "name": name, "in": "path", "required": true, "description": about, "schema": { "type": "string" } });
    let exercise = [path("name", "The pattern"), path("slug", "The exercise")];
    let query = |name: &str, about: &str| json!({ "name": name, "in": "query", "description": about, "schema": { "type": "integer", "minimum": 0 } });
    let span = |name: &str, about: &str| json!({ "name": name, "in": "query", "description": about, "schema": { "type": "string", "example": "12.5s" } });
    let status = || answer("The world", "World");
    let mut paths = json!({
        "/healthz": { "get": op("Whether the server is up", &[], None, json!({ "200": text("ok", "text/plain") })) },
        "/api/openapi.json": { "get": op("This document", &[], None, json!({ "200": any("An OpenAPI 3.1 document") })) },
        "/api/patterns": { "get": op("All patterns", &[], None, json!({ "200": any("`patterns`: name, title, summary, family, difficulty, manifests, expose, scenarios") })) },
        "/api/patterns/{name}": { "get": op("A pattern, with its lesson (Markdown, en and ja) and its files", &[path("name", "The pattern")], None, json!({ "200": any("The pattern") })) },
        "/api/patterns/{name}/exercises": { "get": op("The exercises of a pattern", &[path("name", "The pattern")], None, json!({ "200": any("`exercises`: slug, title, difficulty") })) },
        "/api/patterns/{name}/exercises/{slug}": { "get": op("An exercise: task, hints, debrief, checks, the files it starts with, and its solution", &exercise, None, json!({ "200": any("The exercise") })) },
        "/api/patterns/{name}/exercises/{slug}/lint": { "post": op("What the API server would refuse in a learner's files", &exercise, Some(body("Attempt")), json!({ "200": any("`mistakes`: file, line, document, field, message") })) },
        "/api/patterns/{name}/exercises/{slug}/world": { "post": op("Makes a world of a learner's files", &exercise, Some(body("Attempt")), json!({ "201": status() })) },
        "/api/patterns/{name}/exercises/{slug}/check": { "post": op("Runs the checks on a learner's files", &exercise, Some(body("Attempt")), json!({ "200": any("`pass`, `error`, `checks` (name, means, verdict, expected, seen, event, at, around), and `world`, in which they ran") })) },
        "/api/images": { "get": op("The images that containers can run", &[], None, json!({ "200": any("`images`: name, digest, bytes, entrypoint") })) },
        "/api/images/{name}": { "put": op(
            "Adds an image: a WASI 0.2 component, or a WASI 0.1 module; at most 64 MiB", &[path("name", "NAME:TAG")],
            Some(json!({ "application/wasm": { "schema": { "type": "string", "format": "binary" } } })),
            json!({ "201": any("The image") })) },
        "/api/recordings": { "post": op(
            "Makes a world of a recording, paused at its end; at most 128 MiB", &[],
            Some(json!({ "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } })),
            json!({ "201": any("`world`, `identical` (whether it did the same again; null if the recording does not tell), `lostBytes`") })) },
        "/api/worlds": {
            "get": op("All worlds", &[], None, json!({ "200": any("`worlds`") })),
            "post": op("Makes a world, of a pattern or empty", &[], Some(body("NewWorld")), json!({ "201": status() }))
        },
        "/api/worlds/{id}": {
            "get": op("A world", std::slice::from_ref(&world), None, json!({ "200": status() })),
            "delete": op("Ends a world", std::slice::from_ref(&world), None, json!({ "204": { "description": "It is gone" } }))
        },
        "/api/worlds/{id}/time": { "post": op(
            "Changes the speed, steps to the next event, goes to an instant, or forks at one", std::slice::from_ref(&world),
            Some(body("Time")), json!({ "200": any("`world`"), "201": any("`world`: the fork") })) },
        "/api/worlds/{id}/faults": { "post": op("Breaks something, or mends it", std::slice::from_ref(&world), Some(body("Fault")), json!({ "200": any("`world`") })) },
        "/api/worlds/{id}/identities": {
            "get": op("Who else may use the world's Kubernetes API", std::slice::from_ref(&world), None, json!({ "200": any("`identities`: name, namespace, role") })),
            "post": op(
                "Lets a user do in a namespace (made if need be) what a role says", std::slice::from_ref(&world),
                Some(body("Identity")), json!({ "201": any("`capability`, told this once, and `path`: kubectl --server http://HOST/PATH") }))
        },
        "/api/worlds/{id}/identities/{name}": { "delete": op("Takes an identity back", &[world.clone(), path("name", "The user")], None, json!({ "204": { "description": "It is gone" } })) },
        "/api/worlds/{id}/trace": { "get": op(
            "Events, as JSON lines", &[world.clone(), query("from", "The first event; 1 unless given"), query("limit", "At most this many; 1000 unless given, at most 10000")],
            None, json!({ "200": text("One event a line", "application/jsonl") })) },
        "/api/worlds/{id}/density": { "get": op("How many events each span of time holds", std::slice::from_ref(&world), None, json!({ "200": any("`bucketNanos`, `counts`") })) },
        "/api/worlds/{id}/recording": { "get": op("The recording, with its images: podlab replay FILE", std::slice::from_ref(&world), None, json!({ "200": text("A recording", "application/octet-stream") })) },
        "/api/worlds/{id}/export/{format}": { "get": op(
            "The trace as a file: html (one file that plays without a server), jsonl, pcapng, har or otlp",
            &[world.clone(), path("format", "html, jsonl, pcapng, har, otlp"), span("from", "Only from this instant on"),
              span("until", "Only up to this instant"), span("at", "The instant at which the HTML file opens; its end unless given")],
            None, json!({ "200": { "description": "The file" } })) },
        "/api/worlds/{id}/stream": { "get": op(
            "A WebSocket of the trace as it grows: binary messages, each a postcard podlab_trace::wire::Frame",
            &[world.clone(), query("from", "Go on with this event; without it, begin with the present")],
            None, json!({ "101": { "description": "A WebSocket" } })) },
    });
    let terminal = "A WebSocket of kubectl's verbs, in JSON messages: {run}, {interrupt}, {input}, {end}, {complete} go in; {out}, {err}, {done}, {completions} come out";
    let upgraded = json!({ "101": { "description": "A WebSocket" } });
    paths["/api/worlds/{id}/terminal"]["get"] =
        op(terminal, std::slice::from_ref(&world), None, upgraded.clone());
    paths["/api/worlds/{id}/as/{capability}/terminal"]["get"] = op(
        terminal,
        &[world.clone(), path("capability", "What issuing an identity gave")],
        None,
        upgraded,
    );
    let kube =
        "The world's Kubernetes API: kubectl --server http://127.0.0.1:7878/api/worlds/ID/kube";
    let proxy = "A Service of the world from outside; waits while the world is paused";
    let through = json!({ "default": { "description": "What the other side answers" } });
    for (suffix, more) in [("", false), ("/{path}", true)] {
        let mut of_kube = vec![world.clone()];
        let mut of_proxy =
            vec![world.clone(), path("target", "SERVICE:PORT or SERVICE.NAMESPACE:PORT")];
        if more {
            of_kube.push(path("path", "The rest of the path, slashes included"));
            of_proxy.push(path("path", "The rest of the path, slashes included"));
        }
        let mut all = |base: &str, summary: &str, parameters: &[Value], methods: &[&str]| {
            for method in methods {
                paths[format!("{base}{suffix}")][*method] =
                    op(summary, parameters, None, through.clone());
            }
        };
        let mut of_as = of_kube.clone();
        of_as.insert(1, path("capability", "What issuing an identity gave"));
        let restricted = "The same as the user of the capability, as far as RBAC lets them";
        all(
            "/api/worlds/{id}/as/{capability}/kube",
            restricted,
            &of_as,
            &["get", "post", "put", "patch", "delete"],
        );
        all("/api/worlds/{id}/kube", kube, &of_kube, &["get", "post", "put", "patch", "delete"]);
        let every = ["get", "post", "put", "patch", "delete", "head", "options"];
        all("/api/worlds/{id}/proxy/{target}", proxy, &of_proxy, &every);
    }
    if let (Value::Object(paths), Value::Object(more)) = (&mut paths, workshop::paths()) {
        paths.extend(more);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Podlab",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "Worlds: whole clusters on virtual time. Bodies other than images are at most 4 MiB, those to Services 16 MiB. The server answers only to names of this machine and to pages it served itself."
        },
        "paths": paths,
        "components": { "schemas": schemas() }
    })
}

fn schemas() -> Value {
    let span = json!({ "type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(h|m|s|ms|us|ns))+$", "example": "12.5s" });
    json!({
        "Error": {
            "type": "object",
            "required": ["error"],
            "properties": { "error": {
                "type": "object",
                "required": ["reason", "message", "remedy"],
                "properties": {
                    "reason": { "type": "string", "description": "One word that programs can tell apart" },
                    "message": { "type": "string", "description": "What is wrong" },
                    "remedy": { "type": "string", "description": "What to do about it" }
                }
            } }
        },
        "Speed": { "oneOf": [
            { "type": "number", "description": "0 is paused; else 0.1 to 100 virtual seconds a second" },
            { "const": "max" }
        ] },
        "NewWorld": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "pattern": { "type": "string" },
                "seed": { "type": "integer", "minimum": 0, "default": 1 },
                "speed": { "$ref": "#/components/schemas/Speed" },
                "epoch": { "type": "integer", "description": "Seconds since 1970 at the world's beginning; the real time unless given" }
            }
        },
        "Identity": {
            "type": "object",
            "additionalProperties": false,
            "required": ["name", "namespace"],
            "properties": {
                "name": { "type": "string", "example": "anna" },
                "namespace": { "type": "string", "example": "team-a" },
                "role": { "enum": ["view", "edit", "admin"], "default": "edit" }
            }
        },
        "Attempt": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "files": { "type": "object", "additionalProperties": { "type": "string" }, "description": "Texts by their names under `start`; what is missing stays as it was" },
                "seed": { "type": "integer", "minimum": 0, "default": 1 }
            }
        },
        "Time": { "oneOf": [
            { "type": "object", "required": ["speed"], "properties": { "speed": { "$ref": "#/components/schemas/Speed" } } },
            { "type": "object", "required": ["step"], "properties": { "step": { "const": "event" } } },
            { "type": "object", "required": ["seek"], "properties": { "seek": span } },
            { "type": "object", "required": ["fork"], "properties": { "fork": span } }
        ] },
        "Fault": {
            "type": "object",
            "required": ["kind"],
            "properties": {
                "kind": { "enum": ["kill", "pause", "resume", "partition", "link", "heal", "nodeDown", "nodeUp", "dnsDown", "dnsUp", "volumeFull", "volumeFreed"] },
                "target": { "type": "string", "example": "default/web/log-saver" },
                "a": { "type": "string" },
                "b": { "type": "string" }
            }
        },
        "World": {
            "type": "object",
            "properties": {
                "id": { "type": "string" },
                "pattern": { "type": "string" },
                "seed": { "type": "integer" },
                "epoch": { "type": "integer", "description": "Seconds since 1970" },
                "speed": { "$ref": "#/components/schemas/Speed" },
                "now": { "type": "number", "description": "Virtual seconds" },
                "nowNanos": { "type": "integer" },
                "events": { "type": "integer", "description": "The number of the last event" },
                "firstKept": { "type": "integer", "description": "The number of the oldest event kept" },
                "futureNanos": { "type": "integer", "description": "How far the recording that is played reaches; 0 in the present" },
                "lagging": { "type": "boolean", "description": "The machine is too slow for the speed" },
                "stopped": { "type": "string", "description": "Why the clock stands although it should not, or empty" },
                "dead": { "type": "boolean" }
            }
        }
    })
}

fn op(summary: &str, parameters: &[Value], content: Option<Value>, mut responses: Value) -> Value {
    if responses.get("default").is_none() {
        responses["default"] = answer("What is wrong, and what to do about it", "Error");
    }
    let mut out = json!({ "summary": summary, "responses": responses });
    if !parameters.is_empty() {
        out["parameters"] = json!(parameters);
    }
    if let Some(content) = content {
        out["requestBody"] = json!({ "required": true, "content": content });
    }
    out
}

fn body(schema: &str) -> Value {
    json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } })
}

fn answer(about: &str, schema: &str) -> Value {
    json!({ "description": about, "content": body(schema) })
}

fn any(about: &str) -> Value {
    json!({ "description": about, "content": { "application/json": { "schema": { "type": "object" } } } })
}

fn text(about: &str, kind: &str) -> Value {
    json!({ "description": about, "content": { kind: { "schema": { "type": "string" } } } })
}
