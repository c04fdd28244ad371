//! The files of the page.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use podlab_export::page::Parts;

/// The files of the page, by path without a leading slash.
#[derive(Default)]
pub struct Assets {
    files: BTreeMap<String, Asset>,
}

struct Asset {
    plain: Cow<'static, [u8]>,
    /// The same, compressed: coding and bytes, the smallest first.
    packed: Vec<(&'static str, Cow<'static, [u8]>)>,
    /// Its digest, quoted.
    tag: String,
    kind: &'static str,
}

/// The ending of a compressed file's name, and the coding's name in HTTP; the better one first.
const CODINGS: [(&str, &str); 2] = [(".br", "br"), (".gz", "gzip")];

impl Assets {
    /// The page's files. `NAME.br` and `NAME.gz`, where they are, are NAME compressed. In `index.html`,
    /// references to the other files get their digest as `?v=`, so that browsers may keep them
    /// for ever.
    pub fn new(files: impl IntoIterator<Item = (String, Cow<'static, [u8]>)>) -> Assets {
        let mut all: BTreeMap<String, Cow<'static, [u8]>> = files.into_iter().collect();
        let is_packed = |name: &String| CODINGS.iter().any(|(ending, _)| name.ends_with(ending));
        let names: Vec<String> = all.keys().filter(|n| is_packed(n)).cloned().collect();
        let mut packed: BTreeMap<String, Cow<'static, [u8]>> =
            names.into_iter().filter_map(|n| all.remove(&n).map(|b| (n, b))).collect();
        let mut files: BTreeMap<String, Asset> = BTreeMap::new();
        for (name, plain) in all {
            let packed = CODINGS
                .iter()
                .filter_map(|(ending, coding)| {
                    Some((*coding, packed.remove(&format!("{name}{ending}"))?))
                })
                .collect();
            let asset = Asset { tag: tag(&plain), kind: kind(&name), plain, packed };
            files.insert(name, asset);
        }
        if let Some(index) = files.remove("index.html") {
            let mut text = String::from_utf8_lossy(&index.plain).into_owned();
            for (name, asset) in &files {
                let versioned = format!("\"/{name}?v={}\"", asset.tag.trim_matches('"'));
                for written in
                    [format!("\"{name}\""), format!("\"./{name}\""), format!("\"/{name}\"")]
                {
                    text = text.replace(&written, &versioned);
                }
            }
            let plain = text.into_bytes();
            let tag = tag(&plain);
            files.insert(
                "index.html".into(),
                Asset { plain: plain.into(), packed: Vec::new(), tag, kind: index.kind },
            );
        }
        Assets { files }
    }

    /// Whether there is a page at all.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// What a page in one file is made of; `None` if that is not all there.
    pub fn parts(&self) -> Option<Parts<'_>> {
        let text = |name: &str| std::str::from_utf8(&self.files.get(name)?.plain).ok();
        let program = &self.files.get("podlab_bg.wasm")?.packed;
        Some(Parts {
            program: &program.iter().find(|(coding, _)| *coding == "gzip")?.1,
            script: text("podlab.js")?,
            style: text("style.css")?,
            icon: text("icon.svg")?,
        })
    }

