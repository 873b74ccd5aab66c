//! The tracker of a running kernel, as it can be reached from a namespace of our own: packets go in, and what became of
//! them is read from the far ends of the cables, from NFLOG and from ctnetlink. It knows nothing of worlds or of time.
//!
//! All of it is synchronous: when a packet's `send` returns, the kernel has tracked, filtered and forwarded it, and
//! whatever there is to be read lies in the sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use conntruth_engine::{Counter, EventKind, Knob, RuleSet, Tuple};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, sendto, setsockopt,
    socket, sockopt,
};

use super::ctnetlink::{self, Told};
use super::namespace::{self, ADDRESS, Missing, Network};
use super::netlink::{Messages, Socket};
use super::nflog::{self, Logged};
use super::nfqueue::{self, Queued};
use super::nft::Nft;
use super::rules::{self, Tag};
use super::sys::{self, Inbox};
use crate::target::{Entry, Expected, Refusal, Setting};

/// The length of an Ethernet header.
const ETHERNET: usize = 14;
/// How much of a packet that comes out is read: its network header.
const HEAD: usize = ETHERNET + 60;
/// The same where packets may be translated: all of it, as large as worlds send them.
const WHOLE: usize = ETHERNET + 9216;
/// How many of these are read in one call.
const WHOLE_ROOM: usize = 8;
/// How many messages are read in one call.
const ROOM: usize = 64;

/// A namespace with a tracker in it.
pub(super) struct Kernel {
    network: Network,
    nft: Nft,
    /// Sockets of the host itself for whole packets: IPv4, IPv6.
    own: [OwnedFd; 2],
    own_tag: Option<Tag>,
    log: Socket,
    /// Where packets wait, in a kernel that can keep them.
    queue: Option<Socket>,
    requests: Socket,
    events: Socket,
    out: Inbox,
    /// Settings that are not at their defaults, with those.
    changed: Vec<(String, String)>,
    zones: Vec<u16>,
    routes: Vec<(IpAddr, String)>,
    /// The rules of the scenario that are loaded.
    rules: RuleSet,
}

/// Where a packet enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entrance {
    /// By a cable: 0 is inside, 1 outside.
    Cable(usize),
    /// The host itself sends it.
    Own,
}

/// A packet on its way in.
pub(super) struct Injection<'a> {
    pub(super) entrance: Entrance,
    pub(super) tag: Tag,
    pub(super) bytes: &'a [u8],
}

/// Setting it up took longer than this: something is wrong with it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be removed: of the same moment an expectation first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Expected,
    Entry,
}

impl Kernel {
    /// Makes the namespace, with this process in it.
    ///
    /// # Errors
    /// What this machine lacks for it.
    pub(super) fn new() -> Result<Kernel, Missing> {
        let network = namespace::enter()?;
        let own = [own_socket(AddressFamily::Inet)?, own_socket(AddressFamily::Inet6)?];
        let log = nflog::open().map_err(Missing::of("NFLOG cannot be listened to"))?;
        let requests = ctnetlink::requests().map_err(Missing::of("ctnetlink is not there"))?;
        let events =
            ctnetlink::events().map_err(Missing::of("the tracker's events cannot be listened to"))?;
        let mut nft = Nft::new();
        rules::load(&mut nft)?;
        let queue = nfqueue::open().and_then(|mut queue| nfqueue::fill(&mut queue).map(|()| queue)).ok();
        let mut kernel = Kernel {
            network,
            nft,
            own,
            own_tag: None,
            log,
            queue,
            requests,
            events,
            out: Inbox::new(ROOM, HEAD),
            changed: Vec::new(),
            zones: Vec::new(),
            routes: Vec::new(),
            rules: RuleSet::default(),
        };
        kernel.log_invalid()?;
        kernel.warm_up()?;
        Ok(kernel)
    }

