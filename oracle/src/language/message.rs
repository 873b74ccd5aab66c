//! What is wrong with a file, and where: one [`Message`] for each mistake, shown as compilers show them.

use std::error::Error;
use std::fmt;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::ast::Span;

/// So many messages of a file are shown; a file that has more has one mistake, many times.
const MOST_SHOWN: usize = 20;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What is wrong, in one sentence.
    pub title: String,
    /// Where.
    pub span: Span,
    /// What was expected there, or what it is; may be empty.
    pub label: String,
    /// Another place that has to do with it, and what it is.
    pub other: Option<(Span, String)>,
    /// What to do about it.
    pub help: Option<String>,
    /// It is about a name that is not there: nothing new where the line that gives names was wrong itself.
    pub(super) is_about_a_name: bool,
}

/// What reading gives: a message is large and rare, so it is boxed.
pub(super) type Parse<T> = Result<T, Box<Message>>;

impl Message {
    /// A mistake and where it is.
    pub fn new(title: impl Into<String>, span: Span) -> Message {
        Message {
            title: title.into(),
            span,
            label: String::new(),
            other: None,
            help: None,
            is_about_a_name: false,
        }
    }

    /// Says under the caret what was expected.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Message {
        self.label = label.into();
        self
    }

    /// Points at another place.
    #[must_use]
    pub fn other(mut self, span: Span, label: impl Into<String>) -> Message {
        self.other = Some((span, label.into()));
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Message {
        self.help = Some(help.into());
        self
    }

    /// "did you mean ...?", where there is something near.
    #[must_use]
    pub(super) fn did_you_mean(self, nearest: Option<&str>) -> Message {
        match nearest {
            Some(word) => self.help(format!("did you mean `{word}`?")),
            None => self,
        }
    }

    /// It may only follow from another mistake.
    #[must_use]
    pub(super) fn about_a_name(mut self) -> Message {
        self.is_about_a_name = true;
        self
    }

    /// As the reader returns it.
    pub(super) fn fail<T>(self) -> Parse<T> {
        Err(Box::new(self))
    }

    fn render(&self, name: &str, text: &str, renderer: &Renderer) -> String {
        let mut snippet = Snippet::source(text).path(name).annotation(
            AnnotationKind::Primary
                .span(inside(text, self.span))
                .label((!self.label.is_empty()).then_some(&*self.label)),
        );
        if let Some((span, label)) = &self.other {
            snippet = snippet.annotation(AnnotationKind::Context.span(inside(text, *span)).label(&**label));
        }
        let mut group = Level::ERROR.primary_title(&*self.title).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(&**help));
        }
        renderer.render(&[group])
    }
}

/// The span as the renderer wants it: inside the text, on the borders of characters.
fn inside(text: &str, span: Span) -> std::ops::Range<usize> {
    let border = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = border(span.start);
    start..border(span.end).max(start)
}

/// All that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Messages {
    /// What the file is called.
    pub name: String,
    /// Its text.
    pub text: String,
    /// In the order of the file. Never empty.
    pub list: Vec<Message>,
}

impl Messages {
    /// As compilers show them, in colour or not.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut shown: Vec<String> = self
            .list
            .iter()
            .take(MOST_SHOWN)
            .map(|message| message.render(&self.name, &self.text, &renderer))
            .collect();
        if self.list.len() > MOST_SHOWN {
            shown.push(format!("and {} more in {}", self.list.len() - MOST_SHOWN, self.name));
        }
        shown.join("\n\n")
    }
}

impl fmt::Display for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Error for Messages {}
