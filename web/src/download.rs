//! Files that leave the page: what the server makes, and what the page makes itself.

use gloo_timers::callback::Timeout;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, BlobPropertyBag, HtmlAnchorElement, Url};

use crate::api::{Failure, refusal, unreachable};
use crate::ui::window;

/// How long the browser may take to begin with a file, in ms.
const LEASE: u32 = 60_000;

/// Fetches a file from the server and saves it; its name is given back.
///
/// # Errors
/// If the server cannot be reached, or says no.
pub async fn fetched(path: &str, else_named: &str) -> Result<String, Failure> {
    let response =
        JsFuture::from(window().fetch_with_str(path)).await.map_err(|e| unreachable(&e))?;
    let response: web_sys::Response = response.dyn_into().map_err(|e| unreachable(&e))?;
    if !response.ok() {
        return Err(refusal(&response).await);
    }
    let told = response.headers().get("content-disposition").ok().flatten();
    let name = told.as_deref().and_then(named).unwrap_or(else_named).to_owned();
    let blob = JsFuture::from(response.blob().map_err(|e| unreachable(&e))?)
        .await
        .map_err(|e| unreachable(&e))?;
    let blob: Blob = blob.dyn_into().map_err(|e| unreachable(&e))?;
    save(&blob, &name).map_err(|e| unreachable(&e))?;
    Ok(name)
}

/// The name in a Content-Disposition header, if it is plain.
fn named(header: &str) -> Option<&str> {
    let name = header.split("filename=\"").nth(1)?.split('"').next()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (!name.is_empty() && name.chars().all(plain)).then_some(name)
}

/// Saves a text as a file.
///
/// # Errors
/// If the browser does not do that.
pub fn text(content: &str, kind: &str, name: &str) -> Result<(), JsValue> {
    let bag = BlobPropertyBag::new();
    bag.set_type(kind);
    let parts = js_sys::Array::of1(&JsValue::from_str(content));
    save(&Blob::new_with_str_sequence_and_options(&parts, &bag)?, name)
}

/// Saves a file as `name`.
///
/// # Errors
/// If the browser does not do that.
pub fn save(blob: &Blob, name: &str) -> Result<(), JsValue> {
    let url = Url::create_object_url_with_blob(blob)?;
    let document = window().document().ok_or(JsValue::NULL)?;
    let link: HtmlAnchorElement = document.create_element("a")?.dyn_into()?;
    link.set_href(&url);
    link.set_download(name);
    link.click();
    // An address that is taken back too early saves nothing; one that stays is a waste only.
    Timeout::new(LEASE, move || drop(Url::revoke_object_url(&url))).forget();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn only_plain_names_are_taken() {
        assert_eq!(named("attachment; filename=\"podlab-w1.html\""), Some("podlab-w1.html"));
        for odd in ["attachment", "attachment; filename=\"\"", "attachment; filename=\"../x\""] {
            assert_eq!(named(odd), None, "{odd}");
        }
    }
}
