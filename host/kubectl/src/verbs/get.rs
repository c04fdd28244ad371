//! `kubectl get`.

use serde_json::Value;

use crate::client::{Resource, TABLE};
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::Kubectl;
use crate::print::format::{Format, format, list, without_managed};
use crate::print::table::{Style, lines};
use crate::print::{columns, tabs};
use crate::select::{Selection, Target, objects, path, select};
use crate::transport::{Pieces, Request};

/// Its flags.
pub const FLAGS: &str = "output/o= watch/w watch-only no-headers show-labels label-columns/L= \
    show-kind sort-by= selector/l= field-selector= all-namespaces/A filename/f= kustomize/k= \
    recursive/R ignore-not-found chunk-size=i show-managed-fields output-watch-events raw= \
    server-print subresource= template= allow-missing-template-keys";

/// Runs it.
///
/// # Errors
/// As kubectl.
pub async fn run(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    if let Some(raw) = args.get("raw") {
        let answer = k.client.read(raw, "application/json").await?;
        if answer.status >= 300 {
            answer.json("")?;
        }
        k.write(&answer.body);
        return Ok(());
    }
    let words = &args.words;
    if words.is_empty() && !args.has("filename") {
        k.complain(
            "You must specify the type of resource to get. Use \"kubectl api-resources\" for a complete list of supported resources.\n",
        );
        return Err(Failure::usage(
            "kubectl get",
            "Required resource not specified.\nUse \"kubectl explain <resource>\" for a detailed description of that resource (e.g. kubectl explain pods).",
        ));
    }
    let form = format(args.text("output"), true)?;
    let selection = select(k, args, words).await?;
    if args.on("watch") || args.on("watch-only") {
        return watch(k, args, selection, &form).await;
    }
    match form {
        Format::Table(wide) => table(k, args, selection, wide).await,
        form => whole(k, args, selection, &form).await,
    }
}

fn style(args: &Args, wide: bool) -> Style {
    Style {
        wide,
        no_headers: args.on("no-headers"),
        with_namespace: args.on("all-namespaces"),
        kind: String::new(),
        show_labels: args.on("show-labels"),
        labels: args.list("label-columns"),
        event: None,
    }
}