    /// Answers a request for `path`; `None` if there is no such file.
    pub fn serve(
        &self,
        method: &Method,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Option<Response> {
        let name = path.trim_start_matches('/');
        let asset = self.files.get(if name.is_empty() { "index.html" } else { name })?;
        let text =
            |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok()).unwrap_or("");
        let versioned = query.is_some_and(|q| {
            q.split('&')
                .any(|p| p.strip_prefix("v=").is_some_and(|v| v == asset.tag.trim_matches('"')))
        });
        let caching = if versioned { "public, max-age=31536000, immutable" } else { "no-cache" };
        let mut out = Response::builder()
            .header(header::ETAG, &asset.tag)
            .header(header::VARY, "accept-encoding")
            .header(header::CACHE_CONTROL, caching);
        let matches =
            |etag: &str| etag.trim() == "*" || etag.trim().trim_start_matches("W/") == asset.tag;
        if text(header::IF_NONE_MATCH).split(',').any(matches) {
            return out.status(StatusCode::NOT_MODIFIED).body(Body::empty()).ok();
        }
        out = out.header(header::CONTENT_TYPE, asset.kind);
        let taken = text(header::ACCEPT_ENCODING);
        let body = match asset.packed.iter().find(|(coding, _)| accepts(taken, coding)) {
            Some((coding, packed)) => {
                out = out.header(header::CONTENT_ENCODING, *coding);
                packed
            }
            None => &asset.plain,
        };
        out = out.header(header::CONTENT_LENGTH, body.len());
        let body = match body {
            _ if method == Method::HEAD => Body::empty(),
            Cow::Borrowed(bytes) => Body::from(*bytes),
            Cow::Owned(bytes) => Body::from(bytes.clone()),
        };
        Some(out.body(body).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response()))
    }
}

/// Whether an Accept-Encoding header takes `coding` (RFC 9110, 12.5.3).
fn accepts(header: &str, coding: &str) -> bool {
    header.split(',').any(|part| {
        let mut words = part.split(';').map(str::trim);
        let named = words.next().is_some_and(|n| n.eq_ignore_ascii_case(coding));
        named && !words.any(|w| w.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)))
    })
}

fn tag(bytes: &[u8]) -> String {
    format!("\"{}\"", &blake3::hash(bytes).to_hex().as_str()[..16])
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "wasm" => "application/wasm",
        "json" | "webmanifest" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Assets {
        let file = |n: &str, b: &'static str| (n.to_owned(), Cow::Borrowed(b.as_bytes()));
        Assets::new([
            file("index.html", "<script type=\"module\" src=\"./boot.js\"></script>"),
            file("boot.js", "let x = 1;"),
            file("boot.js.br", "packed"),
            file("boot.js.gz", "zipped"),
        ])
    }

    fn get(
        assets: &Assets,
        path: &str,
        query: Option<&str>,
        headers: &[(&'static str, &str)],
    ) -> Option<Response> {
        let headers = headers
            .iter()
            .map(|(n, v)| (header::HeaderName::from_static(n), HeaderValue::from_str(v).unwrap()))
            .collect();
        assets.serve(&Method::GET, path, query, &headers)
    }

    #[test]
    fn files_are_served_packed_and_versioned() {
        let page = page();
        let index = &page.files["index.html"].plain;
        let version = page.files["boot.js"].tag.trim_matches('"').to_owned();
        assert!(String::from_utf8_lossy(index).contains(&format!("\"/boot.js?v={version}\"")));
        let plain = get(&page, "/boot.js", None, &[]).unwrap();
        assert_eq!(plain.headers()[header::CACHE_CONTROL], "no-cache");
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
        let query = format!("v={version}");
        let packed =
            get(&page, "/boot.js", Some(&query), &[("accept-encoding", "gzip, br;q=0.9")]).unwrap();
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], "br");
        assert!(packed.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        let refused = get(&page, "/boot.js", None, &[("accept-encoding", "br;q=0")]).unwrap();
        assert!(!refused.headers().contains_key(header::CONTENT_ENCODING));
        // Over plain http from another machine, browsers take no brotli.
        let zipped = get(&page, "/boot.js", None, &[("accept-encoding", "gzip, deflate")]).unwrap();
        assert_eq!(zipped.headers()[header::CONTENT_ENCODING], "gzip");
        assert_eq!(zipped.headers()[header::CONTENT_LENGTH], "6");
        let etag = format!("\"{version}\"");
        let same = get(&page, "/boot.js", None, &[("if-none-match", &etag)]).unwrap();
        assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
        assert!(get(&page, "/boot.js.br", None, &[]).is_none());
        assert!(get(&page, "/boot.js.gz", None, &[]).is_none());
        assert!(get(&page, "/../etc/passwd", None, &[]).is_none());
    }
}
