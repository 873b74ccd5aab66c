//! TCP: the table moves the state, the window decides who may move it, and a dozen exceptions keep the two together.
//!
//! The tracker sits between the hosts and sees what either may never get, so it must not be stricter than they are.
//! What it does not understand it *ignores*: accepts without a change. What cannot belong is INVALID. A segment passes
//! through, in this order: its header's checks ([`segment`]), the start of a new connection, the table with its
//! exceptions, the window ([`window`]), and what an accepted segment does to timeout and status.
//!
//! Source: linux 6.18 net/netfilter/nf_conntrack_proto_tcp.c `nf_conntrack_tcp_packet`.

mod segment;
mod window;

use serde::{Deserialize, Serialize};

use super::{Decision, ProtoState, Rules, Segment as Packet};
use crate::behaviour::Switches;
use crate::conn::Conn;
use crate::event::Changes;
use crate::profile::{Next, Profile};
use crate::reason::Reason;
use crate::snapshot::{ProtoInfo, TcpSide};
use crate::states::{Segment, TcpState};
use crate::status::Status;
use crate::sysctl::Knob;
use crate::tuple::Direction;
use segment::{Header, flag};
use window::Window;

/// What is remembered of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tcp {
    sides: [TcpSide; 2],
    state: TcpState,
    /// Direction and kind of the last segment that was accepted, or ignored by the table; at first ORIGINAL, none.
    last_dir: Direction,
    last_kind: Segment,
    /// Numbers of the last segment that was ignored, or was a pure ACK in the window.
    last_seq: u32,
    last_ack: u32,
    last_end: u32,
    last_win: u16,
    /// What the last ignored SYN offered, and `EXP_CHALLENGE_ACK`, `SIMULTANEOUS_OPEN`.
    last_wscale: u8,
    last_flags: u8,
    /// How often the last ACK was repeated.
    retrans: u8,
}

/// Bits of `TcpSide::flags` and `last_flags`, under the kernel's names.
///
/// Source: linux 6.18 include/uapi/linux/netfilter/nf_conntrack_tcp.h, include/linux/netfilter/nf_conntrack_tcp.h.
impl TcpSide {
    /// Offered window scaling.
    pub const WINDOW_SCALE: u8 = 0x01;
    /// Offered selective acknowledgements.
    pub const SACK_PERM: u8 = 0x02;
    /// Sent the first FIN.
    pub const CLOSE_INIT: u8 = 0x04;
    /// Its segments are not checked against the window.
    pub const BE_LIBERAL: u8 = 0x08;
    /// Has sent data that was not acknowledged.
    pub const DATA_UNACKNOWLEDGED: u8 = 0x10;
    /// `td_maxack` holds something.
    pub const MAXACK_SET: u8 = 0x20;
    /// A challenge ACK may follow (in `last_flags`).
    pub(crate) const EXP_CHALLENGE_ACK: u8 = 0x40;
    /// Both sides sent a SYN (in `last_flags`).
    pub(crate) const SIMULTANEOUS_OPEN: u8 = 0x80;
}

impl Tcp {
    /// Whether its windows can be scaled as it says.
    pub(super) fn is_sound(&self) -> bool {
        self.sides.iter().all(|side| side.td_scale < 32) && self.last_wscale < 32
    }

    pub(super) fn info(&self) -> ProtoInfo {
        ProtoInfo::Tcp { state: self.state, sides: self.sides }
    }

    /// Into CLOSE, without a segment that says so; says whether that was a change.
    pub(super) fn close(&mut self) -> bool {
        std::mem::replace(&mut self.state, TcpState::Close) != TcpState::Close
    }

    fn side(&mut self, direction: Direction) -> &mut TcpSide {
        &mut self.sides[direction as usize]
    }

    /// Whether the last segment went this way, and was of this kind.
    fn last_was(&self, direction: Direction, kind: Segment) -> bool {
        self.last_dir == direction && self.last_kind == kind
    }
}

/// Serial arithmetic: whether `a` is before `b` on the circle of sequence numbers (RFC 1982 with 32 bits).
fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

fn after(a: u32, b: u32) -> bool {
    before(b, a)
}

/// What the table and its exceptions make of a segment.
enum Course {
    /// To this state, if the window allows it.
    Window(TcpState),
    /// To this state, whatever the window says.
    Sure(TcpState),
    /// It ends here.
    Done(Decision),
}

