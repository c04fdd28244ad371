//! What can be done to a thing: buttons, and the same as commands to copy.

use std::collections::BTreeMap;

use podlab_trace::state::State;
use serde_json::Value;
use wasm_bindgen_futures::spawn_local;
use web_sys::{HtmlInputElement, HtmlSelectElement};
use yew::prelude::*;

use crate::api::{self, Failure};
use crate::i18n::{Texts, fill};
use crate::model::route::End;
use crate::model::touch::{Call, Choice, Deed, Thing, act, deeds};
use crate::ui::{use_ui, window};
use crate::view::command;
use crate::view::inspector::Selection;

/// A thing, and how it is.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The thing.
    pub thing: Thing,
    /// What people call it.
    pub name: AttrValue,
    /// The world's id.
    pub world: String,
    /// Faults in force, by name and target.
    pub faults: Vec<(String, String)>,
    /// Whether its program runs, where it has one.
    pub running: bool,
    /// Whether the present is shown: the past cannot be changed.
    pub live: bool,
    /// What came of it.
    pub done: Callback<Result<Option<String>, Failure>>,
}

/// What a deed is called.
pub fn label(t: &Texts, deed: Deed) -> &'static str {
    match deed {
        Deed::Kill => t.kill,
        Deed::Pause => t.pause,
        Deed::Resume => t.resume,
        Deed::Slow => t.deed_slow,
        Deed::Fast => t.deed_fast,
        Deed::SkewClock => t.deed_skew,
        Deed::RightClock => t.deed_right,
        Deed::OutOfMemory => t.deed_oom,
        Deed::Delete => t.deed_delete,
        Deed::NoDns => t.deed_no_dns,
        Deed::Dns => t.deed_dns,
        Deed::Isolate => t.deed_isolate,
        Deed::Scale => t.deed_scale,
        Deed::SetImage => t.deed_image,
        Deed::NodeDown => t.deed_node_down,
        Deed::NodeUp => t.deed_node_up,
        Deed::Cordon => t.deed_cordon,
        Deed::Uncordon => t.deed_uncordon,
        Deed::Drain => t.deed_drain,
        Deed::Fill => t.deed_fill,
        Deed::Free => t.deed_free,
        Deed::Partition => t.deed_partition,
        Deed::Delay => t.deed_delay,
        Deed::Lose => t.deed_lose,
        Deed::Heal => t.deed_heal,
    }
}

/// The thing that is selected, if it can be touched.
pub fn thing(state: &State, selected: &Selection) -> Option<Thing> {
    let pod_of = |owner: &str| {
        let (namespace, name) = owner.split_once('/')?;
        Some((namespace.to_owned(), name.to_owned()))
    };
    match selected {
        Selection::Container(id) => {
            let p = state.places.get(id)?;
            Some(Thing::Container {
                pod: (p.namespace.clone(), p.pod.clone()),
                name: p.container.clone(),
            })
        }
        Selection::Pod(owner) => {
            let pod = pod_of(owner)?;
            let owner = scaled_by(state, &pod);
            Some(Thing::Pod { pod, owner })
        }
        Selection::Node(name) => {
            let here = |json: &str| {
                let pod: Value = serde_json::from_str(json).unwrap_or_default();
                pod["spec"]["nodeName"] == name.as_str()
            };
            let pods =
                state.objects.iter().filter(|((kind, ..), o)| kind == "Pod" && here(&o.json));
            let pods = pods.map(|((_, ns, pod), _)| (ns.clone(), pod.clone())).collect();
            Some(Thing::Node(name.clone(), pods))
        }
        Selection::Volume(owner, name) => {
            Some(Thing::Volume { pod: pod_of(owner)?, name: name.clone() })
        }
        Selection::Edge(a, b) => {
            let end = |end: &End| match end {
                End::Place(id) => {
                    let p = state.places.get(id)?;
                    Some(match (p.pod.as_str(), p.node.as_str()) {
                        ("", "") => "outside".to_owned(),
                        ("", node) => node.to_owned(),
                        (pod, _) => format!("{}/{pod}", p.namespace),
                    })
                }
                End::Volume(..) => None,
            };
            let (a, b) = (end(a)?, end(b)?);
            // Inside a pod there is no link to break.
            (a != b).then_some(Thing::Link(a, b))
        }
        _ => None,
    }
}