async fn table(k: &mut Kubectl<'_>, args: &Args, selection: Selection, wide: bool) -> Result<()> {
    let base = style(args, wide);
    let mut failures = selection.failures;
    // Tables of the same kind that follow each other are one.
    let mut parts: Vec<(Resource, Value)> = Vec::new();
    let mut kinds: Vec<String> = Vec::new();
    let namespaced = selection.targets.iter().all(|t| t.resource.namespaced);
    let sort = args.text("sort-by");
    let more: &[(&str, &str)] = if sort.is_empty() { &[] } else { &[("includeObject", "Object")] };
    for target in &selection.targets {
        let answer = match k.client.read(&path(target, args, more), TABLE).await {
            Ok(answer) => answer,
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        k.warn(&answer.warnings);
        let mut found = match answer.json("") {
            Ok(found) => found,
            Err(failure) if failure.is_not_found() && args.on("ignore-not-found") => continue,
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        let shown = target.resource.qualified();
        if !kinds.contains(&shown) {
            kinds.push(shown);
        }
        match parts.last_mut() {
            Some((last, rows)) if *last == target.resource => {
                let more = found["rows"].as_array_mut().map(std::mem::take).unwrap_or_default();
                if let Some(rows) = rows["rows"].as_array_mut() {
                    rows.extend(more);
                }
            }
            _ => parts.push((target.resource.clone(), found)),
        }
    }
    let several = kinds.len() > 1 || args.on("show-kind");
    let mut written = false;
    let mut growing = tabs::Growing::default();
    for (resource, mut table) in parts {
        if !sort.is_empty() {
            sort_rows(&mut table, sort)?;
        }
        let kind = if several { resource.shown() } else { String::new() };
        let style = Style {
            kind,
            with_namespace: base.with_namespace && resource.namespaced,
            ..base.clone()
        };
        let lines = lines(&table, &style, true);
        if lines.is_empty() {
            continue;
        }
        if written && !style.no_headers {
            k.print("\n");
        }
        if !style.no_headers {
            growing = tabs::Growing::default();
        }
        k.print(growing.align(&lines));
        written = true;
    }
    if !written && failures.is_empty() && !args.on("ignore-not-found") {
        if namespaced && !args.on("all-namespaces") {
            let namespace = k.namespace_of(args);
            k.complain(format!("No resources found in {namespace} namespace."));
        } else {
            k.complain("No resources found");
        }
    }
    Failure::all(failures).map_or(Ok(()), Err)
}

/// Whole objects.
async fn whole(
    k: &mut Kubectl<'_>,
    args: &Args,
    selection: Selection,
    form: &Format,
) -> Result<()> {
    let single = selection.single;
    let (mut found, mut failures) = objects(k, args, selection).await;
    if args.on("ignore-not-found") {
        failures.retain(|f| !f.is_not_found());
    }
    if !args.text("sort-by").is_empty() {
        let template = columns::relaxed(args.text("sort-by"))?;
        let key = |o: &Value| template.find(o).ok().and_then(|f| f.first().map(|v| (*v).clone()));
        found.sort_by(|a, b| compare(key(&a.object).as_ref(), key(&b.object).as_ref()));
    }
    let keep = args.on("show-managed-fields") || !matches!(form, Format::Json | Format::Yaml);
    if single {
        if let Some(one) = found.first() {
            let object = without_managed(one.object.clone(), keep);
            print_object(k, form, &object, &one.shown(), args)?;
        }
        return Failure::all(failures).map_or(Ok(()), Err);
    }
    if matches!(form, Format::Name) {
        for one in &found {
            k.line(one.shown());
        }
        return Failure::all(failures).map_or(Ok(()), Err);
    }
    if !found.is_empty() || failures.is_empty() {
        let items = found.into_iter().map(|f| without_managed(f.object, keep)).collect();
        print_object(k, form, &list(items), "", args)?;
    }
    Failure::all(failures).map_or(Ok(()), Err)
}

fn print_object(
    k: &mut Kubectl<'_>,
    form: &Format,
    object: &Value,
    shown: &str,
    args: &Args,
) -> Result<()> {
    if let Format::Columns(spec) = form {
        let items = match object["items"].as_array() {
            Some(items) if object["kind"] == "List" => items.clone(),
            _ => vec![object.clone()],
        };
        let text = columns::columns(spec, &items, !args.on("no-headers"))?;
        k.print(text);
        return Ok(());
    }
    let text = form.object(object, shown)?;
    k.print(text);
    Ok(())
}

fn sort_rows(table: &mut Value, by: &str) -> Result<()> {
    let template = columns::relaxed(by)?;
    if let Some(rows) = table["rows"].as_array_mut() {
        let key = |row: &Value| {
            template.find(&row["object"]).ok().and_then(|f| f.first().map(|v| (*v).clone()))
        };
        if !rows.is_empty() && rows.iter().all(|r| key(r).is_none()) {
            return Err(Failure::new(format!(
                "couldn't find any field with path \"{}\" in the list of objects",
                template.text()
            )));
        }
        rows.sort_by(|a, b| compare(key(a).as_ref(), key(b).as_ref()));
    }
    Ok(())
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            let (a, b) = (a.as_f64().unwrap_or(0.0), b.as_f64().unwrap_or(0.0));
            a.partial_cmp(&b).unwrap_or(Ordering::Equal)
        }
        (Some(Value::String(a)), Some(Value::String(b))) => natural(a, b),
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        _ => Ordering::Equal,
    }
}

/// Runs of digits count as numbers.
fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let run = |t: &[u8]| t.iter().take_while(|c| c.is_ascii_digit()).count();
        let (x, y) = (run(a), run(b));
        if x > 0 && y > 0 {
            fn number(t: &[u8]) -> &[u8] {
                let zeros = t.iter().take_while(|c| **c == b'0').count();
                &t[zeros..]
            }
            let (m, n) = (number(&a[..x]), number(&b[..y]));
            let order = m.len().cmp(&n.len()).then(m.cmp(n));
            if order.is_ne() {
                return order;
            }
            (a, b) = (&a[x..], &b[y..]);
            continue;
        }
        match (a.split_first(), b.split_first()) {
            (Some((x, more_a)), Some((y, more_b))) if x == y => (a, b) = (more_a, more_b),
            _ => return a.cmp(b),
        }
    }
}

/// The lines of JSON in a stream.
pub struct Lines {
    pieces: Box<dyn Pieces>,
    buffer: Vec<u8>,
}

impl Lines {
    /// The lines of `pieces`.
    pub fn new(pieces: Box<dyn Pieces>) -> Lines {
        Lines { pieces, buffer: Vec::new() }
    }

    /// The next line as JSON; `None` at the end.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line).ok();
            }
            let piece = self.pieces.next().await?;
            self.buffer.extend_from_slice(&piece);
        }
    }
}