/// Lets a segment have its effect on a connection.
pub(super) fn track(
    conn: &mut Conn,
    direction: Direction,
    packet: &Packet<'_>,
    rules: &Rules,
    why: &mut Reason,
) -> Decision {
    let header = match Header::parse(packet) {
        Ok(header) => header,
        Err(reason) => return Decision::Invalid.because(why, reason),
    };
    let (status, confirmed) = (conn.status, conn.is_confirmed());
    // Source: linux 6.18 net/netfilter/nf_conntrack_proto_tcp.c `tcp_in_window`.
    let moved = match status.has(Status::SEQ_ADJUST) {
        true => conn.offset(!direction, header.ack.wrapping_sub(1)),
        false => 0,
    };
    let ProtoState::Tcp(tcp) = &mut conn.proto else { unreachable!("a TCP connection keeps TCP's state") };
    let started = if confirmed { None } else { Some(start(tcp, &header, rules)) };
    if let Some(Err(reason)) = started {
        return Decision::Invalid.because(why, reason);
    }
    let mut old_state = tcp.state;
    let new_state = match course(tcp, status, &mut old_state, direction, &header, rules, why) {
        Course::Window(state) => {
            match window::check(tcp, direction, &header, moved, rules, why) {
                Window::Inside => {}
                Window::Ignored if rules.profile.switches.tcp_old_keeps => return Decision::Keep,
                Window::Ignored => {}
                Window::Outside => return outside(conn, direction, header.kind, rules),
            }
            if let Some(Ok(reason)) = started {
                *why = reason;
            } else if old_state != tcp.state {
                *why = Reason::TcpResync { ack: header.ack };
            }
            state
        }
        Course::Sure(state) => {
            *why = Reason::TcpRst { seq: header.seq, ack: header.ack };
            state
        }
        Course::Done(decision) => return decision,
    };
    accept(conn, direction, &header, (old_state, new_state), rules, why)
}

/// The first packet of a connection: a SYN, or with `tcp_loose` an ACK that picks it up mid-stream.
///
/// Source: linux 6.18 `tcp_new`.
fn start(tcp: &mut Tcp, header: &Header<'_>, rules: &Rules) -> Result<Reason, Reason> {
    let segment = header.kind;
    let next = match rules.profile.tcp_next(Direction::Original, segment, TcpState::None) {
        Next::To(state) => state,
        _ => return Err(Reason::TcpNewInvalid { segment }),
    };
    if next != TcpState::SynSent && !rules.sysctls.is_on(Knob::TcpLoose) {
        return Err(Reason::TcpNotLoose { segment });
    }
    *tcp = Tcp::default();
    let end = header.end;
    let Profile { bounds: by, switches, .. } = rules.profile;
    let td_maxwin = u32::from(header.window).max(by.tcp_least_window as u32);
    let window = u32::from(header.window);
    let sender = &mut tcp.sides[0];
    if next == TcpState::SynSent {
        *sender = TcpSide { td_end: end, td_maxend: end, td_maxwin, ..TcpSide::default() };
        header.read_offers(sender, by.tcp_max_scale);
        tcp.last_kind = Segment::None;
        return Ok(Reason::TcpNewSyn { end, window });
    }
    // Its history is lost: selective acknowledgements and a scaled window are thought possible.
    let sack = if switches.tcp_pick_up_sack { TcpSide::SACK_PERM } else { 0 };
    let flags = sack | if switches.tcp_pick_up_liberal { TcpSide::BE_LIBERAL } else { 0 };
    *sender = TcpSide {
        td_end: end,
        td_maxend: end.wrapping_add(td_maxwin),
        td_maxwin,
        flags,
        ..TcpSide::default()
    };
    tcp.sides[1].flags = flags;
    tcp.last_kind = Segment::None;
    Ok(Reason::TcpPickUp { end, window })
}

