//! The rules of the namespace, in nftables' words, loaded in one transaction: what makes the kernel track at all, what
//! does to a packet what its scenario says, and what tells its class.
//!
//! A packet brings a word along that says how it is to be treated, a [`Tag`]: in its Ethernet source address when it
//! comes in by a cable, as its socket's mark when the host itself sends it. The first rule makes it the packet's mark.
//!
//! The class is told in one of two ways. On the fast path a rule in FORWARD writes it into the DSCP field, to be read
//! off the packet when it comes out at the other end: that costs no further message. A packet that may never come out
//! (fragments, packets to or from the host, whatever a rule drops, anything odd) is logged right behind the tracker.

use std::io::Write;
use std::process::{Command, Stdio};

use conntruth_engine::{Class, CtInfo};

use super::namespace::Missing;

/// How a packet is to be treated: the mark that it has in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tag(pub(super) u32);

impl Tag {
    /// One of ours, not something that the kernel says by itself.
    pub(super) const OURS: Tag = Tag(0x8000_0000);
    /// A rule in raw says `notrack`.
    pub(super) const NOTRACK: Tag = Tag(0x0100_0000);
    /// Its class is logged behind the tracker.
    pub(super) const LOGGED: Tag = Tag(0x0200_0000);
    /// A rule drops it between tracking and confirmation.
    pub(super) const DROPPED: Tag = Tag(0x0400_0000);

    /// With the zone that a rule in raw puts it into.
    pub(super) const fn with_zone(self, zone: u16) -> Tag {
        Tag(self.0 | zone as u32)
    }

    pub(super) const fn with(self, other: Tag) -> Tag {
        Tag(self.0 | other.0)
    }
}

/// The NFLOG group in which classes are told; the kernel's own reasons come in group 0.
pub(super) const GROUP: u16 = 7;

/// Each class: how the log calls it, and the DSCP that stands for it.
const CLASSES: [(&str, Class); 7] = [
    ("I", Class::Invalid),
    ("U", Class::Untracked),
    ("N", Class::Tracked(CtInfo::New)),
    ("E", Class::Tracked(CtInfo::Established)),
    ("e", Class::Tracked(CtInfo::EstablishedReply)),
    ("R", Class::Tracked(CtInfo::Related)),
    ("r", Class::Tracked(CtInfo::RelatedReply)),
];

/// The class that a log line tells.
pub(super) fn logged(prefix: &[u8]) -> Option<Class> {
    CLASSES.iter().find(|(word, _)| word.as_bytes() == prefix).map(|(_, class)| *class)
}

/// The class that a packet's DSCP tells.
pub(super) fn written(dscp: u8) -> Option<Class> {
    CLASSES.get(usize::from(dscp).checked_sub(1)?).map(|(_, class)| *class)
}

/// How much of a logged packet is copied: enough to see whose it is, also when it quotes another.
const SNAP: u32 = 256;

/// The whole rule set.
fn rules() -> String {
    let say = |chain: &str, then: &dyn Fn(usize) -> String| {
        format!(
            "chain {chain}_i {{ {}; }}
             chain {chain}_u {{ {}; }}
             chain {chain}_n {{ {}; }}
             chain {chain}_e {{ ct direction original {} return; {}; }}
             chain {chain}_r {{ ct direction original {} return; {}; }}
             chain {chain} {{ ct state vmap {{ invalid : goto {chain}_i, untracked : goto {chain}_u, new : goto {chain}_n,
                              established : goto {chain}_e, related : goto {chain}_r }}; }}",
            then(0), then(1), then(2), then(3), then(4), then(5), then(6)
        )
    };
    let log = |class: usize| {
        format!("log prefix \"{}\" group {GROUP} queue-threshold 1 snaplen {SNAP}", CLASSES[class].0)
    };
    let dscp = |family: &'static str| move |class: usize| format!("{family} dscp set {}", class + 1);
    let bit = |tag: Tag| format!("meta mark & {:#x} != 0x0", tag.0);
    let (notrack, is_logged, dropped) = (bit(Tag::NOTRACK), bit(Tag::LOGGED), bit(Tag::DROPPED));
    let mut text = format!(
        "table inet conntruth {{
           map zones {{ typeof meta mark : ct zone; }}
           chain raw {{
             {notrack} notrack
             meta mark & 0xffff != 0x0 ct zone set meta mark & 0xffff map @zones
           }}
           chain entering {{ type filter hook prerouting priority raw - 10;
             iifname lo return
             meta mark set @ll,64,32
             jump raw
           }}
           chain leaving {{ type filter hook output priority raw - 10;
             meta mark & {ours:#x} == 0x0 drop
             jump raw
           }}
           {logs}
           {dscp4}
           {dscp6}
           chain entered {{ type filter hook prerouting priority -199;
             iifname lo return
             {is_logged} jump log_class
           }}
           chain left {{ type filter hook output priority -199; jump log_class; }}
           chain mark_class {{ meta nfproto vmap {{ ipv4 : goto dscp4, ipv6 : goto dscp6 }}; }}
           chain passing {{ type filter hook forward priority 200;
             {dropped} drop
             meta mark & {logged:#x} == 0x0 jump mark_class
           }}
           chain arriving {{ type filter hook input priority 200; {dropped} drop; }}
           chain going {{ type filter hook output priority 200; {dropped} drop; }}
         }}\n",
        ours = Tag::OURS.0,
        logged = Tag::LOGGED.0,
        logs = say("log_class", &log),
        dscp4 = say("dscp4", &dscp("ip")),
        dscp6 = say("dscp6", &dscp("ip6")),
    );
    // `nft` takes a rule a line.
    text = text.replace("; }}", ";\n}}");
    text
}

/// Loads the rules.
///
/// # Errors
/// When there is no `nft`, or it does not take them.
pub(super) fn load() -> Result<(), Missing> {
    nft(&rules())
}

/// Lets packets be put into these zones.
///
/// # Errors
/// When `nft` does not take it.
pub(super) fn allow_zones(zones: &[u16]) -> Result<(), Missing> {
    let pairs: Vec<String> = zones.iter().map(|zone| format!("{zone:#x} : {zone}")).collect();
    nft(&format!("add element inet conntruth zones {{ {} }}\n", pairs.join(", ")))
}

fn nft(text: &str) -> Result<(), Missing> {
    let started = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut nft = match started {
        Ok(child) => child,
        Err(_) => match Command::new("/usr/sbin/nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
        {
            Ok(child) => child,
            Err(error) => {
                return Err(Missing(format!("`nft` cannot be run ({error}): install nftables")));
            }
        },
    };
    if let Some(mut stdin) = nft.stdin.take() {
        // When it ends early it says why itself.
        let _ = stdin.write_all(text.as_bytes());
    }
    let ended = nft.wait_with_output().map_err(Missing::of("`nft` did not end"))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let line = said.lines().next().unwrap_or("it does not say why").trim();
    Err(Missing(format!("the kernel or `nft` does not take the rules: {line}")))
}
