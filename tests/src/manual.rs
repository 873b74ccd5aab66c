//! The examples in a manual: every fenced block that says it is a scenario.

/// A block of a Markdown text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The line of its first line, counted from one.
    pub line: usize,
    /// The words after the fence: `ct`, `ct fails`, ...
    pub kind: String,
    /// What stands in it.
    pub text: String,
}

/// All fenced blocks whose first word is `ct`, in order.
#[must_use]
pub fn examples(markdown: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    let mut open: Option<Example> = None;
    for (index, line) in markdown.lines().enumerate() {
        match (&mut open, line.trim_end().strip_prefix("```")) {
            (Some(_), Some("")) => examples.extend(open.take()),
            (Some(example), _) => {
                example.text.push_str(line);
                example.text.push('\n');
            }
            (None, Some(kind)) => {
                open = Some(Example { line: index + 2, kind: kind.trim().to_owned(), text: String::new() })
            }
            (None, None) => {}
        }
    }
    examples.retain(|example| example.kind.split_whitespace().next() == Some("ct"));
    examples
}