/// The table, and what is looked at before the window. A resynchronised connection's `old` state becomes SYN_SENT.
fn course(
    tcp: &mut Tcp,
    status: Status,
    old: &mut TcpState,
    direction: Direction,
    header: &Header<'_>,
    rules: &Rules,
    why: &mut Reason,
) -> Course {
    let segment = header.kind;
    match rules.profile.tcp_next(direction, segment, *old) {
        Next::Invalid => {
            let reason = Reason::TcpStateInvalid { state: *old, segment, direction };
            Course::Done(Decision::Invalid.because(why, reason))
        }
        Next::To(TcpState::SynSent)
            if *old >= TcpState::TimeWait && may_reopen(tcp, direction, &rules.profile.switches) =>
        {
            Course::Done(Decision::Reopen)
        }
        Next::To(TcpState::SynSent) if *old < TcpState::TimeWait => Course::Window(TcpState::SynSent),
        Next::Ignore | Next::To(TcpState::SynSent) => {
            ignored(tcp, old, direction, header, rules.profile, why)
        }
        Next::To(TcpState::TimeWait)
            if rules.profile.switches.tcp_challenge_kept
                && is_challenge_ack(tcp, *old, direction, segment) =>
        {
            tcp.last_flags &= !TcpSide::EXP_CHALLENGE_ACK;
            Course::Done(Decision::Keep.because(why, Reason::TcpChallengeAck { ack: header.ack }))
        }
        Next::To(TcpState::SynSent2) => {
            tcp.last_flags |= TcpSide::SIMULTANEOUS_OPEN;
            Course::Window(TcpState::SynSent2)
        }
        // The end of a simultaneous open: the last ACK comes from the reply side.
        Next::To(TcpState::SynRecv)
            if direction == Direction::Reply
                && segment == Segment::Ack
                && tcp.last_flags & TcpSide::SIMULTANEOUS_OPEN != 0
                && rules.profile.switches.tcp_crossing_syns =>
        {
            Course::Window(TcpState::Established)
        }
        Next::To(TcpState::Close) if segment == Segment::Rst => {
            reset(tcp, status, *old, direction, header, rules, why)
        }
        Next::To(state) => Course::Window(state),
    }
}

/// A SYN may reopen what was closed by FINs, or reset by its own sender.
fn may_reopen(tcp: &Tcp, direction: Direction, switches: &Switches) -> bool {
    let closed = (tcp.sides[0].flags | tcp.sides[1].flags) & TcpSide::CLOSE_INIT != 0;
    closed && switches.tcp_reopens_closed
        || tcp.last_was(direction, Segment::Rst) && switches.tcp_reopens_reset
}

/// RFC 5961: a host in LAST_ACK answers a SYN with an ACK that says nothing new.
fn is_challenge_ack(tcp: &Tcp, old: TcpState, direction: Direction, segment: Segment) -> bool {
    old == TcpState::LastAck
        && segment == Segment::Ack
        && tcp.last_was(!direction, Segment::Syn)
        && tcp.last_flags & TcpSide::EXP_CHALLENGE_ACK != 0
}

/// The table does not believe it, but the hosts may: accepted, and remembered in case the other side answers.
fn ignored(
    tcp: &mut Tcp,
    old: &mut TcpState,
    direction: Direction,
    header: &Header<'_>,
    profile: &Profile,
    why: &mut Reason,
) -> Course {
    let segment = header.kind;
    let answers = segment == Segment::SynAck && tcp.last_was(!direction, Segment::Syn);
    if answers && header.ack == tcp.last_end && profile.switches.tcp_resyncs {
        resync(tcp, direction, profile);
        *old = TcpState::SynSent;
        return Course::Window(TcpState::SynRecv);
    }
    tcp.last_kind = segment;
    tcp.last_dir = direction;
    tcp.last_seq = header.seq;
    tcp.last_end = header.end;
    tcp.last_win = header.window;
    if segment == Segment::Syn && direction == Direction::Original {
        let mut offers = TcpSide::default();
        header.read_offers(&mut offers, profile.bounds.tcp_max_scale);
        tcp.last_wscale = offers.td_scale;
        tcp.last_flags = offers.flags & (TcpSide::WINDOW_SCALE | TcpSide::SACK_PERM);
        if *old == TcpState::LastAck {
            tcp.last_flags |= TcpSide::EXP_CHALLENGE_ACK;
        }
    }
    if *old == TcpState::SynSent && segment == Segment::Ack && direction == Direction::Reply {
        tcp.last_ack = header.ack;
    }
    let (seq, end) = (header.seq, header.end);
    if !profile.switches.tcp_ignored_keeps {
        return Course::Sure(*old);
    }
    Course::Done(Decision::Keep.because(why, Reason::TcpIgnored { state: *old, segment, seq, end }))
}

/// The SYN that was ignored is answered: its sender starts from it, the answerer from nothing.
fn resync(tcp: &mut Tcp, direction: Direction, profile: &Profile) {
    tcp.last_flags &= !TcpSide::EXP_CHALLENGE_ACK;
    let (end, window, scale, flags) = (tcp.last_end, tcp.last_win, tcp.last_wscale, tcp.last_flags);
    let opener = tcp.side(!direction);
    opener.td_end = end;
    opener.td_maxend = end;
    opener.td_maxwin = u32::from(window).max(profile.bounds.tcp_least_window as u32);
    opener.td_scale = scale;
    opener.flags = flags;
    let answerer = tcp.side(direction);
    *answerer = TcpSide { flags: answerer.flags & TcpSide::BE_LIBERAL, ..TcpSide::default() };
}

