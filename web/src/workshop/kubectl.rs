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

/// Where a world is, and the certificate to trust there (base64), if it is of no known authority.
#[derive(Clone, PartialEq)]
struct Server {
    url: String,
    trust: Option<String>,
}

impl Server {
    fn speaks_tls(&self) -> bool {
        self.url.starts_with("https:")
    }

    /// A kubeconfig with one context (`k8s.io/client-go/tools/clientcmd/api/v1`). What stands in it
    /// is an origin, an id and base64: nothing that YAML would read differently.
    fn config(&self, world: &str) -> String {
        let (name, url) = (format!("podlab-{world}"), &self.url);
        let plain = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
        let trust = self.trust.as_ref().filter(|t| t.chars().all(plain));
        let trust = trust.map(|t| format!("    certificate-authority-data: {t}\n"));
        let trust = trust.unwrap_or_default();
        // Over TLS kubectl asks for a user's name if it has nothing to show.
        let user = if self.speaks_tls() { "{token: podlab}" } else { "{}" };
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: {name}\n  cluster:\n    server: \"{url}\"\n{trust}users:\n- name: {name}\n  user: {user}\ncontexts:\n- name: {name}\n  context:\n    cluster: {name}\n    namespace: default\n    user: {name}\ncurrent-context: {name}\npreferences: {{}}\n"
        )
    }
}

/// The button, and what it opens.
#[component]
pub fn Kubectl(props: &Props) -> Html {
    let ui = use_ui();
    let t = words::of(ui.choices.lang);
    let server = use_state(|| None::<Result<Server, String>>);
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
                        let path = told["path"].as_str().unwrap_or_default();
                        let trust = told["certificate"].as_str().map(str::to_owned);
                        Ok(Server { url: format!("{origin}{path}"), trust })
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
            // With a certificate to trust, and something to show, only a file says it all.
            let by_file = format!("kubectl --kubeconfig {file} get pods");
            let line = if at.speaks_tls() {
                by_file.clone()
            } else {
                format!("kubectl --server={} get pods", at.url)
            };
            let save = {
                let (text, file) = (at.config(&props.world), file.clone());
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
                <p>{ if at.speaks_tls() { t.kubectl_help_file } else { t.kubectl_help } }</p>
                <pre tabindex="0" aria-label={t.kubectl_line} data-testid="kubectl-line">{ line }</pre>
                <p class="actions"><button data-testid="kubectl-copy" onclick={copy}>{ if *copied { t.kubectl_copied } else { t.kubectl_copy } }</button>
                    <button data-testid="kubectl-file" onclick={save}>{ fill(t.kubectl_file, &[&file]) }</button>
                    if !at.speaks_tls() { <span class="quiet">{ by_file }</span> }</p>
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
    use super::Server;

    #[test]
    fn a_kubeconfig_names_the_server_once() {
        let at = |scheme: &str| format!("{scheme}://192.168.0.2:7878/api/worlds/w1/as/x-_9/kube");
        let plain = Server { url: at("http"), trust: None }.config("w1");
        assert_eq!(
            (plain.matches("192.168.0.2").count(), plain.matches("podlab-w1").count()),
            (1, 6)
        );
        assert!(plain.starts_with("apiVersion: v1\nkind: Config\n") && plain.contains("user: {}"));
        let tls = Server { url: at("https"), trust: Some("QUJD".into()) }.config("w1");
        assert!(
            tls.contains("    certificate-authority-data: QUJD\nusers:") && tls.contains("token")
        );
        let odd = Server { url: at("https"), trust: Some("a\nb".into()) }.config("w1");
        assert!(!odd.contains("authority"));
    }
}
