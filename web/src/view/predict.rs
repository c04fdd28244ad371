//! A question of a lesson: one ticks what will happen, lets it happen in the world, and is told
//! what did, and why.

use serde_json::Value;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use crate::api::{self, Failure};
use crate::i18n::fill;
use crate::model::predict::{Part, Question, parts};
use crate::model::show;
use crate::session::Shared;
use crate::ui::{remember, remembered, use_ui};
use crate::view::lesson;
use crate::view::transport::Action;

/// A lesson with its questions.
#[derive(Properties, PartialEq)]
pub struct LessonProps {
    /// The text.
    pub markdown: AttrValue,
    /// The pattern's name.
    pub pattern: AttrValue,
    /// The world in which it happens.
    pub session: Shared,
    /// The world's id.
    pub world: AttrValue,
    /// Changes when there is something new to draw.
    pub tick: u32,
    /// The speed that was chosen, in thousandths.
    pub speed: u32,
    /// Does something with time.
    pub act: Callback<Action>,
    /// Shows the messages that a filter lets through.
    pub see: Callback<String>,
}

/// The lesson.
#[component]
pub fn LessonWithQuestions(props: &LessonProps) -> Html {
    let found = use_memo(props.markdown.clone(), |text| parts(text));
    let mut number = 0;
    let pieces = found.iter().map(|part| match part {
        Part::Text(text) => html! { <Passage text={text.clone()} /> },
        // Nothing can be let happen in a recording.
        Part::Question(_) if props.session.0.borrow().recorded => Html::default(),
        Part::Question(question) => {
            number += 1;
            html! { <Predict key={format!("{}-{number}", props.world)} question={(**question).clone()} id={format!("{}.{number}", props.pattern)} session={props.session.clone()}
                world={props.world.clone()} tick={props.tick} speed={props.speed} act={props.act.clone()} see={props.see.clone()} /> }
        }
    });
    html! { <article class="lesson" tabindex="0">{ for pieces }</article> }
}

#[derive(Properties, PartialEq)]
struct PassageProps {
    text: String,
}

/// Text between questions: built once, however often the world moves.
#[component]
fn Passage(props: &PassageProps) -> Html {
    lesson::render(&props.text)
}

#[derive(Properties, PartialEq)]
struct Props {
    question: Question,
    id: String,
    session: Shared,
    world: AttrValue,
    tick: u32,
    speed: u32,
    act: Callback<Action>,
    see: Callback<String>,
}

/// How far one is with a question.
#[derive(Clone, PartialEq)]
enum Stand {
    /// It is asked.
    Asked,
    /// It was done to the world at this instant, in ns.
    Runs(u64),
    /// It has happened, then; or in another world.
    Known(Option<u64>),
}

/// What is in backticks as code.
fn inline(text: &str) -> Html {
    let pieces = text.split('`').enumerate().map(|(i, piece)| match i % 2 {
        1 => html! { <code>{ piece.to_owned() }</code> },
        _ => Html::from(piece.to_owned()),
    });
    html! { <>{ for pieces }</> }
}

/// Does things to a world, one after the other.
async fn befall(world: &str, faults: &[Value]) -> Result<(), Failure> {
    for fault in faults {
        let at = format!("/api/worlds/{world}/faults");
        api::call("POST", &at, Some(fault.clone())).await?;
    }
    Ok(())
}

