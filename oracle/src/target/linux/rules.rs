//! The rules of the namespace, in nftables' words, loaded in one transaction: what makes the kernel track at all, what
//! does to a packet what its scenario says, and what tells its class.
//!
//! A packet brings a word along that says how it is to be treated, a [`Tag`]: in its Ethernet source address when it
//! comes in by a cable, as its socket's mark when the host itself sends it. The first rule makes it the packet's mark.
//!
//! A scenario may have rules of its own. They are loaded as they stand, as a table beside ours, and packets are theirs:
//! ours then leaves the mark alone, knows packets by their Ethernet addresses and priorities instead, and logs every one:
//! when it comes in, behind the tracker, and where it reaches the host. What the host sends by a `reject` is logged, too.
//!
//! The class is told in one of two ways. On the fast path a rule in FORWARD writes it into the DSCP field, to be read
//! off the packet when it comes out at the other end: that costs no further message. A packet that may never come out
//! (fragments, packets to or from the host, whatever a rule drops, anything odd) is logged right behind the tracker.

use conntruth_engine::{Class, Counter, CtInfo, RuleSet};

use super::namespace::Missing;
use super::nft::Nft;

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
    /// A rule keeps it there, until it is said how it goes on.
    pub(super) const WAITS: Tag = Tag(0x0800_0000);

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

/// The queue in which packets wait.
pub(super) const QUEUE: u16 = 7;

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

/// What a log line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// A packet came as far as the first rule.
    Came,
    /// It passed the tracker, which has this to say.
    Class(Class),
    /// Its connection is in this zone.
    Zone(u16),
    /// It reached the host, and no rule had stopped it.
    Arrived,
    /// A `reject` has sent this one.
    Sent(Class),
}

/// How the log calls the notes beside classes; a class behind the last says it of a packet that was sent.
const CAME: &str = "+";
const ARRIVED: &str = "!";
const SENT: &str = "<";
const ZONE: &str = "z";

/// What a log line tells.
pub(super) fn logged(prefix: &[u8]) -> Option<Note> {
    let class = |word: &[u8]| CLASSES.iter().find(|row| row.0.as_bytes() == word).map(|row| row.1);
    match prefix.split_first() {
        _ if prefix == CAME.as_bytes() => Some(Note::Came),
        _ if prefix == ARRIVED.as_bytes() => Some(Note::Arrived),
        Some((first, rest)) if ZONE.as_bytes() == [*first] => {
            std::str::from_utf8(rest).ok()?.parse().ok().map(Note::Zone)
        }
        Some((first, rest)) if SENT.as_bytes() == [*first] => class(rest).map(Note::Sent),
        _ => class(prefix).map(Note::Class),
    }
}

/// The class that a packet's DSCP tells.
pub(super) fn written(dscp: u8) -> Option<Class> {
    CLASSES.get(usize::from(dscp).checked_sub(1)?).map(|(_, class)| *class)
}

/// How much of a logged packet is copied: enough to see whose it is, also when it quotes another.
const SNAP: u32 = 256;

/// Chains that say a class, in the words that `then` has for each.
fn say(chain: &str, then: &dyn Fn(usize) -> String) -> String {
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
}

fn log(word: &str) -> String {
    format!("log prefix \"{word}\" group {GROUP} queue-threshold 1 snaplen {SNAP}")
}

/// The same, with all of the packet.
fn log_whole(word: &str) -> String {
    format!("log prefix \"{word}\" group {GROUP} queue-threshold 1")
}

/// Our table, and its chain for packets that are to wait: filled where the kernel can keep them ([`super::nfqueue`]).
pub(super) const TABLE: &str = "conntruth";
pub(super) const KEEP: &str = "keep";

/// What both tables of ours have: zones, what the words of the scenario say in raw, and where packets wait.
fn beginning() -> String {
    let bit = |tag: Tag| format!("meta mark & {:#x} != 0x0", tag.0);
    format!(
        "map zones {{ typeof meta mark : ct zone; }}
         chain raw {{
           {} notrack
           meta mark & 0xffff != 0x0 ct zone set meta mark & 0xffff map @zones
         }}
         chain {KEEP} {{ }}",
        bit(Tag::NOTRACK)
    )
}

/// Where packets reach the host: what is to be dropped there, and what is to wait.
fn arriving(dropped: &str, waits: &str) -> String {
    format!(
        "chain arriving {{ type filter hook input priority 200;
           iifname lo return
           {dropped} drop
           {waits} jump {KEEP}
         }}"
    )
}

/// Our table where the scenario has no rules.
fn alone() -> String {
    let dscp = |family: &'static str| move |class: usize| format!("{family} dscp set {}", class + 1);
    let bit = |tag: Tag| format!("meta mark & {:#x} != 0x0", tag.0);
    let (is_logged, dropped) = (bit(Tag::LOGGED), bit(Tag::DROPPED));
    let waits = bit(Tag::WAITS);
    format!(
        "table inet {TABLE} {{
           {beginning}
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
             {waits} jump {KEEP}
           }}
           {arriving}
           chain going {{ type filter hook output priority 200;
             {dropped} drop
             {waits} jump {KEEP}
           }}
         }}\n",
        beginning = beginning(),
        arriving = arriving(&dropped, &waits),
        ours = Tag::OURS.0,
        logged = Tag::LOGGED.0,
        logs = say("log_class", &|class| log(CLASSES[class].0)),
        dscp4 = say("dscp4", &dscp("ip")),
        dscp6 = say("dscp6", &dscp("ip6")),
    )
}

