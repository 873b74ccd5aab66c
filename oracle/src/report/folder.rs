//! The folder of a report: data in, pages out. Pages are found by the scenario's name, data by the implementation's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::data::{FORMAT, Run};
use super::{html, markdown, matrix, page};

/// Where the pages of scenarios lie.
const PAGES: &str = "scenarios";
/// Where the runs lie.
const DATA: &str = "data";

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The page to open.
    pub index: PathBuf,
    /// Runs in the folder, this one included.
    pub runs: usize,
    /// Pages.
    pub pages: usize,
}

/// Why there is no report.
#[derive(Debug)]
pub enum Trouble {
    /// The file system says no.
    File(PathBuf, std::io::Error),
    /// A file among the data is none of ours.
    Data(PathBuf, String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::File(path, error) => write!(f, "{}: {error}", path.display()),
            Trouble::Data(path, what) => {
                write!(
                    f,
                    "{}: this is no run that can be shown: {what}; remove it, or run it again",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for Trouble {}

/// Adds a run to the folder, and writes the pages of all runs in it.
///
/// # Errors
/// When the folder cannot be written, or holds data of another form.
pub fn write(folder: &Path, run: &Run) -> Result<Written, Trouble> {
    let at = |name: &str| folder.join(name);
    for part in [at(DATA), at(PAGES)] {
        fs::create_dir_all(&part).map_err(|error| Trouble::File(part, error))?;
    }
    let json = serde_json::to_string(run).map_err(|error| Trouble::Data(at(DATA), error.to_string()))?;
    let name = file_name(&run.name());
    put(&at(DATA).join(format!("{name}.json")), &json)?;
    put(&at(&format!("badge-{name}.json")), &markdown::badge(run))?;
    let runs = read(&at(DATA))?;
    let names = names(&runs);
    put(&at("style.css"), html::STYLE)?;
    for (id, name) in &names {
        put(&at(PAGES).join(format!("{name}.html")), &page::page(id, &runs).into_string())?;
    }
    let index = at("index.html");
    put(&index, &matrix::index(&runs, &names).into_string())?;
    Ok(Written { index, runs: runs.len(), pages: names.len() + 1 })
}

fn put(path: &Path, text: &str) -> Result<(), Trouble> {
    fs::write(path, text).map_err(|error| Trouble::File(path.to_owned(), error))
}

/// All runs, the reference first.
fn read(folder: &Path) -> Result<Vec<Run>, Trouble> {
    let list = |error| Trouble::File(folder.to_owned(), error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(list)? {
        let path = entry.map_err(list)?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut runs = Vec::with_capacity(paths.len());
    for path in paths {
        let text = fs::read_to_string(&path).map_err(|error| Trouble::File(path.clone(), error))?;
        let run: Run =
            serde_json::from_str(&text).map_err(|error| Trouble::Data(path.clone(), error.to_string()))?;
        if run.format != FORMAT {
            let what = format!("its form is {}, not {FORMAT}", run.format);
            return Err(Trouble::Data(path, what));
        }
        runs.push(run);
    }
    runs.sort_by_key(|run| (run.target != "reference", run.name()));
    Ok(runs)
}

/// A name for each scenario's page, the same in every report of the same scenarios.
fn names(runs: &[Run]) -> BTreeMap<String, String> {
    let ids: BTreeSet<&String> = runs.iter().flat_map(|run| run.scenarios.keys()).collect();
    let mut taken = BTreeSet::new();
    let mut names = BTreeMap::new();
    for id in ids {
        let plain = file_name(id);
        let mut name = plain.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{plain}-{number}");
            number += 1;
        }
        names.insert(id.clone(), name);
    }
    names
}

/// Letters, digits and a few signs alone, and not too many: a name on any file system, and no way out of the folder.
fn file_name(id: &str) -> String {
    const MOST: usize = 120;
    let sign = |sign: char| match sign {
        '/' => '.',
        _ if sign.is_ascii_alphanumeric() || "-_.".contains(sign) => sign.to_ascii_lowercase(),
        _ => '-',
    };
    let name: String = id.chars().map(sign).take(MOST).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "unnamed".to_owned() } else { name.to_owned() }
}
