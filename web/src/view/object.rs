//! An object of the API server as YAML: looked at, edited, tried out, applied.

use gloo_timers::callback::Timeout;
use serde_json::Value;
use yew::prelude::*;

use crate::api::{self, Failure};
use crate::i18n::fill;
use crate::model::field::line_of;
use crate::model::touch::path_of;
use crate::model::yaml::{editable, yaml};
use crate::ui::Ui;
use crate::view::editor::{Editor, Wrong};

/// Which object.
#[derive(Properties, PartialEq, Clone)]
pub struct Props {
    /// The world's id.
    pub world: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace, or empty.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether the present is shown: the past cannot be changed.
    pub live: bool,
    /// What came of applying it.
    pub done: Callback<Result<Option<String>, Failure>>,
}

/// An object as YAML.
pub struct Object {
    text: Option<String>,
    edited: bool,
    wrong: Vec<(String, String)>,
    failure: Option<String>,
    quiet: Option<Timeout>,
    ui: Ui,
    _ui: ContextHandle<Ui>,
}

/// What happens to it.
#[allow(missing_docs)]
pub enum Msg {
    Load,
    Came(Result<(u16, Value), Failure>),
    Edit(String),
    Quiet,
    Tried(Result<(u16, Value), Failure>),
    Apply,
    Applied(Result<(u16, Value), Failure>),
    Ui(Ui),
}

impl Component for Object {
    type Message = Msg;
    type Properties = Props;

    fn create(ctx: &Context<Object>) -> Object {
        ctx.link().send_message(Msg::Load);
        let (ui, handle) = ctx
            .link()
            .context::<Ui>(ctx.link().callback(Msg::Ui))
            .expect("an object stands inside the application");
        Object {
            text: None,
            edited: false,
            wrong: Vec::new(),
            failure: None,
            quiet: None,
            ui,
            _ui: handle,
        }
    }

    fn changed(&mut self, ctx: &Context<Object>, old: &Props) -> bool {
        let new = ctx.props();
        if (&old.kind, &old.namespace, &old.name) != (&new.kind, &new.namespace, &new.name) {
            ctx.link().send_message(Msg::Load);
        }
        true
    }

    fn update(&mut self, ctx: &Context<Object>, msg: Msg) -> bool {
        match msg {
            Msg::Load => {
                (self.text, self.edited, self.failure) = (None, false, None);
                self.wrong.clear();
                let path = path(ctx.props(), "");
                ctx.link()
                    .send_future(async move { Msg::Came(api::kube("GET", &path, "", None).await) });
            }
            Msg::Came(Ok((status, object))) if status < 300 => {
                self.text = Some(yaml(&editable(&object)));
            }
            Msg::Came(Ok((_, status))) => self.failure = Some(message(&status)),
            Msg::Came(Err(e)) | Msg::Tried(Err(e)) | Msg::Applied(Err(e)) => {
                self.failure = Some(e.to_string());
            }
            Msg::Edit(text) => {
                (self.text, self.edited) = (Some(text), true);
                let link = ctx.link().clone();
                self.quiet = Some(Timeout::new(600, move || link.send_message(Msg::Quiet)));
            }
            Msg::Quiet => {
                self.quiet = None;
                self.put(ctx, "&dryRun=All", Msg::Tried);
                return false;
            }
            Msg::Tried(Ok(answer)) => self.judge(&answer),
            Msg::Apply => {
                self.put(ctx, "", Msg::Applied);
                return false;
            }
            Msg::Applied(Ok(answer)) => {
                self.judge(&answer);
                if answer.0 < 300 {
                    self.edited = false;
                    self.text = Some(yaml(&editable(&answer.1)));
                    let p = ctx.props();
                    let said = fill(self.ui.t().did_apply, &[&p.name]);
                    p.done.emit(Ok(Some(said)));
                }
            }
            Msg::Ui(ui) => self.ui = ui,
        }
        true
    }

    fn view(&self, ctx: &Context<Object>) -> Html {
        let t = self.ui.t();
        let p = ctx.props();
        let Some(text) = &self.text else {
            let said = self.failure.clone().unwrap_or_else(|| t.loading.into());
            return html! { <p class="quiet">{ said }</p> };
        };
        let wrong: Vec<Wrong> = self
            .wrong
            .iter()
            .map(|(field, what)| {
                let line = line_of(text, 0, field).unwrap_or(0);
                (line, if field.is_empty() { what.clone() } else { format!("{field}: {what}") })
            })
            .collect();
        let off = !p.live || !self.edited || !wrong.is_empty();
        html! {
            <div class="object" data-testid="object">
                <Editor id="object-yaml" label={fill(t.edit_file, &[&p.name])} text={text.clone()} {wrong} fixed={!p.live} change={ctx.link().callback(Msg::Edit)} />
                if let Some(e) = &self.failure { <p class="trouble" role="alert">{ e.clone() }</p> }
                <div class="actions">
                    <button class="primary" data-testid="apply" disabled={off} onclick={ctx.link().callback(|_| Msg::Apply)}>{ t.apply }</button>
                    <button data-testid="object-reload" onclick={ctx.link().callback(|_| Msg::Load)}>{ t.load_again }</button>
                    <span class="quiet">{ t.apply_help }</span>
                </div>
            </div>
        }
    }
}

fn path(p: &Props, more: &str) -> String {
    let at = path_of(&p.kind, &p.namespace, &p.name).unwrap_or_default();
    format!("/api/worlds/{}/kube{at}?fieldValidation=Strict{more}", p.world)
}

fn message(status: &Value) -> String {
    status["message"].as_str().unwrap_or_default().to_owned()
}

impl Object {
    fn put(
        &self,
        ctx: &Context<Object>,
        more: &str,
        done: fn(Result<(u16, Value), Failure>) -> Msg,
    ) {
        let (path, text) = (path(ctx.props(), more), self.text.clone().unwrap_or_default());
        ctx.link().send_future(async move {
            done(api::kube("PUT", &path, "application/yaml", Some(&text)).await)
        });
    }

    /// What the API server says against it.
    fn judge(&mut self, (code, status): &(u16, Value)) {
        self.wrong.clear();
        self.failure = None;
        if *code < 300 {
            return;
        }
        let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        for cause in status["details"]["causes"].as_array().into_iter().flatten() {
            self.wrong.push((word(&cause["field"]), word(&cause["message"])));
        }
        let said = message(status);
        if self.wrong.is_empty() {
            // Strict decoding names the fields in its message only.
            for field in said.split("unknown field \"").skip(1).filter_map(|r| r.split('"').next())
            {
                self.wrong.push((field.to_owned(), "unknown field".into()));
            }
        }
        if self.wrong.is_empty() {
            self.wrong.push((String::new(), said));
        }
    }
}
