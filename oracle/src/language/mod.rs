//! The language of scenarios: text in, a syntax tree or messages out. It knows words and numbers; what a packet looks
//! like on the wire and what the tracker says to it is `scenario`'s business.
//!
//! Read in this order: [`ast`] what can be said, [`words`] the vocabulary; then `source` (lines, and the variants of
//! `each`), `lexer` (words of a line), `parse` (from words to the tree), `message` (what is shown when that fails); `print` (from
//! the tree to words), [`check`] (does it make sense), [`format()`] (one layout for all).

pub mod ast;
mod check;
mod format;
mod lexer;
mod message;
mod parse;
mod print;
mod sense;
mod source;
pub mod words;

pub use check::check;
pub use format::format;
pub use message::{Message, Messages};
pub use parse::parse;

/// Reads a scenario and checks it.
///
/// # Errors
/// All mistakes, each with its place.
pub fn read(name: &str, text: &str) -> Result<ast::Script, Messages> {
    let script = parse(name, text)?;
    let list = check(&script);
    if list.is_empty() { Ok(script) } else { Err(Messages { name: script.name, text: script.text, list }) }
}

/// The text of a scenario whose lines are the arguments of `try`. A first line without `flow` gets it.
pub fn command_line(steps: &[String]) -> String {
    let is_protocol = |word: &str| word == "proto" || words::PROTOCOLS.iter().any(|row| row.0 == word);
    let line = |step: &String| match step.split_whitespace().next() {
        Some(first) if is_protocol(first) => format!("flow {step}\n"),
        _ => format!("{step}\n"),
    };
    steps.iter().map(line).collect()
}

#[cfg(test)]
mod tests;
