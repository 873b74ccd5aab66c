//! Finding scenarios.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, DirEntry, include_dir};

use crate::language::ast::Script;
use crate::language::{self, Messages};

static SCENARIOS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../scenarios");

/// What a scenario file's name ends with.
const ENDING: &str = "ct";

/// A scenario file that was read.
#[derive(Clone, Debug)]
pub struct File {
    /// Its identity.
    pub id: String,
    /// Where it is.
    pub origin: Origin,
    /// What it says.
    pub script: Arc<Script>,
}

/// Where a scenario file is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In the program.
    Embedded,
    /// On disk.
    Disk(PathBuf),
}

/// Files that could not be read, or not be understood.
#[derive(Debug)]
pub enum Unreadable {
    /// The file system says no.
    Path(PathBuf, std::io::Error),
    /// The file has mistakes.
    Mistakes(Vec<Messages>),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Path(path, error) => write!(f, "{}: {error}", path.display()),
            Unreadable::Mistakes(files) => {
                for (index, messages) in files.iter().enumerate() {
                    if index > 0 {
                        writeln!(f)?;
                    }
                    write!(f, "{messages}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for Unreadable {}

/// The suite that the program carries, in the order of its ids.
///
/// # Errors
/// When a file has mistakes.
pub fn embedded() -> Result<Vec<File>, Unreadable> {
    let mut found = Vec::new();
    collect_embedded(&SCENARIOS, &mut found);
    found.sort();
    read(
        found
            .into_iter()
            .map(|(id, text)| (format!("scenarios/{id}.{ENDING}"), id, Origin::Embedded, text.to_owned())),
    )
}

/// The version of the suite that the program carries: the program's, and a sum over all ids and texts.
pub fn version() -> String {
    let mut found = Vec::new();
    collect_embedded(&SCENARIOS, &mut found);
    found.sort();
    let sum = found.iter().fold(0, |sum, (id, text)| {
        let sum = crc32c::crc32c_append(sum, id.as_bytes());
        crc32c::crc32c_append(crc32c::crc32c_append(sum, &[0]), text.as_bytes())
    });
    format!("{}+{sum:08x}", env!("CARGO_PKG_VERSION"))
}

fn collect_embedded(dir: &Dir<'static>, found: &mut Vec<(String, &'static str)>) {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(dir) => collect_embedded(dir, found),
            DirEntry::File(file) if file.path().extension().is_some_and(|ending| ending == ENDING) => {
                let id = file.path().with_extension("").to_string_lossy().replace('\\', "/");
                found.push((id, file.contents_utf8().unwrap_or_default()));
            }
            DirEntry::File(_) => {}
        }
    }
}

/// Scenario files, and all of those below folders, in the order of their ids. A file named twice is read once.
///
/// # Errors
/// When a path cannot be read, or a file has mistakes.
pub fn from_paths(paths: &[PathBuf]) -> Result<Vec<File>, Unreadable> {
    let mut files = Vec::new();
    for (id, path) in found(paths)? {
        let text = text(&path)?;
        files.push((path.display().to_string(), id, Origin::Disk(path), text));
    }
    read(files.into_iter())
}

/// The files that [`from_paths`] reads, and their texts, well written or not.
///
/// # Errors
/// When a path cannot be read, or there is no scenario at all.
pub fn texts(paths: &[PathBuf]) -> Result<Vec<(PathBuf, String)>, Unreadable> {
    let found = found(paths)?;
    if let (true, Some(path)) = (found.is_empty(), paths.first()) {
        let error = std::io::Error::other(format!("no file in it ends with .{ENDING}"));
        return Err(Unreadable::Path(path.clone(), error));
    }
    found.into_iter().map(|(_, path)| Ok((path.clone(), text(&path)?))).collect()
}

fn text(path: &Path) -> Result<String, Unreadable> {
    std::fs::read_to_string(path).map_err(|error| Unreadable::Path(path.to_owned(), error))
}

/// Ids and paths, in the order of the ids.
fn found(paths: &[PathBuf]) -> Result<Vec<(String, PathBuf)>, Unreadable> {
    let mut found = Vec::new();
    for path in paths {
        collect(path, true, &mut found)?;
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn collect(path: &Path, named: bool, found: &mut Vec<(String, PathBuf)>) -> Result<(), Unreadable> {
    let failed = |error| Unreadable::Path(path.to_owned(), error);
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(failed)? {
            collect(&entry.map_err(failed)?.path(), false, found)?;
        }
    } else if named || path.extension().is_some_and(|ending| ending == ENDING) {
        found.push((id_of(path), path.to_owned()));
    }
    Ok(())
}

/// The path below `scenarios`, without the ending; the whole path where there is no such folder.
fn id_of(path: &Path) -> String {
    let parts: Vec<String> = path
        .with_extension("")
        .components()
        .filter(|part| !matches!(part, Component::CurDir | Component::RootDir))
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    let below = parts.iter().rposition(|part| part == "scenarios").map_or(0, |at| at + 1);
    parts[below.min(parts.len() - 1)..].join("/")
}

fn read(found: impl Iterator<Item = (String, String, Origin, String)>) -> Result<Vec<File>, Unreadable> {
    let mut files = Vec::new();
    let mut mistakes = Vec::new();
    for (name, id, origin, text) in found {
        match language::read(&name, &text) {
            Ok(script) => files.push(File { id, origin, script: Arc::new(script) }),
            Err(messages) => mistakes.push(messages),
        }
    }
    if mistakes.is_empty() { Ok(files) } else { Err(Unreadable::Mistakes(mistakes)) }
}
