//! Building a kernel: from a distribution's source package, or from any tree.
//!
//! Debian's packages are fetched by `apt-get` with sources, lists and state of its own, so that nothing of the machine's
//! is changed and no root is needed. What is built is kept in the cache; what it was built from is not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{IMAGE, cache};

/// What the kernel is configured with, on top of the least there is.
const CONFIG: &str = include_str!("guest.config");

/// Programs that building takes, and the Debian packages that have them.
const TOOLS: [(&str, &str); 8] = [
    ("make", "make"),
    ("gcc", "gcc"),
    ("ld", "binutils"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("tar", "tar"),
    ("strip", "binutils"),
];
/// And those that fetching takes.
const FETCHERS: [(&str, &str); 3] = [("apt-get", "apt"), ("dpkg-deb", "dpkg"), ("xz", "xz-utils")];

/// Where packages are looked for; a kernel is in one or another of them, depending on its age.
const SUITES: [(&str, &str); 6] = [
    ("debian", "bookworm"),
    ("debian-security", "bookworm-security"),
    ("debian", "bookworm-backports"),
    ("debian", "trixie"),
    ("debian", "trixie-backports"),
    ("debian", "sid"),
];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// How to build.
#[derive(Clone, Debug)]
pub struct Order {
    /// `6.12`, or the path of a source tree.
    pub source: Source,
    /// The name under which it is kept.
    pub name: String,
    /// How many compilers run at once.
    pub jobs: usize,
    /// Where Debian's packages are.
    pub mirror: String,
}

/// What to build from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Debian's `linux-source-VERSION`.
    Package(String),
    /// A tree that is there. It is not changed.
    Tree(PathBuf),
}

impl Source {
    /// What a word on the command line means, and the name it gives the kernel.
    ///
    /// # Errors
    /// When it is neither a version nor a tree.
    pub fn parse(word: &str) -> Result<(Source, String), String> {
        let is_version = word.split('.').count() == 2
            && word.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        if is_version && !word.contains('/') {
            return Ok((Source::Package(word.to_owned()), word.to_owned()));
        }
        let path = Path::new(word);
        let tree = path
            .canonicalize()
            .map_err(|_| format!("`{word}` is no version such as 6.12, and there is no such folder"))?;
        if !tree.join("arch/um").is_dir() {
            return Err(format!("{} is no source tree of Linux: it has no arch/um", tree.display()));
        }
        let name =
            tree.file_name().map_or_else(|| "kernel".to_owned(), |name| name.to_string_lossy().into_owned());
        Ok((Source::Tree(tree), name))
    }
}

/// Builds, and says where the kernel is. `tell` hears what is done.
///
/// # Errors
/// What is missing, or which program failed and why.
pub fn build(order: &Order, tell: &mut dyn FnMut(&str)) -> Result<PathBuf, String> {
    if order.name.is_empty() || order.name.contains(['/', ' ']) || order.name.starts_with(['.', '-']) {
        return Err(format!("`{}` is no name for a kernel", order.name));
    }
    missing(&TOOLS)?;
    let folder = cache()?.join(&order.name);
    make_folder(&folder)?;
    let work = folder.join("build");
    match &order.source {
        Source::Tree(tree) => {
            // Kept, so that the next build of this tree compiles what has changed.
            make_folder(&work)?;
            compile(tree, Some(&work), order.jobs, tell)?;
            finish(&work, &folder)
        }
        Source::Package(version) => {
            missing(&FETCHERS)?;
            let _ = fs::remove_dir_all(&work);
            make_folder(&work)?;
            let tree = fetch(version, &order.mirror, &work, tell)?;
            compile(&tree, None, order.jobs, tell)?;
            let image = finish(&tree, &folder)?;
            fs::remove_dir_all(&work).map_err(|error| format!("{}: {error}", work.display()))?;
            Ok(image)
        }
    }
}

fn make_folder(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// All that is missing, in one sentence.
fn missing(tools: &[(&str, &str)]) -> Result<(), String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let mut packages: Vec<&str> =
        tools.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    Err(format!("building a kernel takes more programs: `apt-get install {}`", packages.join(" ")))
}