    /// Has the kernel say why it finds packets INVALID.
    fn log_invalid(&mut self) -> Result<(), Missing> {
        for (file, value) in [
            ("net/netfilter/nf_log/2", "nfnetlink_log"),
            ("net/netfilter/nf_log/10", "nfnetlink_log"),
            ("net/netfilter/nf_conntrack_log_invalid", "255"),
        ] {
            std::fs::write(format!("/proc/sys/{file}"), value).map_err(|error| {
                Missing(format!("/proc/sys/{file} cannot be set in the namespace: {error}"))
            })?;
        }
        Ok(())
    }

    /// For a moment after the interfaces are up, packets vanish: some are sent until they come out both ways.
    #[allow(clippy::disallowed_methods)]
    fn warm_up(&mut self) -> Result<(), Missing> {
        let inside = [10, 0, 0, 250];
        let outside = [10, 0, 1, 250];
        let started = Instant::now();
        for (side, src, dst) in [(0, inside, outside), (1, outside, inside)] {
            let packet = throwaway(src, dst);
            let mut through = false;
            while !through {
                if started.elapsed() > PATIENCE {
                    return Err(Missing("nothing is forwarded through the namespace".to_owned()));
                }
                let injection =
                    Injection { entrance: Entrance::Cable(side), tag: Tag::NOTRACK, bytes: &packet };
                self.inject(&[injection]).map_err(Missing::of("packets cannot be sent"))?;
                self.came_out(|out| through |= out.starts_with(&[0x45])).map_err(Missing::of("packets"))?;
                if !through {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
        self.settle().map_err(Missing::of("the namespace does not come to rest"))
    }

    /// Empties the table, and forgets all that was said so far.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        self.requests.command(&ctnetlink::flush())?;
        // What was lost while nobody read is of no interest.
        let lost = |result: io::Result<()>| match result {
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(()),
            other => other,
        };
        for _ in 0..2 {
            lost(self.events(|_| {}))?;
            lost(self.logged(|_| {}))?;
        }
        self.came_out(|_| {})
    }

    /// All settings back to what a new namespace has.
    ///
    /// # Errors
    /// When the kernel refuses what it said before.
    pub(super) fn reset_settings(&mut self) -> io::Result<()> {
        while let Some((path, value)) = self.changed.pop() {
            std::fs::write(path, value)?;
        }
        Ok(())
    }

    /// Sets a sysctl.
    ///
    /// # Errors
    /// When there is no such knob, the kernel refuses the value, or a namespace cannot have its own.
    pub(super) fn set(&mut self, setting: &Setting) -> Result<(), Refusal> {
        let knob = Knob::find(&setting.name)
            .ok_or_else(|| Refusal::Wrong(format!("there is no sysctl `{}`", setting.name)))?;
        let name = knob.info().name;
        let path = path_of(name);
        let before = std::fs::read_to_string(&path)
            .map_err(|error| Refusal::Unsupported(format!("{name} is not in a namespace: {error}")))?;
        std::fs::write(&path, setting.value.to_string()).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                Refusal::Unsupported(format!("{name} is the host's, not a namespace's"))
            }
            _ => Refusal::Wrong(format!("{name} = {}: {error}", setting.value)),
        })?;
        if !self.changed.iter().any(|(changed, _)| *changed == path) {
            self.changed.push((path, before.trim().to_owned()));
        }
        Ok(())
    }

    /// Loads the rules of a scenario, with counters at zero, or takes those of the last one away.
    ///
    /// # Errors
    /// When this version does not know them, or the kernel does not take them.
    pub(super) fn set_rules(&mut self, rules: &RuleSet) -> Result<(), Refusal> {
        if let Some((rule, what)) = rules.unsupported() {
            return Err(Refusal::Unsupported(format!("`{rule}`: {what} is not in this version")));
        }
        if rules.is_empty() && self.rules.is_empty() {
            return Ok(());
        }
        rules::replace(&mut self.nft, rules).map_err(|missing| {
            match missing.0.contains("No such file or directory") {
                true => Refusal::Unsupported(format!("this kernel lacks what a rule needs: {}", missing.0)),
                false => Refusal::Wrong(missing.0),
            }
        })?;
        if let Some(queue) = &mut self.queue {
            nfqueue::fill(queue).map_err(|error| Refusal::Broken(format!("the kernel: {error}")))?;
        }
        self.out = match rules.translates() {
            true => Inbox::new(WHOLE_ROOM, WHOLE),
            false => Inbox::new(ROOM, HEAD),
        };
        self.rules = rules.clone();
        self.zones.clear();
        Ok(())
    }

    /// Whether packets can be kept between tracking and confirmation.
    pub(super) fn keeps(&self) -> bool {
        self.queue.is_some()
    }

    /// Whether packets may be translated.
    pub(super) fn translates(&self) -> bool {
        self.rules.translates()
    }

    /// Whether those assign helpers.
    pub(super) fn has_helpers(&self) -> bool {
        !self.rules.helpers().is_empty()
    }

    /// Whether a scenario's rules are loaded.
    pub(super) fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// What the named counters of the scenario's rules have counted.
    ///
    /// # Errors
    /// When `nft` fails.
    pub(super) fn counters(&mut self) -> Result<Vec<(String, Counter)>, Refusal> {
        if !self.has_rules() {
            return Ok(Vec::new());
        }
        rules::counters(&mut self.nft).map_err(|missing| Refusal::Broken(missing.0))
    }

    /// Lets packets be put into these zones.
    ///
    /// # Errors
    /// When `nft` fails.
    pub(super) fn allow_zones(&mut self, zones: impl Iterator<Item = u16>) -> Result<(), Refusal> {
        let mut new: Vec<u16> = zones.filter(|zone| *zone != 0 && !self.zones.contains(zone)).collect();
        new.sort_unstable();
        new.dedup();
        if !new.is_empty() {
            rules::allow_zones(&mut self.nft, &new).map_err(|missing| Refusal::Broken(missing.0))?;
            self.zones.append(&mut new);
        }
        Ok(())
    }

    /// Sends packets: those of each cable together, those of the host itself one by one.
    ///
    /// # Errors
    /// When a socket does not take one.
    pub(super) fn inject(&mut self, injections: &[Injection<'_>]) -> io::Result<()> {
        for side in 0..self.network.ends.len() {
            let frames: Vec<Vec<u8>> = injections
                .iter()
                .filter(|injection| injection.entrance == Entrance::Cable(side))
                .map(frame)
                .collect();
            let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            if !frames.is_empty() {
                sys::send_all(self.network.ends[side].as_fd(), &frames)?;
            }
        }
        for injection in injections.iter().filter(|injection| injection.entrance == Entrance::Own) {
            self.send_own(injection)?;
        }
        Ok(())
    }

    fn send_own(&mut self, injection: &Injection<'_>) -> io::Result<()> {
        let tag = injection.tag.with(Tag::OURS);
        if self.own_tag != Some(tag) {
            for socket in &self.own {
                setsockopt(socket, sockopt::Mark, &tag.0)?;
            }
            self.own_tag = Some(tag);
        }
        let bytes = injection.bytes;
        let sent = match (bytes.first().map(|byte| byte >> 4), bytes.get(16..20), bytes.get(24..40)) {
            (Some(6), _, Some(dst)) => {
                let dst: [u8; 16] = dst.try_into().unwrap_or_default();
                let to = SockaddrIn6::from(std::net::SocketAddrV6::new(Ipv6Addr::from(dst), 0, 0, 0));
                sendto(self.own[1].as_raw_fd(), bytes, &to, MsgFlags::empty())
            }
            (_, Some(dst), _) => {
                let dst = Ipv4Addr::new(dst[0], dst[1], dst[2], dst[3]);
                let to = SockaddrIn::from(std::net::SocketAddrV4::new(dst, 0));
                sendto(self.own[0].as_raw_fd(), bytes, &to, MsgFlags::empty())
            }
            _ => return Err(io::Error::from(io::ErrorKind::InvalidInput)),
        };
        match sent {
            Ok(_) => Ok(()),
            // A rule has dropped it: that is what was to be seen.
            Err(nix::errno::Errno::EPERM) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The packets that have come out at the far ends, from the network header on.
    ///
    /// # Errors
    /// When a socket is broken.
    pub(super) fn came_out(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        for end in &self.network.ends {
            loop {
                let count = self.out.receive(end.as_fd())?;
                self.out.messages().filter_map(|message| message.get(ETHERNET..)).for_each(&mut each);
                if count < self.out.room() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// What was logged: the kernel's reasons, and classes, in order.
    ///
    /// # Errors
    /// When some of it was lost.
    pub(super) fn logged(&mut self, mut each: impl FnMut(&Logged<'_>)) -> io::Result<()> {
        self.log.drain(|reply| {
            if let Some(logged) = nflog::read(reply) {
                each(&logged);
            }
        })?;
        Ok(())
    }

    /// The packets that wait since this was last asked, in order.
    ///
    /// # Errors
    /// When some were lost.
    pub(super) fn queued(&mut self, mut each: impl FnMut(&Queued<'_>)) -> io::Result<()> {
        let Some(queue) = &mut self.queue else { return Ok(()) };
        queue.drain(|reply| {
            if let Some(queued) = nfqueue::read(reply) {
                each(&queued);
            }
        })?;
        Ok(())
    }

    /// Lets a packet that waits go on, or ends it.
    ///
    /// # Errors
    /// When it does not wait.
    pub(super) fn decide(&mut self, id: u32, passes: bool) -> io::Result<()> {
        match &mut self.queue {
            Some(queue) => queue.command(&nfqueue::decide(id, passes)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Events, in order. Those of changes that we asked for are left out: ageing is no event.
    ///
    /// # Errors
    /// When some were lost.
    pub(super) fn events(&mut self, mut each: impl FnMut(Told)) -> io::Result<()> {
        let port = self.requests.port();
        self.events.drain(|reply| {
            let told = ctnetlink::event(reply);
            if let Some(told) = told.filter(|told| {
                told.port != port || matches!(told.kind, EventKind::Destroy | EventKind::ExpectDestroy)
            }) {
                each(told);
            }
        })?;
        Ok(())
    }

    /// Reads entries, each by a request made before; none for those that are not there.
    ///
    /// # Errors
    /// When the kernel answers something else.
    pub(super) fn read<'a>(
        &mut self,
        requests: impl Iterator<Item = &'a [u8]>,
        mut each: impl FnMut(Option<Entry>),
    ) -> io::Result<()> {
        let mut messages = Messages::default();
        let mut requests = requests.peekable();
        while let Some(request) = requests.next() {
            messages.append(request);
            if messages.len() == ROOM || requests.peek().is_none() {
                self.requests.ask(&messages, |reply| each(ctnetlink::entry(reply)))?;
                messages.clear();
            }
        }
        Ok(())
    }

    /// The same system calls as [`Kernel::read`], with nobody reading the answers.
    ///
    /// # Errors
    /// When a socket is broken.
    pub(super) fn read_unread<'a>(&mut self, requests: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        let mut messages = Messages::default();
        let mut requests = requests.peekable();
        while let Some(request) = requests.next() {
            messages.append(request);
            if messages.len() == ROOM || requests.peek().is_none() {
                self.requests.send(&messages)?;
                self.requests.skip()?;
                messages.clear();
            }
        }
        Ok(())
    }

    /// Takes all messages and packets that are there, and looks at none.
    ///
    /// # Errors
    /// When a socket is broken.
    pub(super) fn skip(&mut self) -> io::Result<()> {
        self.log.skip()?;
        for end in &self.network.ends {
            while self.out.receive(end.as_fd())? == self.out.room() {}
        }
        self.events.skip()
    }

    /// All entries of the table, in no order.
    ///
    /// # Errors
    /// When the listing breaks off.
    pub(super) fn table(&mut self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.requests.dump(&ctnetlink::dump(), |reply| entries.extend(ctnetlink::entry(reply)))?;
        Ok(entries)
    }

    /// All expectations, in no order.
    ///
    /// # Errors
    /// When the listing breaks off.
    pub(super) fn expectations(&mut self) -> io::Result<Vec<Expected>> {
        let mut all = Vec::new();
        let message = ctnetlink::dump_expectations();
        self.requests.dump(&message, |reply| all.extend(ctnetlink::expectation(reply)))?;
        Ok(all)
    }

    /// Has hosts live behind interfaces where a route by their network would not find them.
    ///
    /// # Errors
    /// When the kernel takes no such route.
    pub(super) fn set_routes(&mut self, routes: &[(IpAddr, String)]) -> io::Result<()> {
        if self.routes != routes {
            namespace::replace_routes(&self.routes, routes)?;
            self.routes = routes.to_vec();
        }
        Ok(())
    }

    /// Gives entries other timeouts, in seconds.
    ///
    /// # Errors
    /// When the kernel refuses; that an entry is gone is no error.
    pub(super) fn age<'a>(&mut self, entries: impl Iterator<Item = (&'a Tuple, u16, u32)>) -> io::Result<()> {
        let mut messages = Messages::default();
        for (tuple, zone, seconds) in entries {
            ctnetlink::push_timeout(&mut messages, tuple, zone, seconds);
            if messages.len() == ROOM {
                self.requests.ask(&messages, |_| {})?;
                messages.clear();
            }
        }
        self.requests.ask(&messages, |_| {})
    }

    /// Removes entries and expectations, in this order.
    ///
    /// # Errors
    /// When the kernel refuses; that an entry is gone is no error.
    pub(super) fn remove(&mut self, gone: impl Iterator<Item = (What, Tuple, u16)>) -> io::Result<()> {
        let mut messages = Messages::default();
        for (what, tuple, zone) in gone {
            match what {
                What::Expected => ctnetlink::push_delete_expected(&mut messages, &tuple, zone),
                What::Entry => ctnetlink::push_delete(&mut messages, &tuple, zone),
            }
            if messages.len() == ROOM {
                self.requests.ask(&messages, |_| {})?;
                messages.clear();
            }
        }
        self.requests.ask(&messages, |_| {})
    }
}

/// The sysctls that this namespace has for itself.
pub(super) fn sysctls() -> Vec<String> {
    let is_ours = |name: &&str| std::fs::OpenOptions::new().write(true).open(path_of(name)).is_ok();
    Knob::ALL.iter().map(|knob| knob.name).filter(is_ours).map(str::to_owned).collect()
}

/// The file that a sysctl is.
fn path_of(name: &str) -> String {
    format!("/proc/sys/{}", name.replace('.', "/"))
}

fn own_socket(family: AddressFamily) -> Result<OwnedFd, Missing> {
    // The protocol RAW takes packets with their network header.
    let opened = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw);
    opened.map_err(|error| Missing(format!("the host's own packets cannot be sent (raw sockets): {error}")))
}

/// A packet with the Ethernet header that takes it to the tracker, and its tag along.
fn frame(injection: &Injection<'_>) -> Vec<u8> {
    let is_v6 = injection.bytes.first().is_some_and(|byte| byte >> 4 == 6);
    let kind = if is_v6 { libc::ETH_P_IPV6 } else { libc::ETH_P_IP };
    let mut frame = Vec::with_capacity(ETHERNET + injection.bytes.len());
    frame.extend_from_slice(&ADDRESS);
    frame.extend_from_slice(&[0x02, 0]);
    // The rule takes the bytes as they lie.
    frame.extend_from_slice(&injection.tag.0.to_ne_bytes());
    frame.extend_from_slice(&(kind as u16).to_be_bytes());
    frame.extend_from_slice(injection.bytes);
    frame
}

/// A packet of a protocol for experiments.
fn throwaway(src: [u8; 4], dst: [u8; 4]) -> Vec<u8> {
    let mut packet = Vec::new();
    let header = etherparse::Ipv4Header::new(4, 64, etherparse::IpNumber(253), src, dst);
    // Writing to a vector cannot fail.
    if let Ok(header) = header {
        let _ = header.write(&mut packet);
    }
    packet.extend_from_slice(b"warm");
    packet
}
