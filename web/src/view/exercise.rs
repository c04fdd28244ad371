//! One exercise: its task, the learner's files, what the checks say, hints, solution, debrief.

use std::collections::BTreeMap;

use gloo_events::EventListener;
use gloo_timers::callback::Timeout;
use serde_json::{Value, json};
use yew::prelude::*;

use crate::address::Address;
use crate::api::{self, Failure};
use crate::i18n::{Texts, fill};
use crate::model::field::line_of;
use crate::model::show;
use crate::progress::Progress;
use crate::ui::Ui;
use crate::view::app::focus;
use crate::view::editor::{Editor, Wrong};
use crate::view::lesson::Lesson;
use crate::workshop;

/// The files are looked over when nobody has typed for so long, in ms.
const QUIET: u32 = 600;
/// So many versions can be taken back.
const VERSIONS: usize = 50;

/// Which exercise.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The pattern.
    pub pattern: String,
    /// The exercise.
    pub slug: String,
    /// The address of the page.
    pub address: Address,
    /// Goes to another page.
    pub go: Callback<Address>,
    /// The exercise that comes after it.
    pub next: Option<String>,
}

/// One exercise.
pub struct Exercise {
    task: Option<Result<Value, Failure>>,
    progress: Progress,
    file: usize,
    mistakes: Vec<Value>,
    versions: Vec<BTreeMap<String, String>>,
    /// What is being waited for: "check", "world", or nothing.
    busy: &'static str,
    failure: Option<Failure>,
    quiet: Option<Timeout>,
    ui: Ui,
    _ui: ContextHandle<Ui>,
    _given: EventListener,
}

/// What happens to it.
#[allow(missing_docs)]
pub enum Msg {
    Came(Result<Value, Failure>),
    File(usize),
    Edit(String),
    Quiet,
    Linted(Result<Value, Failure>),
    Check,
    Checked(Result<Value, Failure>),
    Run,
    Ran(Result<Value, Failure>),
    Hint,
    Tell,
    Use,
    Undo,
    Reset,
    Go(Address),
    Given,
    Ui(Ui),
}

/// The path of an exercise in the API.
pub fn path(pattern: &str, slug: &str) -> String {
    format!("/api/patterns/{pattern}/exercises/{slug}")
}

/// Makes a world of an exercise as far as the learner has come, and returns where it is.
///
/// # Errors
/// If there can be no world, not even of the files the exercise begins with.
pub async fn begin(pattern: String, slug: String) -> Result<Address, Failure> {
    let mut progress = Progress::load(&pattern, &slug);
    let at = format!("{}/world", path(&pattern, &slug));
    let own = api::call("POST", &at, Some(json!({ "files": progress.files }))).await;
    let world = match own {
        // What is half written cannot run; the exercise itself can.
        Err(e) if e.reason == "Refused" => api::call("POST", &at, Some(json!({}))).await?,
        other => other?,
    };
    let id = world["id"].as_str().unwrap_or_default().to_owned();
    progress.worlds.0.clone_from(&id);
    progress.save(&pattern, &slug);
    let seed = world["seed"].as_u64();
    let panel = "practice".into();
    Ok(Address { world: id, pattern, seed, panel, exercise: slug, ..Address::default() })
}

/// A text in the language of the page.
pub fn said(ui: &Ui, value: &Value) -> String {
    let tag = ui.choices.lang.tag();
    value[tag].as_str().or(value["en"].as_str()).unwrap_or_default().to_owned()
}

impl Component for Exercise {
    type Message = Msg;
    type Properties = Props;

    fn create(ctx: &Context<Exercise>) -> Exercise {
        let Props { pattern, slug, .. } = ctx.props();
        let at = path(pattern, slug);
        ctx.link().send_future(async move { Msg::Came(api::call("GET", &at, None).await) });
        let (ui, handle) = ctx
            .link()
            .context::<Ui>(ctx.link().callback(Msg::Ui))
            .expect("an exercise stands inside the application");
        Exercise {
            task: None,
            progress: Progress::load(pattern, slug),
            file: 0,
            mistakes: Vec::new(),
            versions: Vec::new(),
            busy: "",
            failure: None,
            quiet: None,
            ui,
            _ui: handle,
            _given: EventListener::new(&crate::ui::window(), workshop::gifts::GIVEN, {
                let link = ctx.link().clone();
                move |_| link.send_message(Msg::Given)
            }),
        }
    }

