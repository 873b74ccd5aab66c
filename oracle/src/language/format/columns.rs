//! Columns: the parts of lines that follow each other stand under each other.

use std::fmt::{self, Display, Formatter, Write};

/// A line in its parts, from left to right.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// Where it begins.
    pub(super) column: usize,
    /// Label and time, padded.
    pub(super) prefix: String,
    /// Words that stand in columns before the rest: a flow's name; `flow NAME` and its protocol.
    pub(super) heads: Vec<String>,
    /// `> S.`, where more follows.
    pub(super) flags: Option<String>,
    /// What happens; for a claim on a line of its own, the claim.
    pub(super) code: String,
    /// `= new SYN_SENT`, at the end of a step.
    pub(super) claim: Option<String>,
    /// `because ...`, `event ...`
    pub(super) reason: Option<String>,
    /// `# ...`
    pub(super) comment: Option<String>,
    /// Whether it is a claim on a line of its own.
    pub(super) is_claim: bool,
    /// Where the three last begin; found by [`align`].
    pub(super) claim_column: usize,
    pub(super) reason_column: usize,
    pub(super) comment_column: usize,
}

impl Row {
    /// Whether there is nothing but a comment.
    pub(super) fn is_empty(&self) -> bool {
        self.code.is_empty() && self.heads.is_empty() && self.prefix.is_empty()
    }

    fn code_end(&self) -> usize {
        let heads: usize = self.heads.iter().map(|head| width(head) + 1).sum();
        let flags = self.flags.as_ref().map_or(0, |flags| width(flags) + 1);
        self.column + width(&self.prefix) + heads + flags + width(&self.code)
    }

    fn claim_end(&self) -> usize {
        self.claim.as_ref().map_or(self.code_end(), |claim| self.claim_column + width(claim))
    }

    fn end(&self) -> usize {
        self.reason.as_ref().map_or(self.claim_end(), |reason| self.reason_column + width(reason))
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut line = format!("{:1$}{2}", "", self.column, self.prefix);
        for word in self.heads.iter().chain(&self.flags) {
            write!(line, "{word} ")?;
        }
        line += &self.code;
        let parts = [
            (&self.claim, self.claim_column),
            (&self.reason, self.reason_column),
            (&self.comment, self.comment_column),
        ];
        for (part, column) in parts {
            if let Some(part) = part {
                let gap = column.saturating_sub(width(&line));
                write!(line, "{:gap$}{part}", "")?;
            }
        }
        f.write_str(line.trim_end())
    }
}

/// Lines up what stands in lines that follow each other without a gap.
pub(super) fn align(rows: &mut [Row]) {
    for group in rows.split_mut(Row::is_empty) {
        align_heads(group);
        if let Some(column) = column(group, |row| row.claim.is_some(), Row::code_end) {
            for row in group.iter_mut() {
                row.claim_column = column;
                row.column = if row.is_claim { column } else { row.column };
            }
        }
        let reasons = column(group, |row| row.reason.is_some(), Row::claim_end).unwrap_or(0);
        group.iter_mut().for_each(|row| row.reason_column = reasons);
        let comments = column(group, |row| row.comment.is_some(), Row::end).unwrap_or(0);
        group.iter_mut().for_each(|row| row.comment_column = comments);
    }
    for row in rows.iter_mut().filter(|row| row.is_empty()) {
        row.comment_column = row.column;
    }
}

/// Two blanks behind the longest of the rows that have such a part.
fn column(rows: &[Row], has: impl Fn(&Row) -> bool, end: impl Fn(&Row) -> usize) -> Option<usize> {
    rows.iter().filter(|row| has(row)).map(|row| end(row) + 2).max()
}

/// Pads flags, and the heads of rows that have equally many.
fn align_heads(rows: &mut [Row]) {
    let widest = rows.iter().filter_map(|row| row.flags.as_deref()).map(width).max().unwrap_or(0);
    for flags in rows.iter_mut().filter_map(|row| row.flags.as_mut()) {
        *flags = format!("{flags:<widest$}");
    }
    for count in [1, 2] {
        for at in 0..count {
            let heads = rows.iter().filter(|row| row.heads.len() == count).map(|row| width(&row.heads[at]));
            let widest = heads.max().unwrap_or(0);
            for row in rows.iter_mut().filter(|row| row.heads.len() == count) {
                row.heads[at] = format!("{:<widest$}", row.heads[at]);
            }
        }
    }
}