/// Fetches a source package and unpacks it; returns the tree.
fn fetch(version: &str, mirror: &str, work: &Path, tell: &mut dyn FnMut(&str)) -> Result<PathBuf, String> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| format!("{path}: {error}")
    };
    let sources = work.join("sources.list");
    let line = |(archive, suite): &(&str, &str)| {
        format!("deb [signed-by={KEYRING}] {mirror}/{archive} {suite} main\n")
    };
    fs::write(&sources, SUITES.iter().map(line).collect::<String>()).map_err(failed(&sources))?;
    for folder in ["lists/partial", "cache/archives/partial"] {
        make_folder(&work.join(folder))?;
    }
    let set = |name: &str, value: &str| ["-o".to_owned(), format!("{name}={value}")];
    let at = |name: &str, path: &str| set(name, &work.join(path).display().to_string());
    let options: Vec<String> = [
        at("Dir::Etc::sourcelist", "sources.list"),
        set("Dir::Etc::sourceparts", "/dev/null"),
        at("Dir::State", ""),
        set("Dir::State::status", "/var/lib/dpkg/status"),
        at("Dir::Cache", "cache"),
        set("Acquire::Languages", "none"),
        // A folder that is ours alone is no place for apt's own user.
        set("APT::Sandbox::User", ""),
    ]
    .concat();
    let package = format!("linux-source-{version}");
    tell(&format!("asking {mirror} for {package}"));
    run(Command::new("apt-get").args(&options).arg("-qq").arg("update"))?;
    tell(&format!("fetching {package}, about 150 MB"));
    run(Command::new("apt-get").args(&options).args(["-qq", "download", &package]).current_dir(work))
        .map_err(|error| {
            format!("{error}\nDebian has the versions that https://packages.debian.org/linux-source lists")
        })?;
    let mut found = fs::read_dir(work).map_err(failed(work))?.flatten().map(|entry| entry.path());
    let archive = found
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or("apt-get has fetched nothing")?;
    tell("unpacking it");
    run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(work.join("package")))?;
    let tree = work.join("tree");
    make_folder(&tree)?;
    let sources = work.join(format!("package/usr/src/{package}.tar.xz"));
    run(Command::new("tar").arg("xJf").arg(&sources).arg("-C").arg(&tree).arg("--strip-components=1"))?;
    for path in [work.join("package"), work.join("lists"), work.join("cache")] {
        fs::remove_dir_all(&path).map_err(failed(&path))?;
    }
    fs::remove_file(&archive).map_err(failed(&archive))?;
    Ok(tree)
}

/// Configures and compiles a tree, in a folder of its own where one is given.
fn compile(tree: &Path, out: Option<&Path>, jobs: usize, tell: &mut dyn FnMut(&str)) -> Result<(), String> {
    let make = |goals: &[&str]| {
        let mut command = Command::new("make");
        command.arg("-s").arg("-C").arg(tree).arg("ARCH=um").args(goals);
        if let Some(out) = out {
            command.arg(format!("O={}", out.display()));
        }
        // What a caller has set for a kernel of its own is not for this one.
        for name in [
            "ARCH",
            "SUBARCH",
            "KBUILD_OUTPUT",
            "CROSS_COMPILE",
            "KCONFIG_CONFIG",
            "MAKEFLAGS",
            "KCONFIG_ALLCONFIG",
        ] {
            command.env_remove(name);
        }
        run(&mut command)
    };
    tell("configuring it");
    make(&["tinyconfig"])?;
    let config = out.unwrap_or(tree).join(".config");
    let least = fs::read_to_string(&config).map_err(|error| format!("{}: {error}", config.display()))?;
    fs::write(&config, least + CONFIG).map_err(|error| format!("{}: {error}", config.display()))?;
    make(&["olddefconfig"])?;
    let made = fs::read_to_string(&config).map_err(|error| format!("{}: {error}", config.display()))?;
    if !made.lines().any(|line| line == "CONFIG_UML_TIME_TRAVEL_SUPPORT=y") {
        return Err(
            "this kernel has no virtual time: CONFIG_UML_TIME_TRAVEL_SUPPORT is of Linux 5.2".to_owned()
        );
    }
    tell("compiling it: some minutes");
    make(&[&format!("-j{jobs}"), IMAGE])
}

/// Puts the kernel where it is kept, at once and whole.
fn finish(built: &Path, folder: &Path) -> Result<PathBuf, String> {
    let image = folder.join(IMAGE);
    let new = folder.join("linux.new");
    run(Command::new("strip").arg("-o").arg(&new).arg(built.join(IMAGE)))?;
    fs::copy(built.join(".config"), folder.join("config"))
        .map_err(|error| format!("its .config: {error}"))?;
    fs::rename(&new, &image).map_err(|error| format!("{}: {error}", image.display()))?;
    Ok(image)
}

/// Runs a program quietly; what it had to say is the error when it fails.
fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let ended = command.stdin(Stdio::null()).output().map_err(|error| format!("`{program}`: {error}"))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(12)..].join("\n  ");
    Err(format!("`{program}` fails ({}):\n  {last}", ended.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_trees_are_told_apart() {
        let (source, name) = Source::parse("6.12").unwrap();
        assert_eq!((source, name.as_str()), (Source::Package("6.12".to_owned()), "6.12"));
        for word in ["6.12.1", "6.", "six", "/nowhere/at/all"] {
            let error = Source::parse(word).unwrap_err();
            assert!(error.contains("is no version such as 6.12"), "{error}");
        }
        let error = Source::parse("/").unwrap_err();
        assert_eq!(error, "/ is no source tree of Linux: it has no arch/um");
    }

    #[test]
    fn what_is_missing_is_said_with_its_package() {
        let error = missing(&[("sh", "dash"), ("no-such-program", "no-such-package")]).unwrap_err();
        assert!(error.contains("apt-get install no-such-package") && !error.contains("dash"), "{error}");
    }
}
