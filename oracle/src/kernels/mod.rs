//! Kernels that are programs - User-Mode Linux with virtual time - and where they are kept: built once, in the user's
//! cache, under a name that `linux:NAME` asks for.

mod build;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use build::{Order, Source, build};

/// The kernel's file in its folder.
pub const IMAGE: &str = "linux";

/// A kernel that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// `6.12`
    pub name: String,
    /// The program.
    pub image: PathBuf,
}

/// Where kernels are kept: `$XDG_CACHE_HOME/conntruth/kernels`.
///
/// # Errors
/// When there is no such place.
pub fn cache() -> Result<PathBuf, String> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let cache = cache.or_else(|| set("HOME").map(|home| home.join(".cache")));
    cache
        .map(|cache| cache.join("conntruth").join("kernels"))
        .ok_or_else(|| "neither XDG_CACHE_HOME nor HOME says where kernels are kept".to_owned())
}

/// All kernels that are kept, by name.
pub fn all() -> Vec<Kernel> {
    let Ok(folders) = cache().and_then(|cache| std::fs::read_dir(cache).map_err(|error| error.to_string()))
    else {
        return Vec::new();
    };
    let kernel = |folder: std::fs::DirEntry| {
        let image = folder.path().join(IMAGE);
        let name = folder.file_name().into_string().ok()?;
        image.is_file().then_some(Kernel { name, image })
    };
    let mut kernels: Vec<Kernel> = folders.flatten().filter_map(kernel).collect();
    kernels.sort_by_key(|kernel| order(&kernel.name));
    kernels
}

/// Versions by their numbers: 6.12 comes after 6.1 and 6.9.
fn order(name: &str) -> (Vec<u32>, String) {
    (name.split('.').map_while(|part| part.parse().ok()).collect(), name.to_owned())
}

/// A kernel by its name in the cache, or by the path of its file or of the folder in which it was built.
///
/// # Errors
/// What to do where there is none.
pub fn find(wanted: &str) -> Result<PathBuf, String> {
    if wanted.contains('/') {
        let path = Path::new(wanted);
        let image = if path.is_dir() { path.join(IMAGE) } else { path.to_owned() };
        return if image.is_file() {
            Ok(image)
        } else {
            Err(format!("there is no kernel {}", image.display()))
        };
    }
    let kernels = all();
    if let Some(kernel) = kernels.iter().find(|kernel| kernel.name == wanted) {
        return Ok(kernel.image.clone());
    }
    let there: Vec<&str> = kernels.iter().map(|kernel| kernel.name.as_str()).collect();
    let there =
        if there.is_empty() { "none is".to_owned() } else { format!("built here: {}", there.join(", ")) };
    Err(format!(
        "kernel {wanted} is not built, {there}: `conntruth kernel build {wanted}` makes it, in a few minutes"
    ))
}

/// The release of a kernel that is a program, if it is one, and has virtual time.
///
/// # Errors
/// Why it cannot be used.
pub fn version(image: &Path) -> Result<String, String> {
    let said = |option: &str| {
        let ended = Command::new(image).arg(option).stdin(Stdio::null()).output();
        let ended = ended.map_err(|error| format!("{} does not start: {error}", image.display()))?;
        Ok::<_, String>(String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned())
    };
    if !said("--help")?.contains("time-travel") {
        let what = "is no User-Mode Linux with virtual time: `conntruth kernel build` makes one";
        return Err(format!("{} {what}", image.display()));
    }
    Ok(said("--version")?.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        let mut names = ["7.3", "6.12", "6.1", "candidate", "6.9"];
        names.sort_by_key(|name| order(name));
        assert_eq!(names, ["candidate", "6.1", "6.9", "6.12", "7.3"]);
    }
}
