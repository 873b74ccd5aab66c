//! The running kernel as a target: a namespace of our own, in a process of its own, with the kernel's tracker in it.
//!
//! ```text
//! Linux (this process) ── frames on a pipe ── child ─ worlds ─ kernel ─┬─ namespace, rules   (made once)
//!                                                                      └─ cables, NFLOG, ctnetlink
//! ```
//!
//! No root is needed, nothing of the host is touched, and nothing is left behind: a namespace without a name ends with
//! the process that is in it. The child is this very program once more, so a program that uses this target calls
//! [`serve_if_asked`] before anything else.

mod child;
mod clock;
mod ctnetlink;
mod expected;
mod guest;
mod jiffies;
mod kernel;
mod namespace;
mod netlink;
mod nflog;
mod nfqueue;
mod nft;
mod pipe;
mod rules;
mod share;
#[allow(unsafe_code)]
mod sys;
mod uml;
mod worlds;

pub use uml::Uml;

use std::io::{self, BufReader, BufWriter};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use conntruth_engine::{Counter, Time};
use pipe::{Answer, Request};

use super::{
    Abilities, Arrival, Batch, Config, Confirms, Entry, Expected, Happening, Identity, Observation, Passing,
    Reasons, Refusal, Release, Rules, Setting, Shows, Sight, Target,
};

/// By this variable a process knows that it is the child; its value is the patience in milliseconds.
const ROLE: &str = "CONNTRUTH_LINUX_CHILD";

