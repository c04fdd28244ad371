//! The terminal: kubectl's verbs, typed. The server runs them over the world's API; here are the
//! line, what was typed before, and what came back.

use web_sys::{Element, HtmlTextAreaElement};
use yew::prelude::*;

use crate::i18n::{Texts, fill};
use crate::terminal::editor::{History, completed, is_open};
use crate::terminal::screen::{Block, Kind, Screen};
use crate::terminal::socket::{Said, Socket};
use crate::ui::Ui;

/// What a screen reader is told of an output.
const TOLD: usize = 300;

/// Which terminal.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The world.
    pub world: String,
    /// Whether it is seen. It goes on when it is not.
    pub shown: bool,
}

/// What happens to it.
pub enum Msg {
    /// The server says something.
    Said(Said),
    /// A key.
    Key(KeyboardEvent),
    /// Something was typed.
    Typed,
    /// What runs is to end.
    Stop,
    /// Connects again.
    Connect,
    /// Language or colours.
    Ui(Ui),
}

/// The terminal of a world.
pub struct Terminal {
    socket: Option<Socket>,
    ready: bool,
    running: bool,
    screen: Screen,
    history: History,
    /// What the last command wrote, its beginning.
    told: String,
    spoken: String,
    input: NodeRef,
    output: NodeRef,
    ui: Ui,
    _ui: ContextHandle<Ui>,
}

impl Component for Terminal {
    type Message = Msg;
    type Properties = Props;

    fn create(ctx: &Context<Self>) -> Self {
        let (ui, handle) = ctx
            .link()
            .context(ctx.link().callback(Msg::Ui))
            .expect("the whole page is within the choices");
        let mut terminal = Terminal {
            socket: None,
            ready: false,
            running: false,
            screen: Screen::default(),
            history: History::default(),
            told: String::new(),
            spoken: String::new(),
            input: NodeRef::default(),
            output: NodeRef::default(),
            ui,
            _ui: handle,
        };
        let hint = format!("{}\n", terminal.ui.t().terminal_hint);
        terminal.screen.write(Kind::Note, &hint);
        if ctx.props().shown {
            terminal.connect(ctx);
        }
        terminal
    }

    fn changed(&mut self, ctx: &Context<Self>, old: &Props) -> bool {
        if ctx.props().world != old.world {
            self.socket = None;
            (self.ready, self.running) = (false, false);
        }
        if ctx.props().shown && self.socket.is_none() {
            self.connect(ctx);
        }
        true
    }

    fn update(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::Ui(ui) => self.ui = ui,
            Msg::Connect => self.connect(ctx),
            Msg::Stop => self.interrupt(),
            Msg::Typed => self.fit(),
            Msg::Key(event) => self.key(&event),
            Msg::Said(said) => self.said(said),
        }
        true
    }

    fn rendered(&mut self, _: &Context<Self>, _: bool) {
        if let Some(output) = self.output.cast::<Element>() {
            output.set_scroll_top(output.scroll_height());
        }
    }

    fn view(&self, ctx: &Context<Self>) -> Html {
        let t = self.ui.t();
        let link = ctx.link();
        let onkeydown = link.callback(Msg::Key);
        let oninput = link.callback(|_: InputEvent| Msg::Typed);
        let stop = link.callback(|_: MouseEvent| Msg::Stop);
        let connect = link.callback(|_: MouseEvent| Msg::Connect);
        let label = if self.running { t.terminal_reads } else { t.terminal_line };
        html! {
            <section class="terminal" aria-label={t.terminal} hidden={!ctx.props().shown} data-testid="terminal">
                <div class="written" ref={self.output.clone()} role="log" aria-live="off" aria-label={t.terminal_output} tabindex="0" data-testid="terminal-output">
                    { for self.screen.blocks().iter().map(block) }
                </div>
                <div class="typed">
                    <span aria-hidden="true">{ if self.running { "…" } else { "$" } }</span>
                    <textarea id="terminal-line" ref={self.input.clone()} rows="1" aria-label={label} aria-describedby="terminal-keys"
                        autocomplete="off" autocapitalize="off" spellcheck="false" {onkeydown} {oninput} data-testid="terminal-line" />
                    if self.running {
                        <button onclick={stop} data-testid="terminal-stop">{ t.terminal_stop }</button>
                    }
                    if !self.ready && self.socket.is_none() {
                        <button onclick={connect} data-testid="terminal-connect">{ t.terminal_connect }</button>
                    }
                </div>
                <p class="quiet" id="terminal-keys">{ t.terminal_keys }</p>
                <p class="unseen" role="status" data-testid="terminal-status">{ self.spoken.clone() }</p>
            </section>
        }
    }
}

fn block(block: &Block) -> Html {
    let class = match block.kind {
        Kind::Typed => "said",
        Kind::Out => "",
        Kind::Err => "wrong",
        Kind::Note => "quiet",
    };
    html! { <pre key={block.id} {class}>{ block.text.clone() }</pre> }
}