/// Prints what there is, then what changes.
async fn watch(
    k: &mut Kubectl<'_>,
    args: &Args,
    selection: Selection,
    form: &Format,
) -> Result<()> {
    let mut targets = selection.targets;
    if let Some(failure) = Failure::all(selection.failures) {
        return Err(failure);
    }
    let [target] = &mut targets[..] else {
        return Err(Failure::new("you may only specify a single resource type"));
    };
    let named = std::mem::take(&mut target.name);
    let field = if named.is_empty() {
        args.text("field-selector").to_owned()
    } else {
        format!("metadata.name={named}")
    };
    let accept = if form.is_table() { TABLE } else { "application/json" };
    if !named.is_empty() {
        // An object that is not there is told at once.
        let one = Target { name: named.clone(), ..target.clone() };
        let request =
            Request { method: "GET", target: path(&one, args, &[]), accept, ..Request::default() };
        k.client.send(request).await?.json("")?;
    }
    let selectors = [("labelSelector", args.text("selector")), ("fieldSelector", &field)];
    let base = target.resource.path(&target.namespace, "");
    let list =
        k.client.read(&crate::client::with_query(&base, &selectors), accept).await?.json("")?;
    let mut shown = Shown {
        form,
        style: Style {
            with_namespace: args.on("all-namespaces") && target.resource.namespaced,
            event: args.on("output-watch-events").then(String::new),
            ..style(args, matches!(form, Format::Table(true)))
        },
        events: args.on("output-watch-events"),
        growing: tabs::Growing::default(),
        headers: true,
        keep: args.on("show-managed-fields"),
        resource: target.resource.clone(),
    };
    if !args.on("watch-only") {
        if form.is_table() {
            shown.print(k, "ADDED", &list)?;
        } else {
            let kind = list["kind"].as_str().unwrap_or("").trim_end_matches("List").to_owned();
            for item in list["items"].as_array().into_iter().flatten() {
                let mut item = item.clone();
                item["kind"] = kind.as_str().into();
                item["apiVersion"] = list["apiVersion"].clone();
                shown.print(k, "ADDED", &item)?;
            }
        }
    }
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or("").to_owned();
    let mut query = selectors.to_vec();
    query.extend([("watch", "true"), ("resourceVersion", version.as_str())]);
    let pieces = k.client.stream(crate::client::with_query(&base, &query), accept).await?;
    let mut events = Lines::new(pieces);
    while let Some(event) = events.next().await {
        let kind = event["type"].as_str().unwrap_or("");
        if kind == "ERROR" {
            return Err(Failure::status(&event["object"]));
        }
        if kind != "BOOKMARK" {
            shown.print(k, kind, &event["object"])?;
        }
        if k.is_closed() {
            break;
        }
    }
    Ok(())
}

struct Shown<'a> {
    form: &'a Format,
    style: Style,
    events: bool,
    growing: tabs::Growing,
    headers: bool,
    keep: bool,
    resource: Resource,
}

impl Shown<'_> {
    fn print(&mut self, k: &mut Kubectl<'_>, event: &str, object: &Value) -> Result<()> {
        if self.form.is_table() {
            self.style.event = self.events.then(|| event.to_owned());
            let mut table = object.clone();
            if table["columnDefinitions"].as_array().is_none_or(Vec::is_empty) {
                table["columnDefinitions"] = Value::Null;
            }
            let lines = lines_of(&table, &self.style, self.headers, &mut self.growing);
            self.headers &= lines.is_empty();
            k.print(lines);
            return Ok(());
        }
        let object = without_managed(object.clone(), self.keep);
        let name = object["metadata"]["name"].as_str().unwrap_or("").to_owned();
        let shown = format!("{}/{name}", self.resource.shown());
        if matches!(self.form, Format::Yaml) {
            k.print(if self.headers { "" } else { "---\n" });
            self.headers = false;
        }
        let text = match self.form {
            Format::Columns(spec) => {
                let text = columns::columns(spec, std::slice::from_ref(&object), self.headers)?;
                self.headers = false;
                text
            }
            form => form.object(&object, &shown)?,
        };
        k.print(text);
        Ok(())
    }
}

fn lines_of(table: &Value, style: &Style, headers: bool, growing: &mut tabs::Growing) -> String {
    growing.align(&lines(table, style, headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_numbers() {
        assert!(natural("a2", "a10").is_lt());
        assert!(natural("a", "b").is_lt());
        assert!(natural("a1b", "a1").is_gt());
    }
}