/// What a pod is scaled by: kind and name.
pub fn scaled_by(state: &State, pod: &(String, String)) -> Option<(String, String)> {
    let mut key = ("Pod".to_owned(), pod.0.clone(), pod.1.clone());
    let mut found = None;
    // A ReplicaSet belongs to a Deployment, and that to nobody.
    for _ in 0..3 {
        let Some(object) = state.objects.get(&key) else { break };
        let object: Value = serde_json::from_str(&object.json).unwrap_or_default();
        let owner = &object["metadata"]["ownerReferences"][0];
        let (Some(kind), Some(name)) = (owner["kind"].as_str(), owner["name"].as_str()) else {
            break;
        };
        if ["Deployment", "StatefulSet", "ReplicaSet"].contains(&kind) {
            found = Some((kind.to_owned(), name.to_owned()));
        }
        key = (kind.to_owned(), pod.0.clone(), name.to_owned());
    }
    found
}

/// Copies a text; where the browser forbids it, it stays to be selected by hand.
fn copy(text: &str) {
    // The promise is rejected where the page may not use the clipboard; the text is still there.
    let _ = crate::ui::clipboard(text);
}

/// A text with a button that copies it.
#[derive(Properties, PartialEq)]
pub struct CopyProps {
    /// What it is.
    pub of: AttrValue,
    /// The text.
    pub text: AttrValue,
}

/// A text with a button that copies it.
#[component]
pub fn Copy(props: &CopyProps) -> Html {
    let t = use_ui().t();
    let done = use_state(String::new);
    let onclick = {
        let (done, text) = (done.clone(), props.text.clone());
        Callback::from(move |_: MouseEvent| {
            copy(&text);
            done.set(text.to_string());
        })
    };
    let copied = *done == props.text.as_str();
    html! { <div class="copy"><span class="tag">{ props.of.clone() }</span><code>{ props.text.clone() }</code>
    <button class="jump" {onclick} aria-label={format!("{}: {}", t.copy, props.of)}>{ if copied { t.copied } else { t.copy } }</button></div> }
}

