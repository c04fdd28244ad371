//! The lesson: markdown, built into elements one by one. Raw HTML in it stays text, and links
//! lead nowhere but to the web.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use yew::prelude::*;
use yew::virtual_dom::{VNode, VTag};

/// A text in markdown.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The text.
    pub markdown: AttrValue,
    /// Whether it stands among other things, which scroll with it.
    #[prop_or_default]
    pub plain: bool,
}

/// The text as elements.
#[component]
pub fn Lesson(props: &Props) -> Html {
    if props.plain {
        return html! { <div class="lesson plain">{ render(&props.markdown) }</div> };
    }
    html! { <article class="lesson" tabindex="0">{ render(&props.markdown) }</article> }
}

/// The element of a tag; cells in the `head` of a table are its headings.
fn element(tag: &Tag, head: bool) -> VTag {
    match tag {
        Tag::Paragraph => VTag::new("p"),
        // The page has its own first heading.
        Tag::Heading { level, .. } => VTag::new(match level {
            HeadingLevel::H1 => "h2",
            HeadingLevel::H2 => "h3",
            _ => "h4",
        }),
        Tag::BlockQuote(_) => VTag::new("blockquote"),
        Tag::CodeBlock(_) => VTag::new("pre"),
        Tag::List(Some(_)) => VTag::new("ol"),
        Tag::List(None) => VTag::new("ul"),
        Tag::Item => VTag::new("li"),
        Tag::Emphasis => VTag::new("em"),
        Tag::Strong => VTag::new("strong"),
        Tag::Strikethrough => VTag::new("s"),
        Tag::Table(_) => VTag::new("table"),
        Tag::TableHead | Tag::TableRow => VTag::new("tr"),
        Tag::TableCell => VTag::new(if head { "th" } else { "td" }),
        Tag::Link { dest_url, .. } if safe(dest_url) => {
            let mut link = VTag::new("a");
            link.add_attribute("href", dest_url.to_string());
            link.add_attribute("rel", "noopener noreferrer");
            link.add_attribute("target", "_blank");
            link
        }
        _ => VTag::new("span"),
    }
}

/// Whether a link leads to the web, and not into the page or a script.
fn safe(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// A text in markdown as elements, in one that holds them.
pub fn render(markdown: &str) -> Html {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut stack = vec![VTag::new("div")];
    let push = |stack: &mut Vec<VTag>, node: VNode| {
        if let Some(top) = stack.last_mut() {
            top.add_child(node);
        }
    };
    let leaf = |name: &'static str, text: &str| {
        let mut tag = VTag::new(name);
        tag.add_child(VNode::from(text.to_owned()));
        VNode::from(tag)
    };
    let mut head = false;
    let mut events = Parser::new_ext(markdown, options).peekable();
    // Whether the last character written needs no blank behind it.
    let mut wide = false;
    while let Some(event) = events.next() {
        if let Event::Text(text) | Event::Code(text) = &event {
            wide = text.chars().next_back().is_some_and(is_wide);
        }
        match event {
            Event::Start(tag) => {
                head |= matches!(tag, Tag::TableHead);
                stack.push(element(&tag, head));
            }
            Event::End(end) => {
                head &= !matches!(end, TagEnd::TableHead);
                if stack.len() > 1
                    && let Some(done) = stack.pop()
                {
                    push(&mut stack, done.into());
                }
            }
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                push(&mut stack, VNode::from(text.to_string()));
            }
            Event::Code(text) => push(&mut stack, leaf("code", &text)),
            // Japanese has no blanks between words: a line that ends in it goes on at once.
            Event::SoftBreak
                if wide
                    && matches!(events.peek(), Some(Event::Text(t)) if t.starts_with(is_wide)) => {}
            Event::SoftBreak => push(&mut stack, VNode::from(" ")),
            Event::HardBreak => push(&mut stack, VTag::new("br").into()),
            Event::Rule => push(&mut stack, VTag::new("hr").into()),
            _ => {}
        }
    }
    stack.into_iter().next().map(VNode::from).unwrap_or_default()
}

/// Whether a character is of a script without blanks.
fn is_wide(c: char) -> bool {
    matches!(c, '\u{3000}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ff00}'..='\u{ff60}')
}

#[cfg(test)]
mod tests {
    use super::{is_wide, safe};

    #[test]
    fn japanese_needs_no_blanks_between_words() {
        assert!("あ漢ー、。（".chars().all(is_wide));
        assert!(!"a1 -é`".chars().any(is_wide));
    }

    #[test]
    fn links_lead_to_the_web_only() {
        assert!(safe("https://kubernetes.io/docs"));
        for bad in ["javascript:alert(1)", "data:text/html,x", "//x", "JAVASCRIPT:x", "file:///etc"]
        {
            assert!(!safe(bad), "{bad}");
        }
    }
}
