//! What all pages share: the frame, the marks for outcomes, how much of a whole passed. The style and the script are files
//! beside this one; there is nothing else that a page needs.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The style of all pages.
pub const STYLE: &str = include_str!("style.css");
/// The filter of the matrix. Without it everything is shown.
pub const SCRIPT: &str = include_str!("filter.js");

/// A page. `up` leads from it to the report's folder.
pub fn frame(title: &str, up: &str, body: &Markup, script: bool) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Nothing is ever loaded from elsewhere, whatever a target's words may look like.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'self' 'unsafe-inline' file:; script-src 'unsafe-inline'; img-src data:";
                title { (title) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href=(format!("{up}style.css"));
            }
            body {
                (body)
                @if script { script { (PreEscaped(SCRIPT)) } }
            }
        }
    }
}

/// The sign for an outcome: never colour alone.
pub fn sign(outcome: &str) -> &'static str {
    match outcome {
        "passed" => "✓",
        "failed" => "✗",
        "known" => "≈",
        "unsupported" => "?",
        "skipped" => "–",
        _ => "·",
    }
}

/// A mark with its word for those who hover or listen.
pub fn mark(outcome: &str) -> Markup {
    html! { span class=(format!("mark {outcome}")) title=(outcome) { (sign(outcome)) } }
}

/// How full a bar is: `width:93.1%`. A single failure always shows.
pub fn share(part: usize, whole: usize) -> String {
    let tenths = (part * 1000).checked_div(whole).unwrap_or(0);
    format!("width:{}.{}%", tenths / 10, tenths % 10)
}

/// `1 scenario`, `2 scenarios`
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