/// The deeds.
#[component]
pub fn Deeds(props: &Props) -> Html {
    let t = use_ui().t();
    let shown = use_state(|| None::<Deed>);
    let numbers = use_state(BTreeMap::<String, i64>::new);
    let image = use_state(String::new);
    let images = use_state(Vec::<String>::new);
    let wants_image = matches!(props.thing, Thing::Container { .. });
    {
        let images = images.clone();
        use_effect_with(wants_image, move |wants| {
            if *wants {
                spawn_local(async move {
                    let list = api::call("GET", "/api/images", None).await.unwrap_or_default();
                    let names = list["images"].as_array().into_iter().flatten();
                    images
                        .set(names.filter_map(|i| i["name"].as_str().map(str::to_owned)).collect());
                });
            }
        });
    }
    let in_force =
        |name: &str, target: &str| props.faults.iter().any(|(n, of)| n == name && of == target);
    let list = deeds(&props.thing, &in_force);
    let number = |deed: Deed| {
        let first = match deed.choice() {
            Choice::Number(_, _, first) => first,
            _ => 0,
        };
        numbers.get(&deed.id()).copied().unwrap_or(first)
    };
    let chosen_image = if image.is_empty() {
        images.first().cloned().unwrap_or_default()
    } else {
        (*image).clone()
    };
    let current = shown.filter(|d| list.contains(d)).or(list.first().copied());
    let row = |deed: Deed| {
        let why = match () {
            () if !props.live => Some(t.not_in_the_past.to_owned()),
            () if deed.of_running() && !props.running => {
                Some(fill(t.not_while_down, &[&props.name]))
            }
            () => None,
        };
        let off = why.is_some();
        let call = act(&props.thing, deed, number(deed), &chosen_image).map(|a| a.call);
        let onclick = {
            let (done, world, name) = (props.done.clone(), props.world.clone(), props.name.clone());
            let said = format!("{}: {name}", label(t, deed));
            Callback::from(move |_: MouseEvent| {
                let Some(call) = call.clone().filter(|_| !off) else { return };
                let (done, world, said) = (done.clone(), world.clone(), said.clone());
                spawn_local(async move {
                    done.emit(command::touch(world, call).await.map(|()| Some(said)));
                });
            })
        };
        let look = {
            let shown = shown.clone();
            move || shown.set(Some(deed))
        };
        let (over, focus) = (look.clone(), look);
        let input = match deed.choice() {
            Choice::None => Html::default(),
            Choice::Number(least, most, _) => {
                let numbers = numbers.clone();
                let oninput = Callback::from(move |e: InputEvent| {
                    let value = e.target_unchecked_into::<HtmlInputElement>().value();
                    if let Ok(n) = value.parse::<i64>() {
                        let mut all = (*numbers).clone();
                        all.insert(deed.id(), n.clamp(least, most));
                        numbers.set(all);
                    }
                });
                html! { <label class="amount"><input type="number" min={least.to_string()} max={most.to_string()} value={number(deed).to_string()} aria-label={format!("{}: {}", label(t, deed), unit(t, deed))} {oninput} /><span class="quiet">{ unit(t, deed) }</span></label> }
            }
            Choice::Image => {
                let image = image.clone();
                let onchange = Callback::from(move |e: Event| {
                    image.set(e.target_unchecked_into::<HtmlSelectElement>().value())
                });
                html! { <select aria-label={t.image} {onchange}>{ for images.iter().map(|i| html! { <option value={i.clone()} selected={*i == chosen_image}>{ i.clone() }</option> }) }</select> }
            }
        };
        html! { <li onmouseenter={move |_| over()} onfocusin={move |_| focus()}>
        <button class={classes!(deed.breaks().then_some("danger"))} data-testid={deed.id()} aria-disabled={off.to_string()}
            aria-describedby={off.then_some("why-not")} title={why} {onclick}>{ label(t, deed) }</button>{ input }</li> }
    };
    let why = match () {
        () if !props.live => Some(t.not_in_the_past.to_owned()),
        () if !props.running && list.iter().any(|d| d.of_running()) => {
            Some(fill(t.not_while_down, &[&props.name]))
        }
        () => None,
    };
    let commands = current.and_then(|deed| {
        let act = act(&props.thing, deed, number(deed), &chosen_image)?;
        let kubectl = match (&act.call, act.kubectl.is_empty()) {
            (Call::Fault(body), true) => {
                let origin = window().location().origin().unwrap_or_default();
                let curl = format!("curl -H 'Content-Type: application/json' -d '{body}' {origin}/api/worlds/{}/faults", props.world);
                html! { <><p class="quiet">{ t.no_kubectl }</p><Copy of="curl" text={curl} /></> }
            }
            _ => html! { <Copy of="kubectl" text={act.kubectl} /> },
        };
        Some(html! { <div class="commands" data-testid="commands" aria-label={fill(t.same_as, &[label(t, deed)])} role="group">
            <p class="quiet">{ fill(t.same_as, &[label(t, deed)]) }</p>{ kubectl }<Copy of={t.scenario_line} text={act.scenario} /></div> })
    });
    html! {
        <div class="deeds">
            <ul class="deed-list" aria-label={fill(t.actions_for, &[&props.name])}>{ for list.iter().copied().map(row) }</ul>
            if let Some(why) = why { <p class="quiet" id="why-not" data-testid="why-not">{ why }</p> }
            { commands.unwrap_or_default() }
        </div>
    }
}

fn unit(t: &Texts, deed: Deed) -> &'static str {
    match deed {
        Deed::Scale => t.unit_replicas,
        Deed::Slow => t.unit_times,
        Deed::SkewClock => t.unit_seconds,
        Deed::Delay => t.unit_ms,
        _ => "%",
    }
}