/// Serves as the child, where this process was started for that: then the program is over, with this code. It must be
/// called before the program has a second thread.
pub fn serve_if_asked() -> Option<ExitCode> {
    if let Ok(directory) = std::env::var(guest::ROLE) {
        guest::serve(&directory);
        return Some(ExitCode::FAILURE);
    }
    if let Some(code) = uml::serve_if_asked() {
        return Some(code);
    }
    let patience = std::env::var(ROLE).ok()?.parse().ok().map(Duration::from_millis)?;
    Some(match child::serve(patience) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

/// The running kernel.
#[derive(Debug)]
pub struct Linux {
    identity: Identity,
    patience: Duration,
    child: Option<Running>,
    /// Rules count time, and this was when the first packet came to them.
    counted: Counted,
}

/// Whether rules count time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    No,
    Yes,
    Since(Time),
}

#[derive(Debug)]
struct Running {
    child: Child,
    requests: BufWriter<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// The sysctls that a namespace has for itself.
    sysctls: Vec<String>,
}

impl Linux {
    /// The kernel that runs here. `patience`: how long one wait may take, for what cannot be aged.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] says what this machine lacks.
    pub fn new(patience: Duration) -> Result<Linux, Refusal> {
        let release = release();
        let mut linux = Linux {
            identity: Identity {
                name: "linux".to_owned(),
                profile: profile_of(&release),
                version: release,
                hz: u32::try_from(jiffies::Jiffies::new().a_second()).unwrap_or(250),
                abilities: Abilities {
                    time: Passing::Age,
                    confirms: Confirms::AtHook,
                    shows: Shows { reasons: Reasons::Invalid, windows: false, ..Shows::ALL },
                    protocols: Abilities::PROTOCOLS.map(str::to_owned).to_vec(),
                    sysctls: Vec::new(),
                    helpers: ["ftp", "irc", "tftp"].map(str::to_owned).to_vec(),
                    nat: true,
                    zones: true,
                    own_host: true,
                    rules: Rules::Own,
                    marks: true,
                    slack: Time::ZERO,
                },
            },
            patience,
            child: None,
            counted: Counted::No,
        };
        let sysctls = linux.running()?.sysctls.clone();
        linux.identity.abilities.sysctls = sysctls;
        Ok(linux)
    }

    /// The child, started anew where there is none.
    fn running(&mut self) -> Result<&mut Running, Refusal> {
        if self.child.is_none() {
            self.child = Some(Running::start(self.patience)?);
        }
        self.child.as_mut().ok_or_else(|| Refusal::Broken("no child".to_owned()))
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, Refusal> {
        let answer = self.running()?.ask(request);
        match answer {
            Ok(Answer::UsedUp) => {
                self.child = None;
                self.running()?.ask(request).map_err(gone)
            }
            Ok(Answer::Refused(refusal)) => Err(refusal),
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.child = None;
                Err(gone(error))
            }
        }
    }
}

impl Running {
    fn start(patience: Duration) -> Result<Running, Refusal> {
        let failed =
            |error: io::Error| Refusal::Unsupported(format!("this program cannot start itself: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(program)
            .env(ROLE, patience.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Refusal::Broken("the child has no pipes".to_owned()));
        };
        let mut running = Running {
            child,
            requests: BufWriter::with_capacity(1 << 16, requests),
            answers: BufReader::with_capacity(1 << 16, answers),
            sysctls: Vec::new(),
        };
        match pipe::read(&mut running.answers) {
            Ok(Some(Answer::Ready { sysctls })) => {
                running.sysctls = sysctls;
                Ok(running)
            }
            Ok(Some(Answer::Refused(refusal))) => Err(refusal),
            _ => Err(Refusal::Broken(
                "the child does not answer: a program that uses this target calls `serve_if_asked` first"
                    .to_owned(),
            )),
        }
    }

    fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        pipe::write(&mut self.requests, request)?;
        pipe::read(&mut self.answers)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It would end by itself when its input does; waiting for that leaves no zombie.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gone(error: io::Error) -> Refusal {
    Refusal::Broken(format!("the child of target linux has gone: {error}"))
}

fn unexpected<T>(answer: Answer) -> Result<T, Refusal> {
    match answer {
        Answer::Refused(refusal) => Err(refusal),
        _ => Err(Refusal::Broken("the child answers something else".to_owned())),
    }
}

impl Target for Linux {
    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    fn begin(&mut self, config: &Config) -> Result<(), Refusal> {
        self.counted = if config.rules.has_limits() { Counted::Yes } else { Counted::No };
        match self.ask(&Request::Begin(config.clone()))? {
            Answer::Done => Ok(()),
            other => unexpected(other),
        }
    }

    fn set(&mut self, setting: &Setting) -> Result<(), Refusal> {
        match self.ask(&Request::Set(setting.clone()))? {
            Answer::Done => Ok(()),
            other => unexpected(other),
        }
    }

    fn packet(&mut self, arrival: &Arrival) -> Result<Observation, Refusal> {
        match self.counted {
            Counted::No => {}
            Counted::Yes => self.counted = Counted::Since(arrival.at),
            // Entries can be made older from outside, a limit's tokens cannot.
            Counted::Since(first) if arrival.at > first => {
                let what = "a limit counts the kernel's own time, which does not jump here (it does with `linux:VERSION`)";
                return Err(Refusal::Unsupported(what.to_owned()));
            }
            Counted::Since(_) => {}
        }
        match self.ask(&Request::Packet(arrival.clone()))? {
            Answer::Observed(observation) => Ok(*observation),
            other => unexpected(other),
        }
    }

    fn release(&mut self, release: &Release) -> Result<Observation, Refusal> {
        match self.ask(&Request::Release(*release))? {
            Answer::Observed(observation) => Ok(*observation),
            other => unexpected(other),
        }
    }

    fn advance(&mut self, to: Time) -> Result<Vec<Happening>, Refusal> {
        match self.ask(&Request::Advance(to))? {
            Answer::Happened(events) => Ok(events),
            other => unexpected(other),
        }
    }

    fn table(&mut self) -> Result<Vec<Entry>, Refusal> {
        match self.ask(&Request::Table)? {
            Answer::Entries(entries) => Ok(entries),
            other => unexpected(other),
        }
    }

    fn expectations(&mut self) -> Result<Vec<Expected>, Refusal> {
        match self.ask(&Request::Expectations)? {
            Answer::Expected(expected) => Ok(expected),
            other => unexpected(other),
        }
    }

    fn counters(&mut self) -> Result<Vec<(String, Counter)>, Refusal> {
        match self.ask(&Request::Counters)? {
            Answer::Counters(counters) => Ok(counters),
            other => unexpected(other),
        }
    }

    fn baseline(&mut self, batch: &Batch) -> Result<Option<Duration>, Refusal> {
        // Worlds that are alone cost what they cost.
        if batch.config.rules.translates() {
            return Ok(None);
        }
        match self.ask(&Request::Baseline(batch.clone()))? {
            Answer::Took(nanos) => Ok(Some(Duration::from_nanos(nanos))),
            other => unexpected(other),
        }
    }

    fn batch(&mut self, batch: &Batch) -> Result<Vec<Vec<Sight>>, Refusal> {
        match self.ask(&Request::Batch(batch.clone()))? {
            Answer::Sights(sights) => Ok(sights),
            other => unexpected(other),
        }
    }
}

/// `6.18.44`, with whatever a distribution adds.
fn release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// The profile that a release should follow: that of its series.
fn profile_of(release: &str) -> String {
    let mut numbers = release.split(['.', '-']);
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => format!("linux-{major}.{minor}"),
        _ => format!("linux-{release}"),
    }
}
