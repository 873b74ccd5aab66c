//! Any version of the kernel as a target: User-Mode Linux, a kernel that is a program, under virtual time. The same
//! driver as for the kernel that runs here works inside of it, as the guest's first process, and sleeps for as long as is
//! to pass; its clock jumps. So five days take no time, and every timeout is the kernel's own, exact to its tick.
//!
//! ```text
//! Uml (this process) ── job, answers ── keeper ── directory ── kernel ─ guest ─ worlds ─ kernel ─ namespace
//! ```
//!
//! No root is needed. The guest's root is the host's file system, read-only; it starts anew for each request, and gets the
//! whole of it in a file, because a guest that waits is idle and its clock races. A large request is shared out among
//! several guests, one for each processor. The keeper, a child of this program,
//! ends the guest and removes the directory also where this process is killed.

use std::fs;
use std::io::{self, BufReader, BufWriter, Read};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use conntruth_engine::Time;
use serde::{Deserialize, Serialize};

use super::guest::{self, Done, Job};
use super::{pipe, profile_of, share};
use crate::target::{
    Abilities, Arrival, Batch, Config, Confirms, Entry, Happening, Identity, Observation, Passing, Play,
    Played, Reasons, Refusal, Rules, Said, Setting, Shows, Sight, Target, mortal,
};

/// By this variable a process knows that it is a keeper; its value is the kernel.
const KEEPER: &str = "CONNTRUTH_GUEST_KEEPER";
/// A guest that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(600);
/// The guest's memory.
const MEMORY: &str = "mem=256M";

/// A kernel under virtual time.
#[derive(Debug)]
pub struct Uml {
    identity: Identity,
    kernel: PathBuf,
    /// What was in the table when the last world was over.
    left: Vec<Entry>,
}

/// What the keeper says in the end.
#[derive(Debug, Serialize, Deserialize)]
enum Report {
    Answers(Vec<u8>),
    Failed(String),
}

/// Serves as keeper, where this process was started for that.
pub(super) fn serve_if_asked() -> Option<ExitCode> {
    let kernel = std::env::var_os(KEEPER)?;
    keep(Path::new(&kernel));
    Some(ExitCode::SUCCESS)
}

impl Uml {
    /// A kernel by its file, under the name by which the target was asked for.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] says why it cannot be used.
    pub fn new(name: &str, kernel: &Path) -> Result<Uml, Refusal> {
        let kernel = kernel
            .canonicalize()
            .map_err(|error| Refusal::Unsupported(format!("{}: {error}", kernel.display())))?;
        let version = crate::kernels::version(&kernel).map_err(Refusal::Unsupported)?;
        let mut uml = Uml {
            identity: Identity {
                name: name.to_owned(),
                profile: profile_of(&version),
                version,
                hz: 0,
                abilities: Abilities {
                    time: Passing::Virtual,
                    confirms: Confirms::AtHook,
                    shows: Shows { reasons: Reasons::Invalid, windows: false, ..Shows::ALL },
                    protocols: Abilities::PROTOCOLS.map(str::to_owned).to_vec(),
                    sysctls: Vec::new(),
                    // One that its configuration lacks is missed when a rule asks for it.
                    helpers: ["ftp", "irc", "tftp"].map(str::to_owned).to_vec(),
                    nat: true,
                    zones: true,
                    own_host: true,
                    rules: Rules::Own,
                    marks: true,
                    slack: Time::ZERO,
                },
            },
            kernel,
            left: Vec::new(),
        };
        uml.boot(&[Vec::new()]).map_err(|refusal| match refusal {
            Refusal::Broken(what) => Refusal::Unsupported(what),
            other => other,
        })?;
        Ok(uml)
    }

    /// Has guests, one for each share of the work, do all this, and end.
    fn boot(&mut self, shares: &[Vec<Job>]) -> Result<Vec<Vec<Done>>, Refusal> {
        let kernel = &self.kernel;
        let done: Vec<Result<Guested, Refusal>> = std::thread::scope(|scope| {
            let guests: Vec<_> = shares.iter().map(|jobs| scope.spawn(|| boot(kernel, jobs))).collect();
            let lost = |_| Err(Refusal::Broken("a guest's thread has ended".to_owned()));
            guests.into_iter().map(|guest| guest.join().unwrap_or_else(lost)).collect()
        });
        let mut all = Vec::with_capacity(shares.len());
        for guested in done {
            let Guested { sysctls, hz, done } = guested?;
            (self.identity.abilities.sysctls, self.identity.hz) = (sysctls, hz);
            all.push(done);
        }
        Ok(all)
    }
}