    fn update(&mut self, ctx: &Context<Exercise>, msg: Msg) -> bool {
        match msg {
            Msg::Came(task) => {
                self.task = Some(task);
                self.wait(ctx);
            }
            Msg::File(n) => self.file = n,
            Msg::Edit(text) => {
                // One version for what is typed in one go.
                if self.quiet.is_none() {
                    self.version();
                }
                if let Some(name) = self.names().get(self.file) {
                    self.progress.files.insert(name.clone(), text);
                }
                self.save(ctx);
                self.wait(ctx);
            }
            Msg::Quiet => {
                self.quiet = None;
                let body = self.body();
                self.post(ctx, "lint", body, Msg::Linted);
                return false;
            }
            Msg::Linted(Ok(answer)) => {
                self.mistakes = answer["mistakes"].as_array().cloned().unwrap_or_default();
            }
            // It is looked over again with the checks, and then told.
            Msg::Linted(Err(_)) => return false,
            Msg::Check => {
                (self.busy, self.failure) = ("check", None);
                let old = std::mem::take(&mut self.progress.worlds.1);
                if !old.is_empty() && old != ctx.props().address.world {
                    ctx.link().send_future_batch(async move {
                        // One that is gone already need not go.
                        let _ = api::call("DELETE", &format!("/api/worlds/{old}"), None).await;
                        Vec::new()
                    });
                }
                let body = self.body();
                self.post(ctx, "check", body, Msg::Checked);
            }
            Msg::Checked(Ok(answer)) => {
                self.busy = "";
                self.progress.tries += 1;
                self.progress.solved |= answer["pass"] == true;
                self.progress.worlds.1 = answer["world"].as_str().unwrap_or_default().to_owned();
                self.progress.result = answer;
                self.save(ctx);
                Timeout::new(0, || {
                    focus("exercise-result");
                    show_result();
                })
                .forget();
            }
            Msg::Run => {
                (self.busy, self.failure) = ("world", None);
                let body = self.body();
                self.post(ctx, "world", body, Msg::Ran);
            }
            Msg::Ran(Ok(world)) => {
                self.busy = "";
                self.progress.worlds.0 = world["id"].as_str().unwrap_or_default().to_owned();
                self.save(ctx);
                let world = self.progress.worlds.0.clone();
                self.go(ctx, Address { world, ..Address::default() });
            }
            Msg::Checked(Err(e)) | Msg::Ran(Err(e)) => {
                self.busy = "";
                self.failure = Some(e);
            }
            Msg::Hint => {
                self.progress.hints += 1;
                workshop::hints(&ctx.props().pattern, &ctx.props().slug, self.progress.hints);
                self.save(ctx);
            }
            Msg::Tell => {
                self.progress.told = !self.progress.told;
                self.save(ctx);
            }
            Msg::Use => {
                self.version();
                if let Some(Ok(task)) = &self.task {
                    let files = task["solution"].as_object().into_iter().flatten();
                    self.progress.files = files
                        .filter_map(|(n, t)| Some((n.clone(), t.as_str()?.to_owned())))
                        .collect();
                }
                self.save(ctx);
                self.wait(ctx);
            }
            Msg::Undo => {
                if let Some(files) = self.versions.pop() {
                    self.progress.files = files;
                    self.save(ctx);
                    self.wait(ctx);
                }
            }
            Msg::Reset => {
                self.version();
                self.progress.files.clear();
                self.progress.result = Value::Null;
                self.save(ctx);
                self.wait(ctx);
            }
            Msg::Go(address) => {
                self.go(ctx, address);
                return false;
            }
            Msg::Given => {
                // The instructor has opened something of it.
                let given = Progress::load(&ctx.props().pattern, &ctx.props().slug);
                self.progress.hints = self.progress.hints.max(given.hints);
                self.progress.told |= given.told;
            }
            Msg::Ui(ui) => self.ui = ui,
        }
        true
    }

