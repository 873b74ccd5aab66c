//! The language of scenarios: text in, a syntax tree or messages out. It knows words and numbers; what a packet looks
//! like on the wire and what the tracker says to it is `scenario`'s business.
//!
//! Read in this order: [`ast`] what can be said, [`words`] the vocabulary; then `source` (lines, and the variants of
//! `each`), `lexer` (words of a line), `parse` (from words to the tree), `message` (what is shown when that fails).

pub mod ast;
mod lexer;
mod message;
mod parse;
mod source;
pub mod words;

pub use message::{Message, Messages};
pub use parse::parse;

/// Reads a scenario and checks it.
///
/// # Errors
/// All mistakes, each with its place.
pub fn read(name: &str, text: &str) -> Result<ast::Script, Messages> {
    parse(name, text)
}
