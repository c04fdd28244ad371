//! Where two worlds part, and their figures, in words.

use yew::prelude::*;

use super::parts::{head, row, text};
use super::words::Texts;
use crate::i18n::fill;
use crate::model::figures::Figures;
use crate::model::parting::{Deed, Difference, Found};
use crate::model::show;

/// What one side did.
fn side(t: &Texts, name: &str, i: usize, deed: Option<&Deed>, at: u64) -> Html {
    let (what, mut who) = match deed {
        Some(d) => (d.what.as_str(), d.who.clone()),
        None => (t.nothing, String::new()),
    };
    if let Some(d) = deed.filter(|d| d.at != at) {
        who = format!("{who} · {}", show::instant(d.at));
    }
    let class = if deed.is_some() { "what" } else { "quiet" };
    html! { <li class={["left", "right"][i]}>{ text("span", "which", name) }{ text("span", class, what) }{ text("span", "quiet", &who) }</li> }
}

fn difference(
    t: &Texts,
    names: [&str; 2],
    d: &Difference,
    said: &str,
    id: &'static str,
    go: &Callback<u64>,
) -> Html {
    let at = d.at;
    let onclick = go.reform(move |_: MouseEvent| at);
    let name = format!("{} ({})", t.go_there, show::instant(at));
    html! { <div class="parted" data-testid={id}>
    <p>{ text("b", "sign-parted", "≠ ") }{ text("span", "", said) }<button data-testid={format!("go-{id}")} title={t.go_help} aria-label={name} {onclick}>{ t.go_there }</button></p>
    <ul>{ for (0..2).map(|i| side(t, names[i], i, d.sides[i].as_ref(), at)) }</ul>
    if d.late { { text("p", "quiet", t.late) } }</div> }
}

/// Where they part, with a button that goes there.
pub fn parting(t: &Texts, names: [&str; 2], found: &Found, known: u64, go: &Callback<u64>) -> Html {
    let mut out = Vec::new();
    if found.since > 0 {
        out.push(text("p", "quiet", &fill(t.since, &[&show::instant(found.since)])));
    }
    match &found.first {
        None if known == 0 => out.push(text("p", "", t.same_yet)),
        None => out.push(text("p", "same", &fill(t.same, &[&show::instant(found.same)]))),
        Some(first) => {
            let said = match (first.at, found.since) {
                (0, 0) => t.parted_at_once.to_owned(),
                _ => fill(t.parted, &[&show::instant(first.at)]),
            };
            out.push(difference(t, names, first, &said, "parted", go));
            match &found.deed {
                Some(deed) if deed.at == first.at => {}
                Some(deed) => {
                    let said = fill(t.deed, &[&show::instant(deed.at)]);
                    out.push(difference(t, names, deed, &said, "deed", go));
                }
                None => out.push(text("p", "quiet", &fill(t.no_deed, &[&show::instant(known)]))),
            }
        }
    }
    html! { <section class="findings" tabindex="0" aria-label={t.title} data-testid="findings" data-parted={found.first.is_some().to_string()}>{ for out }</section> }
}

/// The figures side by side.
pub fn figures(t: &Texts, names: [&str; 2], at: u64, both: [&Figures; 2]) -> Html {
    let time = |ns: Option<u64>| ns.map_or("–".to_owned(), show::duration);
    let all = both.map(|f| {
        [
            f.requests.to_string(),
            f.errors.to_string(),
            time(f.p50),
            time(f.p95),
            f.waiting.to_string(),
            show::size(f.bytes),
            f.lines.to_string(),
            f.running.to_string(),
            f.restarts.to_string(),
        ]
    });
    let what = [
        ("requests", t.requests),
        ("errors", t.errors),
        ("p50", t.p50),
        ("p95", t.p95),
        ("waiting", t.waiting),
        ("bytes", t.bytes),
        ("lines", t.lines),
        ("programs", t.programs),
        ("restarts", t.restarts),
    ];
    let rows = what.iter().enumerate().map(|(i, (id, what))| {
        let values = [0, 1].map(|side: usize| all[side][i].clone());
        let differs =
            if values[0] == values[1] { String::new() } else { format!(" ({})", t.differs) };
        let what = html! { <>{ *what }{ text("span", "unseen", &differs) }</> };
        row(&format!("figure-{id}"), what, values)
    });
    let since = both[0].since.max(both[1].since);
    let since =
        (since > 0).then(|| text("p", "quiet", &fill(t.figures_since, &[&show::instant(since)])));
    html! {
        <section class="figures"><table data-testid="figures">{ text("caption", "", &fill(t.figures, &[&show::instant(at)])) }{ head(t.what, names) }<tbody>{ for rows }</tbody></table>{ for since }</section>
    }
}
