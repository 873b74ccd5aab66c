//! Colour, or none: what a word is for, turned into terminal styles where there are any.

use anstyle::{AnsiColor, Style};

/// Whether to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

/// What a piece of text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Just text.
    Plain,
    /// What one reads last.
    Dim,
    /// What one reads first.
    Strong,
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Begins something.
    New,
    /// Neither good nor bad: skipped, not supported.
    Odd,
}

impl Paint {
    /// No colour.
    pub const PLAIN: Paint = Paint { on: false };

    /// In colour or not.
    pub const fn new(on: bool) -> Paint {
        Paint { on }
    }

    /// Whether there is colour.
    pub const fn is_on(self) -> bool {
        self.on
    }

    /// Text in the style of its role.
    pub fn over(self, role: Role, text: &str) -> String {
        let style = match role {
            _ if !self.on => Style::new(),
            Role::Plain => Style::new(),
            Role::Dim => Style::new().dimmed(),
            Role::Strong => Style::new().bold(),
            Role::Good => AnsiColor::Green.on_default(),
            Role::Bad => AnsiColor::Red.on_default().bold(),
            Role::New => AnsiColor::Cyan.on_default(),
            Role::Odd => AnsiColor::Yellow.on_default(),
        };
        format!("{style}{text}{style:#}")
    }
}