/// Which RST closes: a blind one must not (RFC 5961), one that answers what was ignored must.
fn reset(
    tcp: &Tcp,
    status: Status,
    old: TcpState,
    direction: Direction,
    header: &Header<'_>,
    rules: &Rules,
    why: &mut Reason,
) -> Course {
    // The tuple of a closing connection may be in use again, so the numbers known of it prove nothing.
    let Profile { bounds: by, switches, .. } = rules.profile;
    if old.is_closing() && switches.tcp_closing_rst_sure {
        return Course::Sure(TcpState::Close);
    }
    let mut target = TcpState::Close;
    let peer = &tcp.sides[!direction as usize];
    let established = old == TcpState::Established && status.has(Status::ASSURED) && switches.tcp_rst_exact;
    if peer.flags & TcpSide::MAXACK_SET != 0 && tcp.last_kind != Segment::Syn {
        let (seq, acked) = (header.seq, peer.td_maxack);
        if seq == 0 && !established && switches.tcp_rst_from_zero {
            return Course::Window(target);
        }
        let lowest = acked.wrapping_sub(by.tcp_rst_below as u32);
        if before(seq, lowest) && !rules.sysctls.is_on(Knob::TcpIgnoreInvalidRst) {
            return Course::Done(Decision::Invalid.because(why, Reason::TcpRstStale { seq, acked }));
        }
        // Right behind its own sender's data it is as good as exact.
        let follows_data =
            tcp.last_was(direction, Segment::Ack) && seq == tcp.last_end && switches.tcp_rst_behind_data;
        if !established || seq == acked || follows_data {
            return Course::Window(target);
        }
        target = old;
    }
    let answers_ignored = match tcp.last_kind {
        Segment::Syn => {
            status.has(Status::SEEN_REPLY) && tcp.last_dir != direction && switches.tcp_rst_answers_syn
        }
        Segment::Ack => !status.has(Status::ASSURED) && switches.tcp_rst_answers_ack,
        _ => false,
    };
    if answers_ignored && header.ack == tcp.last_end {
        return Course::Sure(target);
    }
    let answers_challenge = old == TcpState::SynSent
        && tcp.last_was(Direction::Reply, Segment::Ack)
        && header.seq == tcp.last_ack
        && switches.tcp_rst_answers_challenge;
    if answers_challenge { Course::Sure(target) } else { Course::Window(target) }
}

/// FIN and RST outside the window, one from each side: the connection is most likely over, so it gets less time.
///
/// Source: linux 6.18 `nf_tcp_handle_invalid`.
fn outside(conn: &mut Conn, direction: Direction, kind: Segment, rules: &Rules) -> Decision {
    let left = conn.ticks_left(rules.now);
    let Profile { bounds: by, switches, .. } = rules.profile;
    let assured = conn.status.has(Status::ASSURED) || !switches.tcp_cuts_assured_only;
    let watched = assured && switches.tcp_outside_cuts && !conn.status.has(Status::FIXED_TIMEOUT);
    let ends = |kind| matches!(kind, Segment::Fin | Segment::Rst);
    let ProtoState::Tcp(tcp) = &mut conn.proto else { unreachable!("a TCP connection keeps TCP's state") };
    if !watched || !ends(kind) {
        return Decision::Invalid;
    }
    if tcp.last_dir != direction && ends(tcp.last_kind) {
        let unacknowledged = rules.timeout(Knob::TcpUnack);
        if left >= rules.ticks.of_secs(by.tcp_cut_from_secs as u32) && left > unacknowledged {
            return Decision::InvalidCut(unacknowledged);
        }
    } else {
        tcp.last_kind = kind;
        tcp.last_dir = direction;
    }
    Decision::Invalid
}

