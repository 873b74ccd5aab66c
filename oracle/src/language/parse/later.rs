//! Lines that the language knows and this version cannot run yet: they are recognised, kept as they are, and reported
//! as unsupported. A table of their first words, with the issue that owns each.

use super::cursor::{Cursor, is_name};
use super::names::Names;

/// Lines by their first word.
const LINES: &[(&str, &str, u8)] = &[];

/// What a line that begins with `word` is, and whose.
pub(super) fn line(word: &str) -> Option<(&'static str, u8)> {
    LINES.iter().find(|(known, ..)| *known == word).map(|(_, what, issue)| (*what, *issue))
}

/// The first words of such lines.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    LINES.iter().map(|(word, ..)| *word)
}

/// Whether a host does something here: `client connects server:7 as c`.
pub(super) fn is_host_action(cursor: &Cursor<'_>, names: &Names) -> bool {
    let verb = cursor.peek_second().and_then(|token| token.word());
    cursor.peek_word().is_some_and(|host| names.is_host(host)) && verb.is_some_and(is_name)
}

/// The names that such a line gives: what follows `as`.
pub(super) fn given_names(code: &str) -> impl Iterator<Item = &str> {
    let mut words = code.split_whitespace();
    std::iter::from_fn(move || {
        words.find(|word| *word == "as")?;
        words.next().filter(|name| is_name(name))
    })
}
