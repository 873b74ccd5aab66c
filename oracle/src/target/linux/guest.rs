//! The first process of a guest: this very program once more, in a kernel that runs as a process of the host under
//! virtual time. It reads its whole job from a file, and writes the answers to another: a guest that waits for its host is
//! idle, and then its clock races.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use serde::{Deserialize, Serialize};

use super::child;
use super::clock::Clock;
use super::globals::Globals;
use super::kernel::Kernel;
use super::pipe;
use super::worlds::{Pace, Worlds};
use crate::target::{Arrival, Ask, Batch, Play, Played, Reading, Refusal, Said, Sight};

/// By this word on the kernel's command line a process knows that it is a guest's first; its value is the directory of
/// the job, on the host.
pub(super) const ROLE: &str = "CONNTRUTH_GUEST";
/// The files in that directory.
pub(super) const JOB: &str = "job";
pub(super) const ANSWERS: &str = "answers";

/// One thing that a guest is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Job {
    Play(Play),
    Batch(Batch),
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Done {
    /// First of all: the sysctls of a namespace there, and the kernel's ticks a second.
    Ready {
        sysctls: Vec<String>,
        hz: u32,
    },
    Played(Played),
    Sights(Result<Vec<Vec<Sight>>, Refusal>),
    /// The guest itself cannot be used, and why.
    Broken(String),
}

/// The guest's life: when it returns nothing is left to be done.
pub(super) fn serve(directory: &str) {
    if let Err(error) = work(directory) {
        let _ = writeln!(io::stderr(), "conntruth: {error}");
    }
    nix::unistd::sync();
    // The kernel ends, and with it the process that it is on the host.
    let _ = nix::sys::reboot::reboot(nix::sys::reboot::RebootMode::RB_POWER_OFF);
}

/// Where the host's directory appears.
const PLACE: &str = "/tmp/job";

const AN_HOUR: Duration = Duration::from_secs(3_600);
/// What wakes by itself, and need not. Networks of the hosts' neighbours are looked through every few seconds: as rarely as
/// every kernel takes it, in milliseconds.
const QUIET: [(&str, &str); 6] = [
    ("vm/dirty_writeback_centisecs", "0"),
    ("vm/stat_interval", "86400"),
    ("net/ipv4/neigh/default/base_reachable_time_ms", "21000000"),
    ("net/ipv4/neigh/default/interval_probe_time_ms", "21000000"),
    ("net/ipv6/neigh/default/base_reachable_time_ms", "21000000"),
    ("net/ipv6/neigh/default/interval_probe_time_ms", "21000000"),
];

fn work(directory: &str) -> io::Result<()> {
    let none: Option<&str> = None;
    let flags = MsFlags::empty();
    mount(none, "/proc", Some("proc"), flags, none)?;
    mount(none, "/dev", Some("devtmpfs"), flags, none)?;
    mount(none, "/tmp", Some("tmpfs"), flags, none)?;
    fs::create_dir(PLACE)?;
    mount(none, PLACE, Some("hostfs"), flags, Some(directory))?;
    // To sleep costs what wakes meanwhile: each of these would be half of it.
    for (file, value) in QUIET {
        // Not every version has each.
        let _ = fs::write(format!("/proc/sys/{file}"), value);
    }
    // A kernel counts jiffies from five minutes below zero, and in its first minutes takes what is relative for absolute
    // (`ct expiration` of a connection that is not confirmed): it is to be one that has run for a while.
    std::thread::sleep(AN_HOUR);
    let place = Path::new(PLACE);
    let mut jobs = BufReader::with_capacity(1 << 20, File::open(place.join(JOB))?);
    let file = File::options().write(true).open(place.join(ANSWERS))?;
    let mut answers = BufWriter::with_capacity(1 << 20, &file);
    // Before it is in a namespace of its own.
    let globals = Globals::open();
    let mut guest = match Guest::new(&globals) {
        Ok(guest) => guest,
        Err(what) => {
            pipe::write(&mut answers, &Done::Broken(what))?;
            answers.flush()?;
            return file.sync_all();
        }
    };
    let ready = Done::Ready { sysctls: super::kernel::sysctls(&globals), hz: hz() };
    pipe::put(&mut answers, &ready)?;
    while let Some(job) = pipe::read(&mut jobs)? {
        pipe::put(&mut answers, &guest.work(job))?;
    }
    answers.flush()?;
    file.sync_all()
}

