//! The part of the description that is about workshops.

use serde_json::{Value, json};

use super::{any, op, text};

/// An object with these fields as the body of a request.
fn object(fields: &Value) -> Option<Value> {
    Some(json!({ "application/json": { "schema": {
        "type": "object", "additionalProperties": false, "properties": fields
    } } }))
}

/// The paths.
pub fn paths() -> Value {
    let string = json!({ "type": "string" });
    let boolean = json!({ "type": "boolean" });
    let seat = [
        json!({ "name": "seat", "in": "path", "required": true, "schema": { "type": "integer" } }),
    ];
    let query = |name: &str, about: &str| json!({ "name": name, "in": "query", "description": about, "schema": { "type": "string" } });
    let joined = json!({ "201": any("`seat`, `name`, `word` (told this once), `world`; a cookie holds the capability") });
    let mut entered = joined.clone();
    entered["202"] =
        any("All seats are taken: `waiting`, `name`; a cookie holds the ticket, see `queue`");
    let gone = json!({ "204": { "description": "It is so" } });
    json!({
        "/metrics": { "get": op("Numbers for Prometheus; in a workshop the instructor's secret is the bearer's token", &[], None, json!({ "200": text("The text format, version 0.0.4", "text/plain") })) },
        "/api/workshop": { "get": op("Whether a workshop is held here, and who one is in it", &[], None, json!({ "200": any("`workshop`, `role` (owner, instructor, learner, waiting, nobody), `title`") })) },
        "/api/workshop/join": { "post": op("Takes a seat, or a place in the queue", &[], object(&json!({ "code": string, "name": string })), entered) },
        "/api/workshop/return": { "post": op("Takes one's seat again in another browser", &[], object(&json!({ "name": string, "word": string })), joined.clone()) },
        "/api/workshop/instructor": { "post": op("Lets the instructor in", &[], object(&json!({ "secret": string })), json!({ "200": any("`role`; a cookie holds the secret") })) },
        "/api/workshop/leave": { "post": op("This browser forgets its seat", &[], None, gone.clone()) },
        "/api/workshop/me": { "get": op("What a learner sees of the workshop", &[query("after", "The version one has: waits up to 20 s for a newer one")], None, json!({ "200": any("`version`, `name`, `section`, `paused`, `message`, `hand`, `home`, `answer`, `invited`, `driven`, `moment`, `given`") })) },
        "/api/workshop/home": { "post": op("The world a learner comes into", &[], None, json!({ "200": any("`world`") })) },
        "/api/workshop/hand": { "post": op("Raises one's hand, or takes it down", &[], object(&json!({ "raised": { "type": "boolean" } })), json!({ "200": any("`raised`") })) },
        "/api/workshop/answer": { "post": op("Answers the present question", &[], object(&json!({ "section": string, "answer": { "type": "integer", "minimum": 1 } })), json!({ "200": any("`answer`") })) },
        "/api/workshop/hints": { "post": op("Says how many hints of an exercise one has opened", &[], object(&json!({ "pattern": string, "exercise": string, "hints": { "type": "integer", "minimum": 0 } })), json!({ "200": any("`hints`") })) },
        "/api/workshop/board": {
            "get": op("Everything the instructor sees", &[], None, json!({ "200": any("`section`, `outline`, `seats`, `queue`, `moment`, `projected`, `paused`, `revealed`") })),
            "post": op("Goes to a section, pauses all, says something, or shows the answers", &[], object(&json!({
                "section": { "type": "integer", "minimum": 1 }, "paused": { "type": "boolean" },
                "message": { "type": "string", "maxLength": 2000 }, "reveal": { "type": "boolean" }
            })), json!({ "200": any("Nothing more") }))
        },
        "/api/workshop/queue": { "get": op("How far one who waits for a seat has come", &[query("after", "The place one knows: waits up to 20 s for another")], None, json!({ "200": any("`place` (from 1), `of`, `ready`") })) },
        "/api/workshop/seat": { "post": op("Takes the seat that is free for one who has waited", &[], None, joined.clone()) },
        "/api/workshop/kubeconfig": { "post": op("The path by which kubectl reaches a world of one's own, told this once", &[], object(&json!({ "world": string })), json!({ "201": any("`world`, `path`, `certificate` (to trust; base64 of PEM, or null)") })) },
        "/api/workshop/invite": { "post": op("Lets the instructor act in one's worlds, or takes them back", &[], object(&json!({ "invited": boolean })), json!({ "200": any("`invited`") })) },
        "/api/workshop/give": { "post": op("Gives a hint or the solution of an exercise to everybody, or to one seat", &[], object(&json!({
            "pattern": string, "exercise": string, "hints": { "type": "integer", "minimum": 1 }, "solution": boolean, "seat": { "type": "integer" }
        })), json!({ "200": any("Nothing more") })) },
        "/api/workshop/moment": {
            "post": op("Shows everybody an instant of a world: a copy, to look at", &[], object(&json!({
                "world": string, "at": { "type": "integer", "minimum": 0 }, "what": { "type": "string", "maxLength": 300 }, "event": { "type": "integer" }, "show": string
            })), json!({ "200": any("`moment`: `number`, `world`, `pattern`, `at` (ns), `what`, `event`, `show`") })),
            "delete": op("Shows no moment any more", &[], None, json!({ "200": any("`moment`") }))
        },
        "/api/workshop/projector": {
            "get": op("What is thrown at the wall", &[], None, json!({ "200": any("`address`, `code`, `link`, `qr` (rows of 0 and 1), `shown` (`world`, `pattern`, `name`)") })),
            "post": op("Throws a learner's world at the wall, or takes it away", &[], object(&json!({ "world": { "type": ["string", "null"] }, "named": boolean })), json!({ "200": any("`shown`") }))
        },
        "/api/workshop/worlds/{id}": { "get": op("Whose a world is, and who acts in it", &[json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } })], None, json!({ "200": any("`seat`, `name`, `invited`, `driven`, `projected`, `moment`") })) },
        "/api/workshop/seats/{seat}/drive": { "post": op("Takes over in the worlds of a learner who asked for it, or hands back", &seat, object(&json!({ "driven": boolean })), json!({ "200": any("`driven`") })) },
        "/api/workshop/results": { "get": op("How learners did", &[query("format", "`csv`, else JSON"), query("names", "0 leaves names out")], None, json!({ "200": any("`results`, or a CSV file") })) },
        "/api/workshop/seats/{seat}": { "delete": op("Frees a seat and ends its worlds", &seat, None, gone) },
        "/api/workshop/seats/{seat}/lower": { "post": op("Takes a learner's hand down", &seat, None, json!({ "200": any("`raised`") })) },
        "/api/workshop/seats/{seat}/word": { "post": op("A new recovery word for a seat", &seat, None, json!({ "200": any("`word`") })) }
    })
}