/// What a guest was, and has done.
struct Guested {
    sysctls: Vec<String>,
    hz: u32,
    done: Vec<Done>,
}

/// Has a guest do all this, and end.
fn boot(kernel: &Path, jobs: &[Job]) -> Result<Guested, Refusal> {
    let mut bytes = Vec::new();
    jobs.iter().try_for_each(|job| pipe::put(&mut bytes, job)).map_err(broken)?;
    let answers = match ask_keeper(kernel, &bytes).map_err(broken)? {
        Report::Answers(answers) => answers,
        Report::Failed(what) => return Err(Refusal::Broken(what)),
    };
    let mut answers = &answers[..];
    let mut guested = Guested { sysctls: Vec::new(), hz: 0, done: Vec::with_capacity(jobs.len()) };
    while let Some(answer) = pipe::read(&mut answers).map_err(broken)? {
        match answer {
            Done::Ready { sysctls, hz } => (guested.sysctls, guested.hz) = (sysctls, hz),
            Done::Broken(what) => return Err(Refusal::Broken(format!("in the guest: {what}"))),
            answer => guested.done.push(answer),
        }
    }
    if guested.hz == 0 || guested.done.len() < jobs.len() {
        let what = format!("the guest has done {} of {} jobs", guested.done.len(), jobs.len());
        return Err(Refusal::Broken(what));
    }
    Ok(guested)
}

fn something_else() -> Refusal {
    Refusal::Broken("the guest answers something else".to_owned())
}

impl Target for Uml {
    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    fn is_played(&self) -> bool {
        true
    }

    fn play(&mut self, plays: &[Play]) -> Result<Vec<Played>, Refusal> {
        let shares = share::out(&plays.iter().map(share::cost).collect::<Vec<_>>());
        let jobs = |share: &Vec<usize>| share.iter().map(|index| Job::Play(plays[*index].clone())).collect();
        let done = self.boot(&shares.iter().map(jobs).collect::<Vec<_>>())?;
        let mut played: Vec<Option<Played>> = vec![None; plays.len()];
        for (index, done) in shares.into_iter().flatten().zip(done.into_iter().flatten()) {
            played[index] = match done {
                Done::Played(played) => Some(played),
                _ => None,
            };
        }
        let played: Option<Vec<Played>> = played.into_iter().collect();
        let played = played.ok_or_else(something_else)?;
        self.left = match played.last().and_then(|played| played.said.last()) {
            Some(Said::Entries(entries)) => entries.clone(),
            _ => Vec::new(),
        };
        Ok(played)
    }

    fn batch(&mut self, batch: &Batch) -> Result<Vec<Vec<Sight>>, Refusal> {
        let costs: Vec<Duration> = batch.worlds.iter().map(|arrivals| share::cost_of(arrivals)).collect();
        let worlds = share::in_order(&costs, &batch.worlds);
        let part =
            |worlds: &[Vec<Arrival>]| vec![Job::Batch(Batch { worlds: worlds.to_vec(), ..batch.clone() })];
        let done = self.boot(&worlds.into_iter().map(part).collect::<Vec<_>>())?;
        let mut sights = Vec::with_capacity(batch.worlds.len());
        for done in done.into_iter().flatten() {
            match done {
                Done::Sights(part) => sights.extend(part?),
                _ => return Err(something_else()),
            }
        }
        Ok(sights)
    }

    fn begin(&mut self, _: &Config) -> Result<(), Refusal> {
        whole()
    }

    fn set(&mut self, _: &Setting) -> Result<(), Refusal> {
        whole()
    }

    fn packet(&mut self, _: &Arrival) -> Result<Observation, Refusal> {
        whole()
    }

    fn advance(&mut self, _: Time) -> Result<Vec<Happening>, Refusal> {
        whole()
    }

    /// What the last world has left.
    fn table(&mut self) -> Result<Vec<Entry>, Refusal> {
        Ok(self.left.clone())
    }
}

fn whole<T>() -> Result<T, Refusal> {
    let what = "a guest under virtual time is asked for whole worlds, not step by step";
    Err(Refusal::Unsupported(what.to_owned()))
}

/// Starts a keeper, gives it a job, and waits for its report.
fn ask_keeper(kernel: &Path, job: &[u8]) -> io::Result<Report> {
    let mut keeper = Command::new(std::env::current_exe()?)
        .env(KEEPER, kernel)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let report = talk(&mut keeper, job);
    // Its input has ended: it cleans up, and then it ends.
    let _ = keeper.wait();
    report
}

