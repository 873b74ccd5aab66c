//! Semantics as a value: the tables, bounds and switches in which one kernel's tracker differs from another's.
//!
//! The engine reads every one of them where its rule stands, from a `&'static Profile`. Another release, a mutant for
//! the tests, the tutorial of old: other values, never an `if` on a version.

use serde::{Deserialize, Serialize};

use crate::behaviour::{Bounds, Switches};
use crate::states::{SctpState, Segment, TcpState};
use crate::sysctl::Knob;
use crate::tuple::Direction;

/// What the table says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Next<S> {
    /// The connection moves to (or stays in) a state.
    To(S),
    /// Accepted and remembered; nothing changes.
    Ignore,
    /// INVALID.
    Invalid,
}

/// TCP's table: for each direction, kind of segment and state, what comes next.
pub type TcpTable = [[[Next<TcpState>; 10]; 6]; 2];
/// SCTP's table: for each direction, kind of chunk and state, what comes next.
pub type SctpTable = [[[Next<SctpState>; 9]; 11]; 2];

/// The semantics of one tracker.
#[derive(Debug, Serialize)]
pub struct Profile {
    /// The name a run prints.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Timer ticks a second.
    pub hz: u32,
    /// TCP's transitions.
    pub tcp_table: &'static TcpTable,
    /// SCTP's transitions.
    pub sctp_table: &'static SctpTable,
    /// The least that an ACK may lie under what was acknowledged (`MAXACKWINCONST`), in bytes.
    pub tcp_max_ack_window: u32,
    /// Seconds in SYN_SENT2, which has no knob.
    pub tcp_syn_sent2_secs: u32,
    /// Any accepted RST leaves `tcp_timeout_close`, whatever the state; otherwise only one that closes.
    pub tcp_rst_always_close_timeout: bool,
    /// A repeated SYN leaves the timeout as it is while nothing has answered.
    pub tcp_syn_again_keeps_timeout: bool,
    /// A picked-up connection that nothing has answered lives `tcp_timeout_unacknowledged` at most.
    pub tcp_pick_up_capped: bool,
    /// How old an answered UDP flow must be to become a stream, in seconds.
    pub udp_stream_after_secs: u32,
    /// The UDP-Lite checksum is verified with this protocol number in its pseudo header.
    pub udplite_checksum_protocol: u8,
    /// How many neighbouring buckets early drop looks at.
    pub early_drop_buckets: u32,
    /// Bounds.
    pub bounds: Bounds,
    /// Exceptions and effects.
    pub switches: Switches,
    /// Sysctls whose default is another than the table's, and their values.
    pub defaults: &'static [(Knob, i32)],
}

impl Profile {
    /// What TCP's table says.
    pub fn tcp_next(&self, direction: Direction, segment: Segment, state: TcpState) -> Next<TcpState> {
        self.tcp_table[direction as usize][segment as usize][state as usize]
    }

    /// All profiles there are.
    pub const ALL: &'static [&'static Profile] = &[&LINUX_6_18];

    /// A profile by its name.
    pub fn find(name: &str) -> Option<&'static Profile> {
        Profile::ALL.iter().copied().find(|profile| profile.name == name)
    }
}

/// Linux 6.18, as it runs.
pub static LINUX_6_18: Profile = Profile {
    name: "linux-6.18",
    about: "Linux 6.18 at 250 ticks a second, checked against the running kernel",
    hz: 250,
    tcp_table: &crate::tables::TCP,
    sctp_table: &crate::tables::SCTP,
    tcp_max_ack_window: 66_000,
    tcp_syn_sent2_secs: 120,
    tcp_rst_always_close_timeout: true,
    tcp_syn_again_keeps_timeout: true,
    tcp_pick_up_capped: true,
    udp_stream_after_secs: 2,
    udplite_checksum_protocol: 17,
    early_drop_buckets: 8,
    bounds: Bounds::LINUX,
    switches: Switches::LINUX,
    defaults: &[],
};
