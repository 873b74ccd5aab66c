//! Scenario files on disk: which there are, and how one is replaced.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What a scenario file's name ends with.
const ENDING: &str = "ct";
/// Folders in folders; what is deeper is a loop of links.
const DEEPEST: usize = 64;

/// The files of `paths`, and the scenario files in folders among them, in the order of their names.
///
/// # Errors
/// When a path is not there, or a folder has no scenario in it.
pub(crate) fn scenarios(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            walk(path, DEEPEST, &mut files).map_err(|error| format!("{}: {error}", path.display()))?;
            if files.len() == before {
                return Err(format!("{}: no file in it ends with .{ENDING}", path.display()));
            }
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && depth > 0 {
            walk(&path, depth - 1, files)?;
        } else if path.extension().is_some_and(|ending| ending == ENDING) && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// Writes a file so that a reader sees the old text or the new one, never a part.
///
/// # Errors
/// When the file cannot be written; then it is as it was.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A link stays a link: what it points to is replaced.
    let path = std::fs::canonicalize(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let write = || {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::set_permissions(&temporary, std::fs::metadata(&path)?.permissions())?;
        std::fs::rename(&temporary, &path)
    };
    let written = write();
    if written.is_err() {
        // What is left of the attempt is of no use, and may not even be there.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}