    fn view(&self, ctx: &Context<Exercise>) -> Html {
        let t = self.ui.t();
        let task = match &self.task {
            None => return html! { <p class="quiet">{ t.loading }</p> },
            Some(Err(e)) => {
                return html! { <p class="trouble" role="alert">{ fill(t.failed, &[&e.to_string()]) }</p> };
            }
            Some(Ok(task)) => task,
        };
        let link = ctx.link();
        let names = self.names();
        let name = names.get(self.file).cloned().unwrap_or_default();
        let back = Address { exercise: String::new(), ..ctx.props().address.clone() };
        let busy = !self.busy.is_empty();
        let files = names.iter().enumerate().map(|(i, n)| {
            html! { <button class="form" aria-pressed={(i == self.file).to_string()} onclick={link.callback(move |_| Msg::File(i))}>{ n.clone() }</button> }
        });
        let said = |v: &Value| said(&self.ui, v);
        html! {
            <div class="exercise" data-testid="exercise">
                <p class="crumbs"><button class="jump" data-testid="exercises-all" onclick={link.callback(move |_| Msg::Go(back.clone()))}>{ "← " }{ t.exercises }</button>
                    { badge(t, &self.progress) }</p>
                <Lesson markdown={said(&task["task"])} plain=true />
                { self.where_one_is(ctx) }
                if names.len() > 1 { <div class="forms" role="group" aria-label={t.files}>{ for files }</div> }
                <Editor id="exercise-file" label={fill(t.edit_file, &[&name])} text={self.text(&name)} wrong={self.wrong(&name)} change={link.callback(Msg::Edit)} />
                <div class="actions" role="group" aria-label={t.actions}>
                    <button class="primary" data-testid="check" disabled={busy} onclick={link.callback(|_| Msg::Check)}>{ if self.busy == "check" { t.checking } else { t.check } }</button>
                    <button data-testid="run-world" disabled={busy} title={t.run_files_help} onclick={link.callback(|_| Msg::Run)}>{ if self.busy == "world" { t.starting } else { t.run_files } }</button>
                    <button data-testid="undo" disabled={self.versions.is_empty()} onclick={link.callback(|_| Msg::Undo)}>{ t.undo }</button>
                    <button data-testid="reset" disabled={self.progress.files.is_empty()} onclick={link.callback(|_| Msg::Reset)}>{ t.reset }</button>
                </div>
                if let Some(e) = &self.failure { <p class="trouble" role="alert">{ fill(t.failed, &[&e.to_string()]) }</p> }
                { self.result(ctx, task) }
                { self.help(ctx, task) }
                if self.progress.solved || self.progress.told {
                    <details class="debrief" data-testid="debrief" open={self.progress.result["pass"] == true}><summary>{ t.debrief }</summary><Lesson markdown={said(&task["debrief"])} plain=true /></details>
                }
                if let Some(next) = ctx.props().next.clone().filter(|_| self.progress.solved) {
                    <button class="primary" data-testid="exercise-next" onclick={link.callback(move |_| Msg::Go(Address { exercise: next.clone(), ..Address::default() }))}>{ t.next_exercise }</button>
                }
            </div>
        }
    }
}

/// How far one has come, as a sign with words.
pub fn badge(t: &Texts, progress: &Progress) -> Html {
    use crate::progress::Stage;
    let (class, sign, text) = match progress.stage() {
        Stage::New => ("new", "○", t.not_begun),
        Stage::Begun => ("begun", "◐", t.begun),
        Stage::Solved => ("solved", "✓", t.solved),
    };
    html! { <span class={classes!("badge-stage", class)} data-stage={class}><span aria-hidden="true">{ sign }</span>{ " " }{ text }</span> }
}