fn talk(keeper: &mut Child, job: &[u8]) -> io::Result<Report> {
    let (Some(stdin), Some(stdout)) = (keeper.stdin.take(), keeper.stdout.take()) else {
        return Err(io::Error::other("the keeper has no pipes"));
    };
    let mut stdin = BufWriter::new(stdin);
    pipe::write(&mut stdin, &job)?;
    let report = pipe::read(&mut BufReader::new(stdout))?;
    drop(stdin);
    report.ok_or_else(|| {
        io::Error::other(
            "the keeper does not answer: a program that uses this target calls `serve_if_asked` first",
        )
    })
}

/// The keeper's life.
fn keep(kernel: &Path) {
    let report = match pipe::read::<Vec<u8>>(&mut io::stdin()) {
        Ok(Some(job)) => run(kernel, &job).unwrap_or_else(|error| Report::Failed(error.to_string())),
        _ => return,
    };
    // Nobody may be listening any more.
    let _ = pipe::write(&mut io::stdout(), &report);
}

/// Runs a guest in a directory of its own, which is gone afterwards.
fn run(kernel: &Path, job: &[u8]) -> io::Result<Report> {
    let directory = directory()?;
    let report = run_in(&directory, kernel, job);
    // What was killed may still be about to write.
    for _ in 0..200 {
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                std::thread::sleep(Duration::from_millis(5));
            }
            _ => break,
        }
    }
    report
}

fn run_in(directory: &Path, kernel: &Path, job: &[u8]) -> io::Result<Report> {
    fs::write(directory.join(guest::JOB), job)?;
    fs::write(directory.join(guest::ANSWERS), [])?;
    let console = directory.join("console");
    let mut child = mortal::with_children(kernel)?
        .args(command_line(directory)?)
        .env_remove(KEEPER)
        .env("HOME", directory)
        .env("TMPDIR", directory)
        .stdin(Stdio::null())
        .process_group(0)
        .stdout(fs::File::create(&console)?)
        .stderr(fs::File::options().append(true).open(&console)?)
        .spawn()?;
    let is_over = wait(&mut child)?;
    let answers = fs::read(directory.join(guest::ANSWERS))?;
    if is_over && !answers.is_empty() {
        return Ok(Report::Answers(answers));
    }
    let said = fs::read(&console)?;
    let said = String::from_utf8_lossy(&said);
    let last: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).rev().take(4).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    let how = if is_over { "ends without an answer" } else { "does not end" };
    Ok(Report::Failed(format!("the guest {how}: {}", last.join(" / "))))
}

/// What the kernel is told. Words are separated by spaces, so none may have any.
fn command_line(directory: &Path) -> io::Result<Vec<String>> {
    let program = std::env::current_exe()?;
    for path in [directory, &program] {
        if path.to_str().is_none_or(|text| text.contains(char::is_whitespace)) {
            return Err(io::Error::other(format!(
                "a kernel takes no path with a space in it: {}",
                path.display()
            )));
        }
    }
    let directory = directory.display();
    let own = [
        format!("init={}", program.display()),
        format!("{}={directory}", guest::ROLE),
        format!("uml_dir={directory}/"),
    ];
    let words = [
        MEMORY,
        "rootfstype=hostfs",
        "root=/dev/root",
        "rootflags=/",
        "ro",
        "con=null",
        "con0=null,fd:1",
        "quiet",
        "panic=-1",
        "time-travel=inf-cpu",
    ];
    Ok(words.map(str::to_owned).into_iter().chain(own).collect())
}

/// Waits for a guest, until nobody wants its answers any more; whether it has ended by itself.
#[allow(clippy::disallowed_methods)]
fn wait(guest: &mut Child) -> io::Result<bool> {
    let unwanted = Arc::new(AtomicBool::new(false));
    let ours = Arc::clone(&unwanted);
    std::thread::spawn(move || {
        // Nobody writes any more: what there is to be read is the end.
        let _ = io::stdin().read(&mut [0]);
        ours.store(true, Ordering::Relaxed);
    });
    let started = Instant::now();
    while guest.try_wait()?.is_none() {
        if unwanted.load(Ordering::Relaxed) || started.elapsed() > PATIENCE {
            // Where it is in no namespace of its own, its children are those of its group.
            let _ = nix::sys::signal::killpg(pid(guest), nix::sys::signal::Signal::SIGKILL);
            guest.kill()?;
            guest.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(true)
}

fn pid(child: &Child) -> nix::unistd::Pid {
    nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

/// A directory that only we can enter.
fn directory() -> io::Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("conntruth-guest-{}", std::process::id()));
    fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

fn broken(error: io::Error) -> Refusal {
    Refusal::Broken(format!("a guest cannot be run: {error}"))
}
