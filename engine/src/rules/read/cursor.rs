//! The words of a rule, one after the other.

use std::ops::Range;

use super::{Read, RuleError, error};

/// A word, a mark or a text in quotes, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub text: String,
    pub kind: Kind,
    pub place: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Mark,
    Quoted,
}

/// Marks, the longer before those that they begin with.
const MARKS: [&str; 13] = ["==", "!=", "<=", ">=", "{", "}", "(", ")", ",", "|", "&", "<", ">"];

/// Splits a rule into its words.
pub(super) fn tokens(text: &str) -> Read<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let start = at;
        let kind = if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        } else if first == '"' {
            let Some(length) = text[at + 1..].find('"') else {
                return Err(error("this quote is not closed", at..text.len(), "another `\"`".to_owned()));
            };
            at += length + 2;
            Kind::Quoted
        } else if let Some(mark) = MARKS.iter().find(|mark| text[at..].starts_with(**mark)) {
            at += mark.len();
            Kind::Mark
        } else {
            let ends = |index: usize, c: char| {
                c.is_whitespace() || c == '"' || MARKS.iter().any(|mark| text[index..].starts_with(mark))
            };
            // At least one character: a lone `=` or `!` is a word that nothing knows.
            let rest = text[at..].char_indices().skip(1).find(|(index, c)| ends(at + index, *c));
            at = rest.map_or(text.len(), |(index, _)| at + index);
            Kind::Word
        };
        tokens.push(Token { text: text[start..at].to_owned(), kind, place: start..at });
    }
    Ok(tokens)
}

/// A place in a rule.
pub(super) struct Cursor<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str, tokens: &'a [Token]) -> Cursor<'a> {
        Cursor { text, tokens, at: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn peek_word(&self) -> Option<&'a str> {
        self.peek().filter(|token| token.kind == Kind::Word).map(|token| &*token.text)
    }

    pub(super) fn next(&mut self) -> Option<&'a Token> {
        let token = self.peek()?;
        self.at += 1;
        Some(token)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub(super) fn skip_to_end(&mut self) {
        self.at = self.tokens.len();
    }

    /// Where the next word stands, or the end of the line.
    pub(super) fn here(&self) -> Range<usize> {
        let end = self.text.trim_end().len();
        self.peek().map_or(end..end, |token| token.place.clone())
    }

    /// Where the word before stands.
    pub(super) fn before(&self) -> Range<usize> {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0..0, |token| token.place.clone())
    }

    /// Goes on, with a value in hand.
    pub(super) fn then<T>(&mut self, value: T) -> T {
        self.at += 1;
        value
    }

    pub(super) fn eat(&mut self, word: &str) -> bool {
        let found = self.peek_word() == Some(word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn eat_mark(&mut self, mark: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == Kind::Mark && token.text == mark);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect_mark(&mut self, mark: &str) -> Read<()> {
        if self.eat_mark(mark) { Ok(()) } else { Err(self.unexpected(&format!("`{mark}`"), [])) }
    }

    pub(super) fn word_from<T: Copy>(&mut self, table: &[(&'static str, T)], expected: &str) -> Read<T> {
        let found = self.peek_word().and_then(|word| table.iter().find(|(known, _)| *known == word));
        match found {
            Some((_, value)) => Ok(self.then(*value)),
            None => Err(self.unexpected(expected, table.iter().map(|(word, _)| *word))),
        }
    }

    /// A word that names something.
    pub(super) fn name(&mut self, expected: &str) -> Read<String> {
        let is_name = |word: &&str| {
            word.starts_with(|c: char| c.is_ascii_alphabetic())
                && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        };
        match self.peek_word().filter(is_name) {
            Some(word) => Ok(self.then(word.to_owned())),
            None => Err(self.unexpected(expected, [])),
        }
    }

    /// A text in quotes, without them.
    pub(super) fn quoted(&mut self, expected: &str) -> Read<String> {
        match self.peek().filter(|token| token.kind == Kind::Quoted) {
            Some(token) => Ok(self.then(token.text.trim_matches('"').to_owned())),
            None => Err(self.unexpected(expected, [])),
        }
    }

    pub(super) fn expect_end(&self, after: &str) -> Read<()> {
        if self.is_at_end() {
            Ok(())
        } else {
            Err(self.unexpected(&format!("nothing more after {after}"), []))
        }
    }

    /// Says that something else should stand here.
    pub(super) fn unexpected<'w>(
        &self,
        expected: &str,
        known: impl IntoIterator<Item = &'w str>,
    ) -> Box<RuleError> {
        let title = match self.peek() {
            None => "the rule ends too early".to_owned(),
            Some(token) if token.kind == Kind::Quoted => "a text in quotes does not belong here".to_owned(),
            Some(token) => format!("`{}` does not belong here", token.text),
        };
        let nearest = self.peek_word().and_then(|word| nearest(word, known));
        Box::new(RuleError { nearest, ..*error(title, self.here(), expected.to_owned()) })
    }

    /// The words from a place up to here, one blank between them as nftables prints them.
    pub(super) fn text_since(&self, start: usize) -> String {
        let mut text = String::new();
        let mut tight = true;
        for token in &self.tokens[start..self.at] {
            let joins = matches!(&*token.text, "," | ")" | "|") && token.kind == Kind::Mark;
            if !tight && !joins {
                text.push(' ');
            }
            text.push_str(&token.text);
            tight = matches!(&*token.text, "(" | "|") && token.kind == Kind::Mark;
        }
        text
    }
}

/// The word that is nearest to what was written, where one is near.
pub(super) fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<String> {
    let most = (word.chars().count() / 3).max(1);
    let near = known.into_iter().map(|other| (distance(word, other), other)).filter(|(far, _)| *far <= most);
    near.min_by_key(|(far, _)| *far).map(|(_, other)| other.to_owned())
}

/// How many letters must be put in, taken out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, from) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], index + 1);
        for (column, to) in b.iter().enumerate() {
            let change = corner + usize::from(from != *to);
            corner = row[column + 1];
            row[column + 1] = change.min(corner + 1).min(row[column] + 1);
        }
    }
    row[b.len()]
}