impl Exercise {
    fn names(&self) -> Vec<String> {
        match &self.task {
            Some(Ok(task)) => {
                task["start"].as_object().into_iter().flatten().map(|(n, _)| n.clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn text(&self, name: &str) -> String {
        self.progress.files.get(name).cloned().unwrap_or_else(|| match &self.task {
            Some(Ok(task)) => task["start"][name].as_str().unwrap_or_default().to_owned(),
            _ => String::new(),
        })
    }

    /// All files as they are now.
    fn body(&self) -> Value {
        let files: BTreeMap<String, String> =
            self.names().into_iter().map(|n| (n.clone(), self.text(&n))).collect();
        json!({ "files": files })
    }

    fn version(&mut self) {
        self.versions.push(self.progress.files.clone());
        if self.versions.len() > VERSIONS {
            self.versions.remove(0);
        }
    }

    fn save(&self, ctx: &Context<Exercise>) {
        self.progress.save(&ctx.props().pattern, &ctx.props().slug);
    }

    /// Looks the files over when nobody has typed for a moment.
    fn wait(&mut self, ctx: &Context<Exercise>) {
        let link = ctx.link().clone();
        self.quiet = Some(Timeout::new(QUIET, move || link.send_message(Msg::Quiet)));
    }

    fn post(
        &self,
        ctx: &Context<Exercise>,
        what: &str,
        body: Value,
        done: fn(Result<Value, Failure>) -> Msg,
    ) {
        let at = format!("{}/{what}", path(&ctx.props().pattern, &ctx.props().slug));
        ctx.link().send_future(async move { done(api::call("POST", &at, Some(body)).await) });
    }

    /// Goes elsewhere in the same exercise, or to another.
    fn go(&self, ctx: &Context<Exercise>, to: Address) {
        let props = ctx.props();
        if to.world.is_empty() {
            let (pattern, slug, go) = (props.pattern.clone(), to.exercise, props.go.clone());
            ctx.link().send_future_batch(async move {
                match begin(pattern, slug).await {
                    Ok(address) => {
                        go.emit(address);
                        Vec::new()
                    }
                    Err(e) => vec![Msg::Ran(Err(e))],
                }
            });
            return;
        }
        let exercise =
            if to.world == props.address.world { to.exercise } else { props.slug.clone() };
        let (pattern, panel) = (props.pattern.clone(), "practice".into());
        let show = props.address.show.clone();
        props.go.emit(Address { pattern, panel, exercise, show, ..to });
    }

    fn wrong(&self, name: &str) -> Vec<Wrong> {
        let text = self.text(name);
        let of = self.mistakes.iter().filter(|m| m["file"] == name);
        of.take(20)
            .map(|m| {
                let field = m["field"].as_str().unwrap_or_default();
                let document = m["document"].as_u64().unwrap_or(0) as usize;
                let line = m["line"].as_u64().map(|n| n as usize);
                let line = line.or_else(|| line_of(&text, document, field)).unwrap_or(0);
                let what = m["message"].as_str().unwrap_or_default();
                let what = match field {
                    "" => what.to_owned(),
                    field => format!("{field}: {what}"),
                };
                (line, what)
            })
            .collect()
    }

    /// Says so where the world on the left is that of the checks.
    fn where_one_is(&self, ctx: &Context<Exercise>) -> Html {
        let t = self.ui.t();
        let (own, checked) = &self.progress.worlds;
        if checked.is_empty() || *checked != ctx.props().address.world || own.is_empty() {
            return Html::default();
        }
        let to = Address { world: own.clone(), ..Address::default() };
        html! { <p class="inworld"><span>{ t.in_checked }</span>
        <button class="jump" data-testid="own-world" onclick={ctx.link().callback(move |_| Msg::Go(to.clone()))}>{ t.own_world }</button></p> }
    }

    fn result(&self, ctx: &Context<Exercise>, task: &Value) -> Html {
        let t = self.ui.t();
        let result = &self.progress.result;
        let Some(checks) = result["checks"].as_array() else {
            let goals = task["checks"].as_array().into_iter().flatten();
            return html! { <section class="goals" aria-label={t.goals}><h3>{ t.goals }</h3>
            <ul>{ for goals.map(|c| html! { <li><span class="verdict" aria-hidden="true">{ "○" }</span>{ said(&self.ui, &c["means"]) }</li> }) }</ul></section> };
        };
        let pass = result["pass"] == true;
        let took =
            show::duration(result["virtualNanos"].as_u64().unwrap_or(0) / 1_000_000 * 1_000_000);
        let items = checks.iter().map(|c| {
            let word = |n: &str| c[n].as_str().unwrap_or_default().to_owned();
            let (class, sign, verdict) = match c["verdict"].as_str().map(str::to_ascii_lowercase).as_deref() {
                Some("pass") => ("pass", "✓", t.check_pass),
                Some("fail") => ("fail", "✕", t.check_fail),
                _ => ("unknown", "?", t.check_unknown),
            };
            let mut means = said(&self.ui, &c["means"]);
            if means.is_empty() {
                means = word("name");
            }
            let (at, event) = (c["at"].as_u64().unwrap_or(0), c["event"].as_u64().filter(|n| *n > 0));
            let world = self.progress.worlds.1.clone();
            let to = Address { world: world.clone(), at: (at > 0).then_some(at), event, ..Address::default() };
            let around = c["around"].as_array().into_iter().flatten().filter_map(Value::as_str);
            html! { <li class={class} data-testid={format!("check-{}", word("name"))} data-verdict={class}>
                <p><span class="verdict" aria-hidden="true">{ sign }</span><span class="unseen">{ verdict }</span>{ means }</p>
                if class != "pass" {
                    <dl class="facts">
                        <div class="fact"><dt>{ t.expected }</dt><dd><code>{ word("expected") }</code></dd></div>
                        <div class="fact"><dt>{ t.seen }</dt><dd><code>{ word("seen") }</code></dd></div>
                        <div class="fact"><dt>{ t.where_at }</dt><dd>{ show::instant(at) }
                            if !world.is_empty() { { " " }<button class="jump" data-testid="see" onclick={ctx.link().callback(move |_| Msg::Go(to.clone()))}>{ t.see_there }</button> }</dd></div>
                    </dl>
                    <details><summary>{ t.around }</summary><pre tabindex="0" aria-label={t.around} role="region">{ around.collect::<Vec<_>>().join("\n") }</pre></details>
                }
            </li> }
        });
        let error = result["error"].as_str().unwrap_or_default();
        html! {
            <section class={classes!("result", if pass { "pass" } else { "fail" })} aria-labelledby="exercise-result" data-testid="result" data-pass={pass.to_string()}>
                <h3 id="exercise-result" tabindex="-1">{ if pass { t.all_pass } else { t.not_yet } }</h3>
                <p class="quiet">{ fill(t.check_took, &[&took, &result["events"].as_u64().unwrap_or(0).to_string()]) }</p>
                if !error.is_empty() { <p class="line">{ error.to_owned() }</p> }
                <ul>{ for items }</ul>
            </section>
        }
    }

    fn help(&self, ctx: &Context<Exercise>, task: &Value) -> Html {
        let t = self.ui.t();
        let hints = task["hints"].as_array().map(Vec::as_slice).unwrap_or_default();
        let open = self.progress.hints.min(hints.len());
        let all = hints.len().to_string();
        let told = self.progress.told;
        html! {
            <section class="help" aria-label={t.help}>
                <ol data-testid="hints">{ for hints.iter().take(open).map(|h| html! { <li>{ said(&self.ui, h) }</li> }) }</ol>
                <div class="actions">
                    if open < hints.len() {
                        <button data-testid="hint-next" onclick={ctx.link().callback(|_| Msg::Hint)}>{ fill(t.hint_of, &[&(open + 1).to_string(), &all]) }</button>
                    }
                    <button data-testid="solution" aria-expanded={told.to_string()} onclick={ctx.link().callback(|_| Msg::Tell)}>{ if told { t.hide_solution } else { t.show_solution } }</button>
                    if told { <button data-testid="use-solution" onclick={ctx.link().callback(|_| Msg::Use)}>{ t.use_solution }</button> }
                </div>
                if told { { for task["solution"].as_object().into_iter().flatten().map(|(name, text)| {
                    let start = task["start"][name].as_str().unwrap_or_default();
                    html! { <pre class="diff" tabindex="0" role="region" aria-label={fill(t.solution_of, &[name])}>{ difference(start, text.as_str().unwrap_or_default()) }</pre> }
                }) } }
            </section>
        }
    }
}

/// Brings what the checks said into sight: focus alone is content with a line of it.
fn show_result() {
    let found = crate::ui::window().document().and_then(|d| d.get_element_by_id("exercise-result"));
    if let Some(element) = found.and_then(|e| e.parent_element()) {
        element.scroll_into_view_with_bool(true);
    }
}

/// The lines of `new`, with what is other than in `old` marked, and a little around it.
fn difference(old: &str, new: &str) -> Html {
    let lines = crate::model::diff::lines(old, new);
    lines
        .into_iter()
        .map(|(sign, text)| {
            let class = match sign {
                '+' => "plus",
                '-' => "minus",
                _ => "same",
            };
            html! { <span {class}>{ format!("{sign} {text}\n") }</span> }
        })
        .collect()
}