/// What an accepted segment does: the state, how long the connection has to live, ASSURED, or its end.
fn accept(
    conn: &mut Conn,
    direction: Direction,
    header: &Header<'_>,
    (old, new): (TcpState, TcpState),
    rules: &Rules,
    why: &mut Reason,
) -> Decision {
    let status = conn.status;
    let ProtoState::Tcp(tcp) = &mut conn.proto else { unreachable!("a TCP connection keeps TCP's state") };
    tcp.last_kind = header.kind;
    tcp.last_dir = direction;
    tcp.state = new;
    if old != new && new == TcpState::FinWait {
        tcp.side(direction).flags |= TcpSide::CLOSE_INIT;
    }
    let mut timeout = timeout(tcp, header, old, new, rules);
    sharpen(why, tcp, header, old, new, rules);
    if old != new {
        conn.note(Changes::PROTOINFO);
    }
    if !status.has(Status::SEEN_REPLY) {
        if header.has(flag::RST) && rules.profile.switches.tcp_rst_ends_unanswered {
            return Decision::Destroy.because(why, Reason::TcpRstUnreplied { seq: header.seq });
        }
        if header.kind == Segment::Syn
            && old == TcpState::SynSent
            && rules.profile.tcp_syn_again_keeps_timeout
        {
            return Decision::Keep.because(why, Reason::TcpSynAgain { end: header.end });
        }
        if new == TcpState::Established && rules.profile.tcp_pick_up_capped {
            timeout = timeout.min(rules.timeout(Knob::TcpUnack));
        }
    } else if new == TcpState::Established && assures(old, &rules.profile.switches) {
        conn.set_status(Status::ASSURED, Changes::ASSURED);
    }
    Decision::renew(conn, rules.profile.switches.tcp_renews, timeout)
}

/// From which state an answered connection that is ESTABLISHED becomes ASSURED.
fn assures(old: TcpState, switches: &Switches) -> bool {
    match old {
        TcpState::SynRecv => switches.tcp_assured_from_syn_recv,
        TcpState::Established => switches.tcp_assured_from_established,
        _ => false,
    }
}

/// How many ticks an accepted segment leaves, the first rule that applies.
fn timeout(tcp: &Tcp, header: &Header<'_>, old: TcpState, new: TcpState, rules: &Rules) -> u64 {
    let of_state = state_timeout(new, rules);
    let shorter = |knob| Some(rules.timeout(knob)).filter(|&timeout| timeout < of_state);
    let Profile { bounds: by, switches, .. } = rules.profile;
    let enough = rules.sysctls.get(Knob::TcpMaxRetrans) + by.tcp_repeats;
    let repeats = i32::from(tcp.retrans) >= enough && switches.tcp_repeats_shorten;
    let data_waits = (tcp.sides[0].flags | tcp.sides[1].flags) & TcpSide::DATA_UNACKNOWLEDGED != 0
        && switches.tcp_unacknowledged_shortens;
    let closes = new == TcpState::Close && old != new;
    if repeats && let Some(retransmitting) = shorter(Knob::TcpRetrans) {
        retransmitting
    } else if header.kind == Segment::Rst && (rules.profile.tcp_rst_always_close_timeout || closes) {
        rules.timeout(Knob::TcpClose)
    } else if data_waits && let Some(unacknowledged) = shorter(Knob::TcpUnack) {
        unacknowledged
    } else if tcp.last_win == 0
        && switches.tcp_zero_window_shortens
        && let Some(retransmitting) = shorter(Knob::TcpRetrans)
    {
        retransmitting
    } else {
        of_state
    }
}

fn state_timeout(state: TcpState, rules: &Rules) -> u64 {
    rules.timeout(match state {
        TcpState::None | TcpState::SynSent => Knob::TcpSynSent,
        TcpState::SynRecv => Knob::TcpSynRecv,
        TcpState::Established => Knob::TcpEstablished,
        TcpState::FinWait => Knob::TcpFinWait,
        TcpState::CloseWait => Knob::TcpCloseWait,
        TcpState::LastAck => Knob::TcpLastAck,
        TcpState::TimeWait => Knob::TcpTimeWait,
        TcpState::Close => Knob::TcpClose,
        TcpState::SynSent2 => return rules.ticks.of_secs(rules.profile.tcp_syn_sent2_secs),
    })
}

/// Among the reasons that hold, the one a reader wants: why the RST did or did not close, why the timeout is short.
fn sharpen(why: &mut Reason, tcp: &Tcp, header: &Header<'_>, old: TcpState, new: TcpState, rules: &Rules) {
    let Reason::TcpInWindow { seq, ack, .. } = *why else { return };
    let limit = rules.sysctls.get(Knob::TcpMaxRetrans) as u32;
    let repeated = u32::from(tcp.retrans);
    match header.kind {
        Segment::Rst if new == TcpState::Close => *why = Reason::TcpRst { seq, ack },
        Segment::Rst if old == new => {
            let expected = tcp.sides[!tcp.last_dir as usize].td_maxack;
            *why = Reason::TcpRstInexact { seq, expected };
        }
        Segment::Ack if repeated >= limit.max(1) => {
            *why = Reason::TcpRetransmitting { retransmissions: repeated, limit };
        }
        _ => {}
    }
}
