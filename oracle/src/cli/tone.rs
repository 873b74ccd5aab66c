//! How the program speaks: in colour or not, quietly or not. Every command gets a [`Tone`] and says what is no result
//! through it, to stderr.

use std::error::Error;
use std::fmt::Display;
use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};

use crate::language::Messages;

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The options that every command has.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// When to use colour; NO_COLOR is honoured.
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_possible_values = false, global = true)]
    color: ColorChoice,
    /// No warnings, hints, legends or progress: results and errors alone.
    #[arg(long, short, global = true)]
    quiet: bool,
}

impl Args {
    pub(super) fn tone(&self) -> Tone {
        match self.color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        Tone { quiet: self.quiet }
    }
}

/// How a command speaks to people.
#[derive(Clone, Debug)]
pub struct Tone {
    quiet: bool,
}

impl Tone {
    /// Whether the user asked for results alone.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether text on stdout is to be coloured.
    pub fn colors_stdout(&self) -> bool {
        anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
    }

    /// Whether text on stderr is to be coloured.
    pub fn colors_stderr(&self) -> bool {
        anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
    }

    /// Whether to show progress: somebody looks, and did not ask for quiet.
    pub fn shows_progress(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    /// What stopped the command, with what caused it.
    pub fn error(&self, error: &(dyn Error + 'static)) {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        self.say("error", AnsiColor::Red.on_default().bold(), &text);
    }

    /// What is wrong with a file, with carets.
    pub fn mistakes(&self, messages: &Messages) {
        // Nothing can be done about an stderr that does not take it.
        let _ = writeln!(anstream::stderr(), "{}\n", messages.render(self.colors_stderr()));
    }

    /// Something the user should know about the result.
    pub fn warn(&self, text: impl Display) {
        if !self.quiet {
            self.say("warning", AnsiColor::Yellow.on_default().bold(), &text);
        }
    }

    /// Something that may help.
    pub fn hint(&self, text: impl Display) {
        if !self.quiet {
            self.say("hint", AnsiColor::Cyan.on_default().bold(), &text);
        }
    }

    /// A plain remark.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            self.say("note", Style::new().bold(), &text);
        }
    }

    fn say(&self, word: &str, style: Style, text: &dyn Display) {
        // Nothing can be done about an stderr that does not take it.
        let _ = writeln!(anstream::stderr(), "{style}{word}{style:#}: {text}");
    }
}
