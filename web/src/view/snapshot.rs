//! The view as a picture that stands alone: every style is written into it.

use js_sys::{Function, Promise};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, CanvasRenderingContext2d, Element, HtmlCanvasElement, HtmlImageElement, Node,
    XmlSerializer,
};

use crate::ui::window;

/// What of an element's style a picture needs.
const STYLES: [&str; 19] = [
    "fill",
    "fill-opacity",
    "stroke",
    "stroke-width",
    "stroke-dasharray",
    "stroke-linecap",
    "stroke-linejoin",
    "stroke-opacity",
    "opacity",
    "display",
    "visibility",
    "font-family",
    "font-size",
    "font-weight",
    "font-style",
    "letter-spacing",
    "paint-order",
    "text-anchor",
    "dominant-baseline",
];
/// What is of use in a page only.
const OF_PAGE: [&str; 11] = [
    "class",
    "role",
    "tabindex",
    "aria-valuenow",
    "aria-valuemin",
    "aria-valuemax",
    "aria-valuetext",
    "data-testid",
    "aria-describedby",
    "style",
    "data-arrows",
];
/// How many pixels of the PNG stand for one of the page.
const SHARP: f64 = 2.0;

/// A picture: SVG text, and its size in CSS pixels.
pub struct Picture {
    /// The text of the file.
    pub svg: String,
    size: (f64, f64),
}

fn missing() -> JsValue {
    js_sys::Error::new("there is no picture on this page").into()
}

fn find(selector: &str) -> Option<Element> {
    let found = window().document()?.query_selector(selector).ok().flatten()?;
    let style = window().get_computed_style(&found).ok().flatten()?;
    let seen = style.get_property_value("visibility").is_ok_and(|v| v != "hidden");
    (seen && found.get_bounding_client_rect().width() > 0.0).then_some(found)
}

/// The picture that is seen: where everything is, with the marks upon it; else the order of events.
///
/// # Errors
/// If there is none, or the browser cannot copy it.
pub fn take(title: &str) -> Result<Picture, JsValue> {
    let scene = find(".paper svg.scene");
    let marks = find(".paper canvas").and_then(|c| c.dyn_into::<HtmlCanvasElement>().ok());
    let from = scene
        .clone()
        .or_else(|| find(".lanes svg"))
        .or_else(|| find(".charts svg"))
        .ok_or_else(missing)?;
    let rect = from.get_bounding_client_rect();
    let size = (rect.width(), rect.height());
    let copy: Element = from.clone_node_with_deep(true)?.dyn_into()?;
    dress(&from, &copy)?;
    let view = copy.get_attribute("viewBox").unwrap_or(format!("0 0 {} {}", size.0, size.1));
    copy.set_attribute("viewBox", &view)?;
    copy.set_attribute("width", &format!("{:.0}", size.0))?;
    copy.set_attribute("height", &format!("{:.0}", size.1))?;
    copy.set_attribute("role", "img")?;
    let document = window().document().ok_or_else(missing)?;
    let new = |name: &str| document.create_element_ns(Some("http://www.w3.org/2000/svg"), name);
    let mut numbers = view.split_whitespace().map(str::to_owned);
    let mut next = || numbers.next().unwrap_or_default();
    let place = [("x", next()), ("y", next()), ("width", next()), ("height", next())];
    let ground = new("rect")?;
    for (name, value) in &place {
        ground.set_attribute(name, value)?;
    }
    let style = document.document_element().and_then(|e| window().get_computed_style(&e).ok());
    let paper = style.flatten().and_then(|s| s.get_property_value("--paper").ok());
    ground.set_attribute("fill", paper.as_deref().map_or("#ffffff", str::trim))?;
    let first: Option<Node> = copy.first_child();
    copy.insert_before(&ground, first.as_ref())?;
    let name = new("title")?;
    name.set_text_content(Some(title));
    copy.insert_before(&name, Some(ground.as_ref()))?;
    if let (Some(canvas), true) = (marks, scene.is_some()) {
        let image = new("image")?;
        for (name, value) in &place {
            image.set_attribute(name, value)?;
        }
        image.set_attribute("href", &canvas.to_data_url()?)?;
        copy.append_child(&image)?;
    }
    Ok(Picture { svg: XmlSerializer::new()?.serialize_to_string(&copy)?, size })
}

/// Writes the styles of one tree into its copy.
fn dress(from: &Element, copy: &Element) -> Result<(), JsValue> {
    let (whole, copies) = (from.query_selector_all("*")?, copy.query_selector_all("*")?);
    let pairs = (0..whole.length()).filter_map(|i| Some((whole.item(i)?, copies.item(i)?)));
    for (from, copy) in pairs.chain([(Node::from(from.clone()), Node::from(copy.clone()))]) {
        let (Ok(from), Ok(copy)) = (from.dyn_into::<Element>(), copy.dyn_into::<Element>()) else {
            continue;
        };
        let Some(style) = window().get_computed_style(&from)? else { continue };
        for name in OF_PAGE {
            copy.remove_attribute(name)?;
        }
        for name in STYLES {
            let value = style.get_property_value(name)?;
            if !value.is_empty() {
                copy.set_attribute(name, &value)?;
            }
        }
    }
    Ok(())
}

impl Picture {
    /// The picture as PNG.
    ///
    /// # Errors
    /// If the browser cannot draw it.
    pub async fn png(&self) -> Result<Blob, JsValue> {
        let image = HtmlImageElement::new()?;
        let coded = js_sys::encode_uri_component(&self.svg);
        image.set_src(&format!("data:image/svg+xml;charset=utf-8,{coded}"));
        JsFuture::from(image.decode()).await?;
        let document = window().document().ok_or_else(missing)?;
        let canvas: HtmlCanvasElement = document.create_element("canvas")?.dyn_into()?;
        let (w, h) = (self.size.0 * SHARP, self.size.1 * SHARP);
        canvas.set_width(w as u32);
        canvas.set_height(h as u32);
        let pen: CanvasRenderingContext2d =
            canvas.get_context("2d")?.ok_or_else(missing)?.dyn_into()?;
        pen.draw_image_with_html_image_element_and_dw_and_dh(&image, 0.0, 0.0, w, h)?;
        let drawn = Promise::new(&mut |done, _| {
            let done: Function = done.unchecked_into();
            let taken = Closure::once_into_js(move |blob: JsValue| {
                // A promise takes any value.
                let _ = done.call1(&JsValue::NULL, &blob);
            });
            // Where that fails, the promise stays without a blob, which is told below.
            let _ = canvas.to_blob(taken.unchecked_ref());
        });
        JsFuture::from(drawn).await?.dyn_into::<Blob>().map_err(|_| missing())
    }
}