/// Our table beside the scenario's own. A tag is where it came from: in the Ethernet address, or for packets of the host
/// in the priority that they get from their socket's mark.
fn beside(zones: &[u16]) -> String {
    // The rule compares the bytes as they lie.
    let has = |tag: Tag| format!("@ll,64,32 & {:#x} != 0x0", tag.0.to_be());
    let dropped = has(Tag::DROPPED);
    let waits = has(Tag::WAITS);
    let zones: Vec<String> =
        zones.iter().map(|zone| format!("ct zone {zone} {}", log(&format!("{ZONE}{zone}")))).collect();
    let is_ours = |tag: Tag| format!("meta mark & {0:#x} == {0:#x}", tag.with(Tag::OURS).0);
    format!(
        "table inet {TABLE} {{
           {beginning}
           chain entering {{ type filter hook prerouting priority raw - 10;
             iifname lo return
             meta mark set @ll,64,32
             {came}
             jump raw
             meta mark set 0
           }}
           chain sent {{
             tcp flags & rst == rst return
             icmp type destination-unreachable return
             icmpv6 type destination-unreachable return
             drop
           }}
           chain leaving {{ type filter hook output priority raw - 10;
             meta mark & {ours:#x} == 0x0 goto sent
             meta priority set 8000:1
             {lost} meta priority set 8000:2
             {kept} meta priority set 8000:3
             {came}
             jump raw
             meta mark set 0
           }}
           {logs}
           {answers}
           chain entered {{ type filter hook prerouting priority -199;
             iifname lo return
             {zones}
             jump log_class
           }}
           chain left {{ type filter hook output priority -199;
             {zones}
             meta priority 8000:1 goto log_class
             meta priority 8000:2 goto log_class
             meta priority 8000:3 goto log_class
             goto log_sent
           }}
           chain passing {{ type filter hook forward priority 200;
             {dropped} drop
             {waits} jump {KEEP}
           }}
           {arriving}
           chain going {{ type filter hook output priority 200;
             meta priority 8000:2 drop
             meta priority 8000:3 jump {KEEP}
           }}
         }}\n",
        beginning = beginning(),
        arriving = arriving(&dropped, &waits),
        came = log(CAME),
        ours = Tag::OURS.0,
        zones = zones.join("\n"),
        lost = is_ours(Tag::DROPPED),
        kept = is_ours(Tag::WAITS),
        logs = say("log_class", &|class| log(CLASSES[class].0)),
        answers = say("log_sent", &|class| log(&format!("{SENT}{}", CLASSES[class].0))),
    )
}

/// What comes to the host ends at the very last hook, behind confirmation: nobody here is to answer. A chain that is there
/// before the tracker's own hooks stays behind them, as both have the last priority.
///
/// Source: linux 6.18 net/netfilter/core.c `nf_hook_entries_grow`.
const END: &str = "table inet conntruth_end {
    chain end { type filter hook input priority 2147483647; drop; }
}
";

/// Loads the rules.
///
/// # Errors
/// When there is no nftables, or it does not take them.
pub(super) fn load(nft: &mut Nft) -> Result<(), Missing> {
    nft.run(END)?;
    nft.run(&(at_the_end(&told_where_kept()) + &alone())).map(drop)
}

/// At the very last hook: `told` is said there, and nothing gets any further.
fn at_the_end(told: &str) -> String {
    let add = "add rule inet conntruth_end end";
    format!("flush chain inet conntruth_end end\n{add} {told}\n{add} drop\n")
}

/// Where there are no rules of a scenario only a packet that has waited may end before it is confirmed.
fn told_where_kept() -> String {
    format!("meta mark & {:#x} != 0x0 {}", Tag::WAITS.0, log(ARRIVED))
}

/// Puts a scenario's rules beside ours, or takes them away where there are none, in one transaction.
///
/// # Errors
/// When `nft` or the kernel does not take them.
pub(super) fn replace(nft: &mut Nft, rules: &RuleSet) -> Result<(), Missing> {
    // What reaches the host has been confirmed: that is told behind it.
    let told = if rules.is_empty() { told_where_kept() } else { log_whole(ARRIVED) };
    let mut text = at_the_end(&told);
    for table in [TABLE, SCENARIO] {
        text += &format!("table inet {table} {{ }}\ndelete table inet {table}\n");
    }
    if rules.is_empty() {
        text += &alone();
    } else {
        text += &beside(&rules.zones());
        text += &rules.to_nft(SCENARIO, LOGS);
    }
    nft.run(&text).map(drop)
}

/// The table with the scenario's own rules, and the NFLOG group of their `log`, which nobody listens to.
const SCENARIO: &str = "scenario";
const LOGS: u16 = 9;

/// What the named counters of the scenario's rules have counted, in the order of their names.
///
/// # Errors
/// When `nft` fails.
pub(super) fn counters(nft: &mut Nft) -> Result<Vec<(String, Counter)>, Missing> {
    let text = nft.run(&format!("list counters table inet {SCENARIO}\n"))?;
    let mut counters: Vec<(String, Counter)> = Vec::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let last = counters.last_mut().map(|(_, counter)| counter);
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        match (word, last) {
            ("packets", Some(counter)) => counter.packets = number(),
            ("bytes", Some(counter)) => counter.bytes = number(),
            ("counter", _) => {
                let name = words.next().map(RuleSet::counter_of_nft);
                counters.extend(name.map(|name| (name.to_owned(), Counter::default())));
            }
            _ => {}
        }
    }
    counters.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(counters)
}

/// Lets packets be put into these zones.
///
/// # Errors
/// When `nft` does not take it.
pub(super) fn allow_zones(nft: &mut Nft, zones: &[u16]) -> Result<(), Missing> {
    let pairs: Vec<String> = zones.iter().map(|zone| format!("{zone:#x} : {zone}")).collect();
    nft.run(&format!("add element inet {TABLE} zones {{ {} }}\n", pairs.join(", "))).map(drop)
}
