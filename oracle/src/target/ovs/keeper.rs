//! The programs of the switch, and their directory: a child of this program starts them, waits until its input ends -
//! which it does when this process is gone, however that came about -, ends them, and removes the directory.
//!
//! The child is this very program once more, in a process group of its own, so that a key that ends the program does not
//! end the one who cleans up. The daemons end with the child: also where it is killed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Refusal, rules};
use crate::target::mortal;

/// By this variable a process knows that it is the keeper.
const KEEPER: &str = "CONNTRUTH_OVS_KEEPER";

/// What starting may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How to get it.
const INSTALL: &str = "install Open vSwitch (Debian: `apt-get install openvswitch-switch`)";

/// What the keeper says when all is up, or what is missing.
#[derive(Debug, Serialize, Deserialize)]
enum Report {
    Up { directory: PathBuf, version: String },
    Missing(String),
}

/// Serves as keeper, where this process was started for that.
pub(in crate::target) fn serve_if_asked() -> Option<ExitCode> {
    std::env::var_os(KEEPER).map(|_| {
        keep();
        ExitCode::SUCCESS
    })
}

/// The other side of the keeper.
#[derive(Debug)]
pub(super) struct Keeper {
    child: Child,
    directory: PathBuf,
    version: String,
}

impl Keeper {
    /// Starts the programs.
    ///
    /// # Errors
    /// What this machine lacks.
    pub(super) fn start() -> Result<Keeper, Refusal> {
        let failed =
            |error: io::Error| Refusal::Unsupported(format!("this program cannot start itself: {error}"));
        let mut child = Command::new(std::env::current_exe().map_err(failed)?)
            .env(KEEPER, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(failed)?;
        }
        let ends = |mut child: Child| {
            drop(child.stdin.take());
            let _ = child.wait();
        };
        match serde_json::from_str(&line) {
            Ok(Report::Up { directory, version }) => Ok(Keeper { child, directory, version }),
            Ok(Report::Missing(what)) => {
                ends(child);
                Err(Refusal::Unsupported(what))
            }
            Err(_) => {
                ends(child);
                let what = "the keeper does not answer: a program that uses this target calls `serve_if_asked` first";
                Err(Refusal::Broken(what.to_owned()))
            }
        }
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// The daemon's control socket.
    pub(super) fn control(&self) -> PathBuf {
        self.directory.join(CONTROL)
    }

    /// A file that records packets.
    pub(super) fn recording(&self, number: u32) -> PathBuf {
        recording(&self.directory, number)
    }

    /// Records packets there from now on.
    ///
    /// # Errors
    /// When the switch does not take it.
    pub(super) fn record_to(&self, path: &Path) -> Result<(), Refusal> {
        let option = format!("options:tx_pcap={}", path.display());
        self.switch().configure(&["set", "Interface", rules::RECORDER, &option]).map(|_| ())
    }

    /// Loads flow rules.
    ///
    /// # Errors
    /// When the switch does not take them.
    pub(super) fn flows(&self, text: &str) -> Result<(), Refusal> {
        let bridge = format!("unix:{}", self.directory.join(format!("{}.mgmt", rules::BRIDGE)).display());
        run(&self.directory, "ovs-ofctl", &["add-flows", &bridge, "-"], text)
            .map(|_| ())
            .map_err(Refusal::Broken)
    }

    /// What configures the switch.
    pub(super) fn switch(&self) -> Switch {
        Switch { directory: self.directory.clone() }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Its input ends, and it cleans up.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The switch's database.
#[derive(Clone, Debug)]
pub(super) struct Switch {
    directory: PathBuf,
}

/// The name of a datapath in the database: its type.
const DATAPATH: &str = "dummy";

impl Switch {
    /// Commands of `ovs-vsctl`; returns when the switch has done as it was told.
    fn configure(&self, arguments: &[&str]) -> Result<String, Refusal> {
        vsctl(&self.directory, arguments).map_err(Refusal::Broken)
    }

    /// Gives a zone timeouts, in seconds.
    pub(super) fn add_policy(&self, zone: u16, policy: &BTreeMap<&str, u64>) -> Result<(), Refusal> {
        let zone = format!("zone={zone}");
        let values = values(policy);
        let mut arguments = vec!["add-zone-tp", DATAPATH, &zone];
        arguments.extend(values.iter().map(String::as_str));
        self.configure(&arguments).map(|_| ())
    }

    /// Gives all zones that have timeouts others.
    pub(super) fn set_policies(&self, policy: &BTreeMap<&str, u64>) -> Result<(), Refusal> {
        let all = self.configure(&["--bare", "--columns=_uuid", "list", "CT_Timeout_Policy"])?;
        let values: Vec<String> = values(policy).iter().map(|value| format!("timeouts:{value}")).collect();
        let mut arguments: Vec<&str> = Vec::new();
        for uuid in all.split_whitespace() {
            arguments.extend(["--", "set", "CT_Timeout_Policy", uuid]);
            arguments.extend(values.iter().map(String::as_str));
        }
        self.configure(&arguments).map(|_| ())
    }
}

fn values(policy: &BTreeMap<&str, u64>) -> Vec<String> {
    policy.iter().map(|(name, seconds)| format!("{name}={seconds}")).collect()
}

/// Files in the directory.
const DATABASE: &str = "conf.db";
const SOCKET: &str = "db.sock";
const CONTROL: &str = "vswitchd.ctl";

fn recording(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("record-{number}.pcap"))
}

fn remote(directory: &Path) -> String {
    format!("unix:{}", directory.join(SOCKET).display())
}

/// The keeper's life.
fn keep() {
    let mut daemons = Vec::new();
    let directory = match directory() {
        Ok(directory) => directory,
        Err(error) => return say(&Report::Missing(format!("there is no place for its files: {error}"))),
    };
    match start(&directory, &mut daemons) {
        Ok(version) => say(&Report::Up { directory: directory.clone(), version }),
        Err(what) => say(&Report::Missing(what)),
    }
    // Nobody writes: what there is to be read is the end.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    for daemon in daemons.iter_mut().rev() {
        let _ = daemon.kill();
        let _ = daemon.wait();
    }
    let _ = fs::remove_dir_all(&directory);
}

fn say(report: &Report) {
    if let Ok(text) = serde_json::to_string(report) {
        let mut out = io::stdout();
        // Nobody may be listening any more: then the input has ended too.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}

/// A directory that only we can enter; its name is short, since it stands in the names of sockets.
fn directory() -> io::Result<PathBuf> {
    let parent = std::env::temp_dir();
    for number in 0..1_000_u32 {
        let path = parent.join(format!("conntruth-ovs-{}-{number}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(path),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Starts all of it, and says which version it is.
fn start(directory: &Path, daemons: &mut Vec<Child>) -> Result<String, String> {
    let version = run(directory, "ovs-vswitchd", &["--version"], "")?;
    let first = version.lines().next().unwrap_or_default();
    let version = first.rsplit(' ').next().unwrap_or(first).to_owned();
    let database = directory.join(DATABASE).display().to_string();
    run(directory, "ovsdb-tool", &["create", &database], "")?;
    let socket = directory.join(SOCKET);
    let at = |option: &str, file: &str| format!("{option}{}", directory.join(file).display());
    let quiet = ["-vconsole:emer", "-vsyslog:off", "-vfile:off"];
    let mut arguments = vec![database, at("--remote=punix:", SOCKET), at("--unixctl=", "ovsdb.ctl")];
    arguments.extend(quiet.map(str::to_owned));
    daemons.push(daemon(directory, "ovsdb-server", &arguments)?);
    wait_for(&socket, daemons)?;
    vsctl(directory, &["--no-wait", "init"])?;
    let mut arguments = vec![remote(directory), at("--unixctl=", CONTROL)];
    arguments
        .extend(["--enable-dummy=override", "--disable-system", "--disable-system-route"].map(str::to_owned));
    arguments.extend(quiet.map(str::to_owned));
    daemons.push(daemon(directory, "ovs-vswitchd", &arguments)?);
    wait_for(&directory.join(CONTROL), daemons)?;
    vsctl(directory, &bridge(directory).iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(version)
}

/// The bridge, its three ports, and a row for its datapath, to which timeouts belong.
fn bridge(directory: &Path) -> Vec<String> {
    let name = rules::BRIDGE;
    let mut text = format!(
        "-- add-br {name} -- set bridge {name} datapath-type={DATAPATH} fail-mode=secure \
         -- --id=@m create Datapath datapath_version=0 -- set Open_vSwitch . datapaths:{DATAPATH}=@m"
    );
    let [inside, outside] = rules::PORTS;
    for (number, port) in [inside, outside, rules::RECORDER].into_iter().enumerate() {
        let number = number + 1;
        // As large as packets can be: what does not fit is lost without a word.
        text += &format!(
            " -- add-port {name} {port} -- set Interface {port} type=dummy ofport_request={number} mtu_request=65535"
        );
    }
    let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    // The directory's name may have a space in it.
    words.push(format!("options:tx_pcap={}", recording(directory, 0).display()));
    words
}

/// `ovs-vsctl`, which waits until the switch has done as it was told.
fn vsctl(directory: &Path, arguments: &[&str]) -> Result<String, String> {
    let database = format!("--db={}", remote(directory));
    let timeout = format!("--timeout={}", PATIENCE.as_secs());
    run(directory, "ovs-vsctl", &[&[&*database, &*timeout], arguments].concat(), "")
}

/// The environment in which nothing of an Open vSwitch that runs on this machine is found.
fn privately<'a>(command: &'a mut Command, directory: &Path) -> &'a mut Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more =
        std::env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from));
    if let Ok(path) = std::env::join_paths(more) {
        command.env("PATH", path);
    }
    for name in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"] {
        command.env(name, directory);
    }
    command.env_remove(KEEPER)
}

/// Runs a program to its end, with `input` on its standard input.
fn run(directory: &Path, program: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    let mut command = Command::new(find(program)?);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        privately(&mut command, directory).spawn().map_err(|error| format!("`{program}`: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // When it ends early it says why itself.
        let _ = stdin.write_all(input.as_bytes());
    }
    let ended = child.wait_with_output().map_err(|error| format!("`{program}` did not end: {error}"))?;
    if ended.status.success() {
        return Ok(String::from_utf8_lossy(&ended.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let line = said.lines().next().unwrap_or("it does not say why").trim();
    Err(format!("`{program}` fails: {line}"))
}

/// Where a program is: ordinary users often have no `sbin` in their path.
fn find(program: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from));
    folders
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("there is no `{program}`: {INSTALL}"))
}

/// A daemon that ends with this process.
fn daemon(directory: &Path, program: &str, arguments: &[String]) -> Result<Child, String> {
    let failed = |error: io::Error| format!("`{program}` cannot be started: {error}");
    let mut command = mortal::command(&find(program)?).map_err(failed)?;
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(directory.join(format!("{program}.err"))).map_err(failed)?);
    privately(&mut command, directory).spawn().map_err(failed)
}

/// Waits until a daemon listens to its socket.
#[allow(clippy::disallowed_methods)]
fn wait_for(socket: &Path, daemons: &mut [Child]) -> Result<(), String> {
    let started = Instant::now();
    while std::os::unix::net::UnixStream::connect(socket).is_err() {
        let ended = daemons.iter_mut().any(|daemon| matches!(daemon.try_wait(), Ok(Some(_)) | Err(_)));
        if ended || started.elapsed() > PATIENCE {
            let name = socket.file_name().unwrap_or_default().to_string_lossy();
            return Err(format!("its daemon does not come up ({name}): {}", complaint(socket)));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// What daemons have said before they ended.
fn complaint(socket: &Path) -> String {
    let files = ["ovs-vswitchd.err", "ovsdb-server.err"].map(|file| socket.with_file_name(file));
    let said = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    said.flat_map(|text| text.lines().next().map(str::to_owned))
        .next()
        .unwrap_or_else(|| "it does not say why".to_owned())
}
