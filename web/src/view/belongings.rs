//! A learner's progress, saved as a file and loaded from one.

use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{File, HtmlInputElement};
use yew::prelude::*;

use crate::download;
use crate::i18n::fill;
use crate::i18n::inspect;
use crate::model::belongings::{Belongings, LARGEST, Wrong};
use crate::progress::Progress;
use crate::ui::{remember, remembered, remembered_keys, use_ui};

const EXERCISE: &str = "exercise.";
const PREDICT: &str = "predict.";

/// What this browser remembers of it.
fn own() -> Belongings {
    let mut out = Belongings::default();
    for key in remembered_keys() {
        if let Some(name) = key.strip_prefix(EXERCISE) {
            let text = remembered(&key).unwrap_or_default();
            let progress = Progress::parse(&serde_json::from_str(&text).unwrap_or_default());
            out.exercises.insert(name.to_owned(), progress);
        } else if let Some(name) = key.strip_prefix(PREDICT) {
            out.predictions.insert(name.to_owned(), remembered(&key).unwrap_or_default());
        }
    }
    out
}

/// Remembers it; how many things the browser did remember.
fn keep(taken: &Belongings) -> usize {
    let exercises =
        taken.exercises.iter().map(|(k, p)| (format!("{EXERCISE}{k}"), p.json().to_string()));
    let predictions = taken.predictions.iter().map(|(k, v)| (format!("{PREDICT}{k}"), v.clone()));
    let kept = |(key, value): &(String, String)| {
        remember(key, value);
        // A full store keeps what it had.
        remembered(key).as_deref() == Some(value)
    };
    exercises.chain(predictions).filter(kept).count()
}

/// What there is to do it.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The progress is another now.
    pub changed: Callback<()>,
}

/// Two buttons.
#[component]
pub fn BelongingsView(props: &Props) -> Html {
    let t = inspect::of(use_ui().choices.lang);
    let said = use_state(|| None::<Result<String, String>>);
    let save = {
        let said = said.clone();
        Callback::from(move |_: MouseEvent| {
            let own = own();
            if own.is_empty() {
                said.set(Some(Err(t.progress_none.into())));
                return;
            }
            let name = "podlab-progress.json";
            let saved = download::text(&own.write(), "application/json", name);
            said.set(Some(match saved {
                Ok(()) => Ok(fill(t.progress_saved, &[&own.len().to_string(), name])),
                Err(_) => Err(t.progress_not_saved.into()),
            }));
        })
    };
    let load = {
        let (said, changed) = (said.clone(), props.changed.clone());
        Callback::from(move |e: Event| {
            let input: HtmlInputElement = e.target_unchecked_into();
            let file: Option<File> = input.files().and_then(|f| f.get(0));
            let (said, changed) = (said.clone(), changed.clone());
            let Some(file) = file else { return };
            spawn_local(async move {
                let read = if file.size() > LARGEST as f64 {
                    Err(Wrong::Large)
                } else {
                    let text = JsFuture::from(file.text()).await.ok().and_then(|t| t.as_string());
                    Belongings::read(&text.unwrap_or_default())
                };
                // The same file can be chosen again after it was mended.
                input.set_value("");
                let name = file.name();
                said.set(Some(match read {
                    Err(Wrong::Large) => Err(fill(t.progress_large, &[&name])),
                    Err(Wrong::Other) => Err(fill(t.progress_other, &[&name])),
                    Err(Wrong::Version) => Err(fill(t.progress_version, &[&name])),
                    Ok(theirs) => {
                        let whole = theirs.len();
                        let taken = theirs.beyond(&own());
                        let kept = keep(&taken);
                        changed.emit(());
                        if kept < taken.len() {
                            Err(t.progress_full.into())
                        } else {
                            Ok(fill(
                                t.progress_loaded,
                                &[&kept.to_string(), &(whole - kept).to_string()],
                            ))
                        }
                    }
                }));
            });
        })
    };
    html! {
        <section class="belongings" aria-labelledby="belongings"><h2 id="belongings">{ t.progress }</h2>
            <p class="quiet">{ t.progress_help }</p>
            <div class="actions"><button data-testid="progress-save" onclick={save}>{ t.progress_save }</button>
                <label class="pick">{ t.progress_load }<input type="file" accept=".json,application/json" data-testid="progress-load" onchange={load} /></label></div>
            <p role="status" data-testid="progress-said" class={if matches!(*said, Some(Err(_))) { "trouble" } else { "" }}>{ match &*said { Some(Ok(s) | Err(s)) => s.clone(), None => String::new() } }</p>
        </section>
    }
}
