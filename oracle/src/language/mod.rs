//! The language of scenarios: text in, a syntax tree or messages out. It knows words and numbers; what a packet looks
//! like on the wire and what the tracker says to it is `scenario`'s business.
//!
//! Read in this order: [`ast`] what can be said, [`words`] the vocabulary.

pub mod ast;
pub mod words;