#[component]
fn Predict(props: &Props) -> Html {
    let t = use_ui().t();
    let q = &props.question;
    let key = format!("predict.{}", props.id);
    let first = use_memo(key.clone(), |key| {
        let text = remembered(key).unwrap_or_default();
        (text.len() == q.choices.len())
            .then(|| text.chars().map(|c| c == '1').collect::<Vec<bool>>())
    });
    let ticked = use_state(|| (*first).clone().unwrap_or_else(|| vec![false; q.choices.len()]));
    let stand = use_state(|| if first.is_some() { Stand::Known(None) } else { Stand::Asked });
    let failure = use_state(|| None::<Failure>);
    let mended = use_state(|| false);
    let (now, frozen) = {
        let s = props.session.0.borrow();
        (s.clock.now, s.clock.speed == 0)
    };
    // It has happened as soon as the world has come so far; a world that went back has not.
    let seen = match *stand {
        Stand::Runs(since) if now < since => Stand::Asked,
        Stand::Runs(since) if now >= since + q.wait => Stand::Known(Some(since)),
        ref other => other.clone(),
    };
    {
        let (stand, seen, ticked) = (stand.clone(), seen.clone(), ticked.clone());
        use_effect_with(seen.clone(), move |_| {
            if seen != *stand {
                if let Stand::Known(_) = seen {
                    let ticks = ticked.iter().map(|t| if *t { '1' } else { '0' });
                    remember(&key, &ticks.collect::<String>());
                }
                stand.set(seen);
            }
        });
    }
    let any = ticked.iter().any(|t| *t);
    let run = {
        let (stand, failure, mended) = (stand.clone(), failure.clone(), mended.clone());
        let (world, faults, session) = (props.world.clone(), q.run.clone(), props.session.clone());
        let (act, speed) = (props.act.clone(), props.speed);
        Callback::from(move |_: MouseEvent| {
            if !any {
                return;
            }
            let (stand, failure, mended) = (stand.clone(), failure.clone(), mended.clone());
            let (world, faults, session) = (world.clone(), faults.clone(), session.clone());
            // It happens in the present, and only where time passes.
            act.emit(Action::Present);
            if session.0.borrow().clock.speed == 0 {
                act.emit(Action::Speed(speed));
            }
            failure.set(None);
            mended.set(false);
            spawn_local(async move {
                match befall(&world, &faults).await {
                    Ok(()) => stand.set(Stand::Runs(session.0.borrow().clock.now)),
                    Err(e) => failure.set(Some(e)),
                }
            });
        })
    };
    let mend = {
        let (world, faults) = (props.world.clone(), q.mend.clone());
        let (failure, mended) = (failure.clone(), mended.clone());
        Callback::from(move |_: MouseEvent| {
            let (world, faults) = (world.clone(), faults.clone());
            let (failure, mended) = (failure.clone(), mended.clone());
            spawn_local(async move {
                match befall(&world, &faults).await {
                    Ok(()) => mended.set(true),
                    Err(e) => failure.set(Some(e)),
                }
            });
        })
    };
    let again = {
        let (stand, ticked, count) = (stand.clone(), ticked.clone(), q.choices.len());
        Callback::from(move |_: MouseEvent| {
            ticked.set(vec![false; count]);
            stand.set(Stand::Asked);
        })
    };
    let known = matches!(seen, Stand::Known(_));
    let runs = matches!(seen, Stand::Runs(_));
    let choice = |(i, (text, right)): (usize, &(String, bool))| {
        let on = ticked.get(i).copied().unwrap_or(false);
        if known {
            let good = on == *right;
            let words = match (*right, on) {
                (true, true) => t.predict_hit,
                (true, false) => t.predict_missed,
                (false, true) => t.predict_false,
                (false, false) => t.predict_ruled_out,
            };
            return html! { <li class={if good { "pass" } else { "fail" }} data-right={good.to_string()}><span class="verdict" aria-hidden="true">{ if good { "✓" } else { "✗" } }</span>
            <span>{ inline(text) }<small>{ words }</small></span></li> };
        }
        let onchange = {
            let ticked = ticked.clone();
            Callback::from(move |_: Event| {
                let mut new = (*ticked).clone();
                new[i] = !new[i];
                ticked.set(new);
            })
        };
        html! { <li><label><input type="checkbox" checked={on} disabled={runs} data-testid="predict-choice" {onchange} /><span>{ inline(text) }</span></label></li> }
    };
    let name = format!("ask-{}", props.id.replace('.', "-"));
    let see = match (&seen, q.see.is_empty()) {
        (Stand::Known(since), false) => {
            let from = since.map(|ns| format!(" after:{:.3}", ns as f64 / 1e9)).unwrap_or_default();
            let filter = format!("{}{from}", q.see);
            let onclick = props.see.reform(move |_: MouseEvent| filter.clone());
            html! { <button data-testid="predict-see" {onclick}>{ t.predict_see }</button> }
        }
        _ => Html::default(),
    };
    let foot = match &seen {
        Stand::Asked => html! { <>
            <p class="quiet">{ t.predict_tick }</p>
            <div class="actions"><button class="primary" data-testid="predict-run" aria-disabled={(!any).to_string()} onclick={run}>{ t.predict_run }</button></div>
        </> },
        Stand::Runs(since) => {
            let (gone, all) = (show::instant(now - since), show::instant(q.wait));
            let part = (now - since) as f64 / q.wait as f64;
            html! { <>
                <p role="status">{ if frozen { t.predict_frozen.to_owned() } else { fill(t.predict_wait, &[&all]) } }</p>
                <progress max="1" value={format!("{part:.3}")} aria-label={fill(t.predict_gone, &[&gone, &all])} />
            </> }
        }
        Stand::Known(since) => {
            let (right, all) = (q.right(&ticked), q.choices.len());
            let mend = match since {
                Some(_) if !q.mend.is_empty() && !*mended => {
                    html! { <button data-testid="predict-mend" onclick={mend}>{ t.predict_mend }</button> }
                }
                _ => Html::default(),
            };
            html! { <>
                <p class="line-of-result" role="status" data-testid="predict-result" data-score={format!("{right}/{all}")}>{ fill(t.predict_score, &[&right.to_string(), &all.to_string()]) }</p>
                <p><b>{ t.predict_why }</b>{ " " }{ inline(&q.why) }</p>
                <div class="actions">{ see }{ mend }<button data-testid="predict-again" onclick={again}>{ t.predict_again }</button></div>
            </> }
        }
    };
    html! {
        <section class={classes!("predict", known.then_some("known"))} role="group" aria-labelledby={name.clone()} data-testid="predict">
            <p class="predict-kind">{ t.predict_title }</p>
            <p id={name} class="predict-ask">{ inline(&q.ask) }</p>
            <ul>{ for q.choices.iter().enumerate().map(choice) }</ul>
            { foot }
            if let Some(e) = &*failure { <p class="trouble" role="alert">{ fill(t.failed, &[&e.to_string()]) }</p> }
        </section>
    }
}
