//! How a learner reaches their world with a kubectl of their own: a file, and the command to type.

use gloo_timers::callback::Timeout;
use serde_json::json;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use yew::prelude::*;

use super::words;
use crate::api;
use crate::download;
use crate::i18n::fill;
use crate::ui::{clipboard, use_ui, window};
use crate::view::app::focus;

/// Which world.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The world's id.
    pub world: String,
}

/// A kubeconfig with one context (`k8s.io/client-go/tools/clientcmd/api/v1`). What stands in it is
/// an origin, an id and base64url: nothing that YAML would read differently.
fn config(server: &str, world: &str) -> String {
    let name = format!("podlab-{world}");
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: {name}\n  cluster:\n    server: \"{server}\"\nusers:\n- name: {name}\n  user: {{}}\ncontexts:\n- name: {name}\n  context:\n    cluster: {name}\n    namespace: default\n    user: {name}\ncurrent-context: {name}\npreferences: {{}}\n"
    )
}

/// The button, and what it opens.
#[component]
pub fn Kubectl(props: &Props) -> Html {
    let ui = use_ui();
    let t = words::of(ui.choices.lang);
    let server = use_state(|| None::<Result<String, String>>);
    let copied = use_state(|| false);
    let toggle = {
        let (server, copied, world) = (server.clone(), copied.clone(), props.world.clone());
        Callback::from(move |_: MouseEvent| {
            copied.set(false);
            if server.is_some() {
                server.set(None);
                return;
            }
            let (server, world) = (server.clone(), world.clone());
            spawn_local(async move {
                let body = Some(json!({ "world": world }));
                let told = match api::call("POST", "/api/workshop/kubeconfig", body).await {
                    Ok(told) => {
                        let origin = window().location().origin().unwrap_or_default();
                        Ok(format!("{origin}{}", told["path"].as_str().unwrap_or_default()))
                    }
                    Err(e) => Err(e.to_string()),
                };
                server.set(Some(told));
                Timeout::new(0, || focus("kubectl-help")).forget();
            });
        })
    };
    let open = server.is_some();
    let file = format!("podlab-{}.yaml", props.world);
    let what = match &*server {
        None => Html::default(),
        Some(Err(e)) => {
            html! { <p class="wideline trouble" role="alert">{ fill(t.failed, &[e]) }</p> }
        }
        Some(Ok(at)) => {
            let line = format!("kubectl --server={at} get pods");
            let save = {
                let (text, file) = (config(at, &props.world), file.clone());
                move |_: MouseEvent| {
                    // A browser that saves nothing says so itself.
                    let _ = download::text(&text, "application/yaml", &file);
                }
            };
            let copy = {
                let (line, copied) = (line.clone(), copied.clone());
                move |_: MouseEvent| {
                    let (promise, copied) = (clipboard(&line), copied.clone());
                    spawn_local(async move {
                        if let Some(promise) = promise {
                            copied.set(JsFuture::from(promise).await.is_ok());
                        }
                    });
                }
            };
            html! { <div class="wideline kubectl" id="kubectl-help" tabindex="-1" data-testid="kubectl-help">
                <p>{ t.kubectl_help }</p>
                <pre tabindex="0" aria-label={t.kubectl_line} data-testid="kubectl-line">{ line }</pre>
                <p class="actions"><button data-testid="kubectl-copy" onclick={copy}>{ if *copied { t.kubectl_copied } else { t.kubectl_copy } }</button>
                    <button data-testid="kubectl-file" onclick={save}>{ fill(t.kubectl_file, &[&file]) }</button>
                    <span class="quiet">{ format!("kubectl --kubeconfig {file} get pods") }</span></p>
                <p class="quiet">{ t.kubectl_secret }</p>
            </div> }
        }
    };
    html! { <>
        <button data-testid="kubectl" aria-expanded={open.to_string()} title={t.kubectl_title} onclick={toggle}>{ "kubectl" }</button>
        { what }
    </> }
}

#[cfg(test)]
mod tests {
    use super::config;

    #[test]
    fn a_kubeconfig_names_the_server_once() {
        let text = config("http://192.168.0.2:7878/api/worlds/w1/as/x-_9/kube", "w1");
        assert_eq!(text.matches("192.168.0.2").count(), 1);
        assert_eq!(text.matches("podlab-w1").count(), 6);
        assert!(text.starts_with("apiVersion: v1\nkind: Config\n") && text.contains("user: {}"));
    }
}