/// The kernel's ticks a second.
fn hz() -> u32 {
    u32::try_from(super::jiffies::Jiffies::new().a_second()).unwrap_or(100)
}

struct Guest {
    worlds: Worlds,
    globals: Globals,
}

impl Guest {
    fn new(globals: &Globals) -> Result<Guest, String> {
        let kernel = Kernel::new(globals).map_err(|missing| missing.0)?;
        let clock = Clock::new(1_000_000_000 / u64::from(hz()));
        Ok(Guest { worlds: Worlds::new(kernel, Pace::Sleeping(clock)), globals: globals.clone() })
    }

    fn work(&mut self, job: Job) -> Done {
        match job {
            Job::Play(play) => Done::Played(self.play(&play)),
            Job::Batch(batch) => Done::Sights(self.batch(&batch)),
        }
    }

    fn play(&mut self, play: &Play) -> Played {
        if let Err(refusal) = self.begin(play) {
            return Played { refused: Some(refusal), said: Vec::new() };
        }
        Played { refused: None, said: play.asked(|ask| self.ask(ask)) }
    }

    /// A fresh world: fragments that the last one has left behind are slept away, or end with its network.
    fn begin(&mut self, play: &Play) -> Result<(), Refusal> {
        if self.worlds.is_used_up() && !self.worlds.forget_fragments() {
            *self = Guest::new(&self.globals).map_err(Refusal::Broken)?;
        }
        // Whatever takes another program is done before the world's time begins.
        let zone = |ask: &Ask| match ask {
            Ask::Packet(arrival) => Some(arrival.zone),
            _ => None,
        };
        self.worlds.kernel().set_rules(&play.config.rules)?;
        self.worlds.kernel().allow_zones(play.asks.iter().filter_map(zone))?;
        child::begin(&mut self.worlds, &play.config)
    }

    fn ask(&mut self, ask: &Ask) -> Result<Said, Refusal> {
        let worlds = &mut self.worlds;
        Ok(match ask {
            Ask::Set(setting) => child::set(worlds, setting).map(|()| Said::Done)?,
            Ask::Packet(arrival) => Said::Observed(Box::new(child::packet(worlds, arrival)?)),
            Ask::Release(release) => Said::Observed(Box::new(child::release(worlds, release)?)),
            Ask::Advance(to) => Said::Happened(worlds.advance(*to)?),
            Ask::Table => Said::Entries(worlds.table()?),
            Ask::Counters => Said::Counted(worlds.kernel().counters()?),
            Ask::Expectations => Said::Expected(worlds.expectations()?),
        })
    }

    /// All worlds of a batch on one clock: moment by moment, and in each moment one packet of each world after the other.
    fn batch(&mut self, batch: &Batch) -> Result<Vec<Vec<Sight>>, Refusal> {
        child::prepare(&mut self.worlds, batch)?;
        let mut seen: Vec<Vec<Sight>> =
            batch.worlds.iter().map(|world| Vec::with_capacity(world.len())).collect();
        loop {
            let next = |(world, seen): (usize, &Vec<Sight>)| {
                batch.worlds[world].get(seen.len()).map(|arrival| (world, arrival, seen.len()))
            };
            let waiting: Vec<(usize, &Arrival, usize)> = seen.iter().enumerate().filter_map(next).collect();
            let Some(moment) = waiting.iter().map(|(_, arrival, _)| arrival.at).min() else {
                return Ok(seen);
            };
            let now = waiting.into_iter().filter(|(_, arrival, _)| arrival.at == moment);
            let (moves, read): (Vec<(usize, &Arrival)>, Vec<bool>) = now
                .map(|(world, arrival, step)| {
                    let is_read = match batch.reading {
                        Reading::Each => true,
                        Reading::Last => step + 1 == batch.worlds[world].len(),
                        Reading::Never => false,
                    };
                    ((world, arrival), is_read)
                })
                .unzip();
            let sights = self.worlds.step(&moves, &read)?;
            for ((world, _), sight) in moves.iter().zip(sights) {
                seen[*world].push(sight);
            }
        }
    }
}
