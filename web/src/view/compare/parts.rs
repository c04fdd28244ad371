//! Small parts that this page is made of: each is one function, so that the page stays small to load.

use yew::prelude::*;

/// An element with a text.
pub fn text(tag: &'static str, class: &'static str, said: &str) -> Html {
    html! { <@{tag} {class}>{ said.to_owned() }</@> }
}

/// A button with a text.
pub fn button(id: &str, said: &str, title: &str, off: bool, onclick: Callback<MouseEvent>) -> Html {
    let title = (!title.is_empty()).then(|| title.to_owned());
    html! { <button type="button" data-testid={id.to_owned()} {title} disabled={off} {onclick}>{ said.to_owned() }</button> }
}

/// A button with a sign.
pub fn sign(
    id: &'static str,
    class: &'static str,
    (name, key): (&str, &str),
    path: &'static str,
    off: bool,
    onclick: Callback<MouseEvent>,
) -> Html {
    let title = format!("{name} ({key})");
    html! { <button type="button" data-testid={id} {class} {title} aria-label={name.to_owned()} disabled={off} {onclick}>
    <svg viewBox="0 0 16 16" width="15" height="15" aria-hidden="true"><path d={path} /></svg></button> }
}

/// What is wrong, or on its way, over a part of the page.
pub fn banner(said: &str, again: Option<(&str, Callback<MouseEvent>)>) -> Html {
    let (class, role, id) = match again {
        Some(_) => ("banner trouble", "alert", "side-trouble"),
        None => ("banner", "status", "side-state"),
    };
    html! { <div {class} {role} data-testid={id}>{ text("span", "", said) }{ for again.map(|(said, onclick)| button("side-again", said, "", false, onclick)) }</div> }
}

/// A row of a table: what, and of both.
pub fn row(id: &str, what: Html, values: [String; 2]) -> Html {
    let class = if values[0] == values[1] { "" } else { "other" };
    html! { <tr {class} data-testid={id.to_owned()}><th scope="row">{ what }</th>{ for values.iter().map(|v| text("td", "", v)) }</tr> }
}

/// The head of a table of both.
pub fn head(what: &str, names: [&str; 2]) -> Html {
    let name = |i: usize| html! { <th scope="col" class={["left", "right"][i]}>{ names[i].to_owned() }</th> };
    html! { <thead><tr><th scope="col">{ text("span", "unseen", what) }</th>{ name(0) }{ name(1) }</tr></thead> }
}
