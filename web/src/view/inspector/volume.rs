//! A volume, closely: its files, and what they hold as far as the trace tells.

use podlab_trace::event::{Kind, Seq};
use podlab_trace::state::State;
use yew::prelude::*;

use super::thing::pod_of;
use super::{Selection, jump};
use crate::i18n::{Texts, fill};
use crate::model::pod::Pod;
use crate::model::rows::name;
use crate::model::show;
use crate::session::Session;
use crate::view::payload::Payload;
use crate::view::pod::{inside, volume_files};

pub(super) fn volume_view(
    t: &Texts,
    s: &Session,
    state: &State,
    owner: &str,
    volume: &str,
    select: &Callback<Selection>,
) -> (Html, Html) {
    let pod = pod_of(state, owner);
    let files = volume_files(state, &pod, owner, volume);
    let kind =
        pod.volumes.iter().find(|(n, _)| n == volume).map(|(_, k)| k.clone()).unwrap_or_default();
    let items = files.iter().map(|(path, at)| {
        let found = contents(s, state, &pod, owner, volume, path);
        let (len, by) = state
            .files
            .iter()
            .filter(|((o, v, p), _)| o == owner && v == volume && inside(&pod, volume, p) == *path)
            .map(|(_, f)| (f.len, f.by))
            .max_by_key(|(len, _)| *len)
            .unwrap_or_default();
        let seq = found.as_ref().map(|(seq, _)| *seq);
        html! { <details open={files.len() == 1} key={path.clone()}><summary><code>{ path.clone() }</code><span class="quiet">{ show::size(len) }</span></summary>
            <p class="quiet">{ fill(t.written_by, &[&name(state, by), &show::instant(*at)]) }
                if let Some(seq) = seq { { " " }{ jump(select, seq, fill(t.event, &[&seq.to_string()])) } }</p>
            { match found {
                Some((_, bytes)) => html! { <><p class="quiet">{ t.contents }</p><Payload {bytes} whole={len} of={path.clone()} /></> },
                None => html! { <p class="quiet">{ t.no_contents }</p> },
            } }
        </details> }
    });
    let body = html! { <><p class="quiet">{ format!("{kind} · {owner}") }</p>
    if files.is_empty() { <p class="quiet">{ t.empty_volume }</p> }
    { for items }</> };
    (html! { <>{ t.volume }{ " " }{ volume.to_owned() }</> }, body)
}

/// What a file holds, as far as the trace tells: bytes written and read, laid over each other up
/// to the instant shown; and the last event that touched them.
fn contents(
    s: &Session,
    state: &State,
    pod: &Pod,
    owner: &str,
    volume: &str,
    path: &str,
) -> Option<(Seq, bytes::Bytes)> {
    const MOST: usize = 16 << 10;
    use podlab_trace::FileOp;
    let mut held: std::collections::BTreeMap<String, (Seq, Vec<u8>)> =
        std::collections::BTreeMap::new();
    let timeline = s.around();
    for e in timeline.range(timeline.first(), s.edge()) {
        let Kind::File { op, path: at, volume: of, to, offset, payload, error, len } = &e.kind
        else {
            continue;
        };
        let here = state
            .places
            .get(&e.place)
            .is_some_and(|p| format!("{}/{}", p.namespace, p.pod) == owner);
        if of != volume || !error.is_empty() || !here {
            continue;
        }
        let at = inside(pod, volume, at);
        match op {
            FileOp::Create => {
                held.insert(at, (e.seq, Vec::new()));
            }
            FileOp::Rename => {
                if let Some((_, bytes)) = held.remove(&at) {
                    held.insert(inside(pod, volume, to), (e.seq, bytes));
                }
            }
            FileOp::Remove => {
                held.remove(&at);
            }
            FileOp::Truncate => {
                if let Some((_, bytes)) = held.get_mut(&at) {
                    bytes.truncate((offset + len) as usize);
                }
            }
            FileOp::Read | FileOp::Write => {
                let Ok(offset) = usize::try_from(*offset) else { continue };
                let entry = held.entry(at).or_default();
                // A hole means that what lies before is not known.
                if offset <= entry.1.len() && offset < MOST {
                    let end = (offset + payload.len()).max(entry.1.len());
                    entry.1.resize(end, 0);
                    entry.1[offset..offset + payload.len()].copy_from_slice(payload);
                    entry.1.truncate(MOST);
                    entry.0 = e.seq;
                }
            }
            _ => {}
        }
    }
    held.remove(path).filter(|(_, b)| !b.is_empty()).map(|(seq, b)| (seq, b.into()))
}