impl Terminal {
    fn t(&self) -> &'static Texts {
        self.ui.t()
    }

    fn connect(&mut self, ctx: &Context<Self>) {
        self.socket = Socket::open(&ctx.props().world, &ctx.link().callback(Msg::Said));
    }

    fn field(&self) -> Option<HtmlTextAreaElement> {
        self.input.cast()
    }

    fn line(&self) -> String {
        self.field().map(|f| f.value()).unwrap_or_default()
    }

    fn set_line(&self, line: &str) {
        if let Some(field) = self.field() {
            field.set_value(line);
        }
        self.fit();
    }

    /// As many rows as there are lines, up to some.
    fn fit(&self) {
        if let Some(field) = self.field() {
            let rows = field.value().matches('\n').count() + 1;
            field.set_rows(u32::try_from(rows.min(8)).unwrap_or(8));
        }
    }

    fn said(&mut self, said: Said) {
        match said {
            Said::Ready => self.ready = true,
            Said::Out(text) => self.wrote(Kind::Out, &text),
            Said::Err(text) => self.wrote(Kind::Err, &text),
            Said::Done(code) => {
                self.running = false;
                if !self.screen.at_line_start() {
                    self.screen.write(Kind::Out, "\n");
                }
                let code = code.to_string();
                let end = if code == "0" {
                    String::new()
                } else {
                    fill(self.t().terminal_code, &[&code])
                };
                self.spoken = format!("{} {end}", std::mem::take(&mut self.told).trim());
            }
            Said::Completions(line, from, proposals) => {
                // What was typed meanwhile is not overwritten.
                if self.line() == line {
                    let (line, left) = completed(&line, from, &proposals);
                    self.set_line(&line);
                    if !left.is_empty() {
                        let all = left.join("  ");
                        self.screen.write(Kind::Note, &format!("{all}\n"));
                        self.spoken = all;
                    }
                }
            }
            Said::Lost => {
                let text = self.t().terminal_lost;
                self.screen.write(Kind::Note, &format!("{text}\n"));
                text.clone_into(&mut self.spoken);
                (self.socket, self.ready, self.running) = (None, false, false);
            }
        }
    }

    fn wrote(&mut self, kind: Kind, text: &str) {
        let left = TOLD.saturating_sub(self.told.chars().count());
        self.told.extend(text.chars().take(left));
        self.screen.write(kind, text);
    }

    fn interrupt(&mut self) {
        if let Some(socket) = self.socket.as_ref().filter(|_| self.running) {
            socket.interrupt();
            self.screen.write(Kind::Note, "^C\n");
        }
    }

    fn key(&mut self, event: &KeyboardEvent) {
        // A key that composes a Japanese word is not for the terminal.
        if event.is_composing() || event.key_code() == 229 {
            return;
        }
        let line = self.line();
        let one = !line.contains('\n');
        let control = event.ctrl_key() && !event.alt_key() && !event.meta_key();
        let selected = self.field().is_some_and(|f| {
            f.selection_start().ok().flatten() != f.selection_end().ok().flatten()
        });
        match event.key().as_str() {
            "c" if control && !selected => {
                if self.running {
                    self.interrupt();
                } else {
                    self.screen.write(Kind::Typed, &format!("$ {line}^C\n"));
                    self.set_line("");
                }
            }
            "l" if control => self.screen.clear(),
            "d" if control && self.running => {
                if let Some(socket) = &self.socket {
                    socket.end();
                }
            }
            "u" if control => self.set_line(""),
            "Enter" if event.shift_key() => return,
            "Enter" => self.enter(&line),
            // An empty line lets the key go on to what stands next on the page.
            "Tab" if !event.shift_key() && !line.trim().is_empty() && !self.running => {
                if let Some(socket) = &self.socket {
                    socket.complete(&line);
                }
            }
            "ArrowUp" if one && !self.running => {
                if let Some(line) = self.history.earlier(&line).map(str::to_owned) {
                    self.set_line(&line);
                }
            }
            "ArrowDown" if one && !self.running => {
                if let Some(line) = self.history.later().map(str::to_owned) {
                    self.set_line(&line);
                }
            }
            _ => return,
        }
        event.prevent_default();
    }

    fn enter(&mut self, line: &str) {
        if self.running {
            if let Some(socket) = &self.socket {
                socket.input(&format!("{line}\n"));
            }
            self.screen.write(Kind::Typed, &format!("{line}\n"));
            return self.set_line("");
        }
        if is_open(line) {
            return self.set_line(&format!("{line}\n"));
        }
        self.history.push(line);
        self.set_line("");
        match line.trim() {
            "clear" => return self.screen.clear(),
            "" => return self.screen.write(Kind::Typed, "$\n"),
            _ => self.screen.write(Kind::Typed, &format!("$ {line}\n")),
        }
        match self.socket.as_ref().filter(|_| self.ready) {
            Some(socket) => {
                socket.run(line);
                self.running = true;
                self.told.clear();
            }
            None => {
                let text = format!("{}\n", self.t().terminal_lost);
                self.screen.write(Kind::Note, &text);
            }
        }
    }
}
