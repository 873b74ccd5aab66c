//! Blessing: what was found takes the place of claims that do not hold, and packets without a claim get one.
//!
//! Only the text of the parts that are wrong is replaced; comments, layout and what was left out stay. A file has one
//! text for all its worlds, so a part is written only when every world wants the same there.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::language::ast::Script;
use crate::language::{self, Messages};
use crate::scenario::{Edits, Plan, Proposal, apply, proposals};
use crate::target::Target;

/// What blessing has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blessing {
    /// Every claim holds, and every packet has one.
    Nothing,
    /// The new text, and in how many places it differs.
    Text {
        /// The file as it should be.
        text: String,
        /// Parts replaced and claims added.
        changes: usize,
        /// Where the file's worlds want different things, or nothing can be written: left as it was.
        left: Vec<String>,
    },
}

/// So often claims are mended before giving up: one that holds may bring another to light.
const ROUNDS: usize = 4;

/// Mends the claims of a scenario against `target`.
///
/// # Errors
/// When the mended text is not a scenario any more: the file is then left alone.
pub fn bless(id: &str, script: &Arc<Script>, target: &mut dyn Target) -> Result<Blessing, Messages> {
    let hz = target.identity().hz;
    let mut script = Arc::clone(script);
    let mut changes = 0;
    let mut left = Vec::new();
    for round in 0..=ROUNDS {
        let plans = Plan::all(id, &script, hz)?;
        // A claim that is added is judged in the next round only; adding twice would not end.
        let (edits, conflicts) = wanted(&plans, target, round == 0);
        left = conflicts;
        if edits.is_empty() {
            break;
        }
        if round == ROUNDS {
            left.push(format!("after {ROUNDS} rounds, {} parts would still be changed", edits.len()));
            break;
        }
        changes += edits.len();
        let text = apply(&script.text, &edits);
        script = Arc::new(language::read(&script.name, &text)?);
    }
    if changes == 0 && left.is_empty() {
        return Ok(Blessing::Nothing);
    }
    Ok(Blessing::Text { text: script.text.clone(), changes, left })
}

/// Writes a file so that a reader sees the old text or the new one, never a part.
///
/// # Errors
/// When the file cannot be written.
pub fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = folder.join(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        if let Ok(metadata) = std::fs::metadata(path) {
            std::fs::set_permissions(&temporary, metadata.permissions())?;
        }
        std::fs::rename(&temporary, path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// What all worlds want, and where they differ.
fn wanted(plans: &[Plan], target: &mut dyn Target, add: bool) -> (Edits, Vec<String>) {
    let identity = target.identity();
    let mut worlds: Vec<BTreeMap<(usize, usize), Proposal>> = Vec::new();
    for plan in plans.iter().filter(|plan| plan.refuses(&identity).is_none()) {
        let record = plan.run(target);
        let all = proposals(plan, &record, &identity.profile, add);
        worlds.push(
            all.into_iter().map(|proposal| ((proposal.span.start, proposal.span.end), proposal)).collect(),
        );
    }
    let Some(source) = plans.first().map(|plan| plan.script().text.as_str()) else {
        return (Edits::new(), Vec::new());
    };
    let mut edits = Edits::new();
    let mut left = Vec::new();
    let places: std::collections::BTreeSet<(usize, usize)> =
        worlds.iter().flat_map(|world| world.keys().copied()).collect();
    for place in places {
        let wishes: Vec<Option<&Proposal>> = worlds.iter().map(|world| world.get(&place)).collect();
        let Some(first) = wishes.iter().flatten().next() else { continue };
        let agreed = wishes.iter().all(|wish| wish.is_some_and(|wish| wish.text == first.text));
        let reason = match &first.text {
            _ if !agreed => "the variants or families differ here",
            None => "no words for it",
            Some(text) if source.get(place.0..place.1) == Some(text) => "what was found is said already",
            Some(text) => {
                edits.insert(place, text.clone());
                continue;
            }
        };
        let line = crate::scenario::line_and_column(source, place.0).0;
        left.push(format!("line {line}: {reason} ({})", first.what));
    }
    (edits, left)
}
