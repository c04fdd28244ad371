//! The menu of a thing in the picture: its deeds where the pointer is.

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, MouseEventInit};
use yew::prelude::*;

use crate::ui::window;

/// What has a menu: the things of the picture, and events wherever they are listed.
const THINGS: &str = ".view [role=button], .lanes .arrow, .strip button, button.row";

/// Selects the thing under a pointer or focus that asks for its menu, and says where the menu goes.
/// `None` where there is no thing: the browser's own menu opens then.
pub fn wanted(e: &MouseEvent) -> Option<(i32, i32)> {
    let target: Element = e.target()?.dyn_into().ok()?;
    let thing = target.closest(THINGS).ok().flatten()?;
    e.prevent_default();
    let init = MouseEventInit::new();
    init.set_bubbles(true);
    let click = web_sys::MouseEvent::new_with_mouse_event_init_dict("click", &init).ok()?;
    // What takes no click is not selected, and its menu stays empty.
    let _ = thing.dispatch_event(&click);
    let r = thing.get_bounding_client_rect();
    // A keyboard has no place: the menu opens at the thing.
    let inside = |v: i32, from: f64, size: f64| {
        let v = f64::from(v);
        if v >= from && v <= from + size { v } else { from + size / 2.0 }
    };
    let x = inside(e.client_x(), r.x(), r.width());
    let y = inside(e.client_y(), r.y(), r.height());
    Some((x as i32, y as i32))
}

/// Where, and what is in it.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The corner, in CSS pixels.
    pub at: (i32, i32),
    /// Closes it.
    pub close: Callback<()>,
    /// What is in it.
    pub children: Html,
}

/// The menu.
#[component]
pub fn Menu(props: &Props) -> Html {
    let body = use_node_ref();
    {
        let body = body.clone();
        use_effect_with(props.at, move |(x, y)| {
            let Some(body) = body.cast::<HtmlElement>() else { return };
            let size = |v: Result<wasm_bindgen::JsValue, _>| {
                v.ok().and_then(|v| v.as_f64()).unwrap_or(0.0) as i32
            };
            let (w, h) = (size(window().inner_width()), size(window().inner_height()));
            let left = (*x).min(w - body.offset_width() - 8).max(8);
            // It grows when what it offers has come; then it scrolls.
            let top = (*y).min(h - body.offset_height().max(520) - 8).max(8);
            let style = body.style();
            // A length in pixels is a valid value.
            let _ = style.set_property("left", &format!("{left}px"));
            let _ = style.set_property("top", &format!("{top}px"));
            let _ = style.set_property("max-height", &format!("{}px", h - top - 8));
            if let Ok(Some(first)) = body.query_selector(".deeds button")
                && let Ok(first) = first.dyn_into::<HtmlElement>()
            {
                let _ = first.focus();
            }
        });
    }
    let close = props.close.reform(|_: MouseEvent| ());
    html! { <>
        <div class="menu-ground" onclick={close.clone()} oncontextmenu={close} />
        <div class="menu" ref={body} data-testid="menu">{ props.children.clone() }</div>
    </> }
}
