//! Whether a segment fits between what its sender may send and what its receiver has sent.
//!
//! For each sender the tracker keeps how far it has sent (`td_end`), how far it may send (`td_maxend`), the largest
//! window it has offered (`td_maxwin`) and what it has acknowledged (`td_maxack`). Four bounds follow: SEQ not over the
//! receiver's window, ACK not over what the receiver has sent, and neither too far below. Above is INVALID; below is
//! old news, accepted without effect. After G. van Rooij, "Real stateful TCP packet filtering".
//!
//! Source: linux 6.18 net/netfilter/nf_conntrack_proto_tcp.c `tcp_in_window`.

use super::segment::{Header, flag};
use super::{Rules, Tcp, after, before};
use crate::behaviour::{Bounds, Switches};
use crate::profile::Profile;
use crate::reason::Reason;
use crate::snapshot::TcpSide;
use crate::states::{Segment, TcpState};
use crate::sysctl::Knob;
use crate::tuple::Direction;

/// What the window says of a segment.
pub(super) enum Window {
    /// Fits, and has been noted.
    Inside,
    /// Accepted, with no effect on the state.
    Ignored,
    /// INVALID.
    Outside,
}

/// A segment's numbers as the rules count them, which is not always as the header has them.
struct Numbers {
    seq: u32,
    end: u32,
    ack: u32,
    /// The right edge of what it acknowledges selectively, or `ack`.
    sack: u32,
}

impl Numbers {
    /// What counts instead of what a RST, or a segment without an ACK, says.
    fn amend(
        &mut self,
        sender: &TcpSide,
        receiver: &TcpSide,
        state: TcpState,
        header: &Header<'_>,
        switches: &Switches,
    ) {
        // Without an ACK, or with one that a broken RST left at zero, what was sent counts as acknowledged.
        if switches.tcp_no_ack_amended && (!header.has(flag::ACK) || self.ack == 0) {
            self.ack = receiver.td_end;
            self.sack = receiver.td_end;
        }
        // A RST with SEQ 0 answers a SYN.
        let is_answer = header.has(flag::RST) && self.seq == 0 && state == TcpState::SynSent;
        if is_answer && switches.tcp_zero_rst_amended {
            self.seq = sender.td_end;
            self.end = sender.td_end;
        }
    }
}

/// Checks a segment, and notes it if it fits. `moved`: by how much translation has moved what it acknowledges.
pub(super) fn check(
    tcp: &mut Tcp,
    direction: Direction,
    header: &Header<'_>,
    moved: i32,
    rules: &Rules,
    why: &mut Reason,
) -> Window {
    let state = tcp.state;
    let (sender, receiver) = pair(&mut tcp.sides, direction);
    let Profile { bounds: by, switches, tcp_max_ack_window, .. } = rules.profile;
    let may_sack = receiver.flags & TcpSide::SACK_PERM != 0 && switches.tcp_sack_counts;
    let sack = if may_sack { header.sack() } else { header.ack };
    let Header { seq, end, ack, .. } = *header;
    // What the receiver has sent was moved on its way: it is acknowledged as it arrived.
    let (ack, sack) = (ack.wrapping_add_signed(-moved), sack.wrapping_add_signed(-moved));
    let mut n = Numbers { seq, end, ack, sack };
    if begin(sender, receiver, direction, state, header, &n, rules.profile) {
        *why = inside(sender, &n, by);
        return Window::Inside;
    }
    if header.flags & (flag::ACK | flag::RST) != flag::ACK {
        n.amend(sender, receiver, state, header, switches);
    }
    if let Err((window, reason)) = bounds(sender, receiver, &n, *tcp_max_ack_window, by) {
        let liberal = sender.flags & TcpSide::BE_LIBERAL != 0 || rules.sysctls.is_on(Knob::TcpBeLiberal);
        let bound = sender.td_maxend.wrapping_add_signed(by.tcp_seq_over);
        let taken = Reason::TcpLiberal { seq: n.seq, end: n.end, ack: n.ack, bound };
        *why = if liberal { taken } else { reason };
        let window = match window {
            Window::Ignored
                if matches!(reason, Reason::TcpOvershoot { .. }) && !switches.tcp_overshoot_forgiven =>
            {
                Window::Outside
            }
            window => window,
        };
        return if liberal { Window::Inside } else { window };
    }
    *why = inside(sender, &n, by);
    note(sender, receiver, header, &n, rules.profile);
    if header.kind == Segment::Ack && switches.tcp_repeats_counted {
        count_repeats(tcp, direction, header.window, &n);
    }
    Window::Inside
}

fn pair(sides: &mut [TcpSide; 2], direction: Direction) -> (&mut TcpSide, &mut TcpSide) {
    let [original, reply] = sides;
    match direction {
        Direction::Original => (original, reply),
        Direction::Reply => (reply, original),
    }
}

fn inside(sender: &TcpSide, n: &Numbers, by: &Bounds) -> Reason {
    let bound = sender.td_maxend.wrapping_add_signed(by.tcp_seq_over);
    Reason::TcpInWindow { seq: n.seq, end: n.end, ack: n.ack, bound }
}

/// Where nothing is known of the sender, or its SYN starts anew, its numbers are taken from this segment. True when
/// nothing else is to be checked: the crossing SYN of a simultaneous open.
fn begin(
    sender: &mut TcpSide,
    receiver: &mut TcpSide,
    direction: Direction,
    state: TcpState,
    header: &Header<'_>,
    n: &Numbers,
    profile: &Profile,
) -> bool {
    let syn = header.has(flag::SYN);
    if sender.td_maxwin == 0 {
        if syn {
            init_sender(sender, receiver, direction, header, profile);
            return !header.has(flag::ACK);
        }
        join_midstream(sender, receiver, header, n, &profile.bounds);
        return false;
    }
    // RFC 9293, 3.4.3: a host that starts anew uses numbers above those it has used.
    let opening = matches!(state, TcpState::SynSent | TcpState::SynRecv);
    if syn && opening && after(n.end, sender.td_end) && profile.switches.tcp_syn_restarts {
        init_sender(sender, receiver, direction, header, profile);
        return direction == Direction::Reply && !header.has(flag::ACK);
    }
    false
}

/// Source: linux 6.18 net/netfilter/nf_conntrack_proto_tcp.c `tcp_init_sender`.
fn init_sender(
    sender: &mut TcpSide,
    receiver: &mut TcpSide,
    direction: Direction,
    header: &Header<'_>,
    profile: &Profile,
) {
    sender.td_end = header.end;
    sender.td_maxend = header.end;
    sender.td_maxwin = u32::from(header.window).max(profile.bounds.tcp_least_window as u32);
    header.read_offers(sender, profile.bounds.tcp_max_scale);
    // RFC 7323, 2.2: windows are scaled only when both have offered it.
    let scales = sender.flags & receiver.flags & TcpSide::WINDOW_SCALE != 0;
    if direction == Direction::Reply && !scales && profile.switches.tcp_scale_needs_both {
        sender.td_scale = 0;
        receiver.td_scale = 0;
    }
}

fn join_midstream(
    sender: &mut TcpSide,
    receiver: &mut TcpSide,
    header: &Header<'_>,
    n: &Numbers,
    by: &Bounds,
) {
    sender.td_end = n.end;
    sender.td_maxwin = (u32::from(header.window) << sender.td_scale).max(by.tcp_least_window as u32);
    sender.td_maxend = n.end.wrapping_add(sender.td_maxwin);
    if receiver.td_maxwin == 0 {
        receiver.td_end = n.sack;
        receiver.td_maxend = n.sack;
    } else if n.sack == receiver.td_end.wrapping_add_signed(by.tcp_keep_alive) {
        // Most likely the answer to a keep-alive.
        receiver.td_end = n.sack;
    }
}

/// The four bounds.
fn bounds(
    sender: &mut TcpSide,
    receiver: &TcpSide,
    n: &Numbers,
    max_ack_window: u32,
    by: &Bounds,
) -> Result<(), (Window, Reason)> {
    let lowest_end = sender.td_end.wrapping_sub(receiver.td_maxwin).wrapping_sub(by.tcp_seq_under as u32);
    let lowest_ack = receiver.td_end.wrapping_sub(sender.td_maxwin.max(max_ack_window));
    let lowest_ack = lowest_ack.wrapping_sub(by.tcp_ack_under as u32);
    let ends_in_window = receiver.td_maxwin == 0 || after(n.end, lowest_end);
    let over_seq = sender.td_maxend.wrapping_add_signed(by.tcp_seq_over);
    let over_ack = receiver.td_end.wrapping_add_signed(by.tcp_ack_over);
    if !before(n.seq, over_seq) {
        let (seq, end, bound) = (n.seq, n.end, over_seq);
        let overshot = end.wrapping_sub(sender.td_maxend).wrapping_add_signed(by.tcp_overshoot);
        // Hosts that send a little more than they may exist; if only this bound is broken, the receiver may take it.
        if receiver.td_maxwin != 0
            && ends_in_window
            && overshot <= receiver.td_maxwin
            && before(n.sack, over_ack)
            && after(n.sack, lowest_ack)
        {
            sender.td_end = n.end;
            sender.flags |= TcpSide::DATA_UNACKNOWLEDGED;
            return Err((Window::Ignored, Reason::TcpOvershoot { seq, end, bound, overshot }));
        }
        return Err((Window::Outside, Reason::TcpSeqOver { seq, end, bound, overshot }));
    }
    if !before(n.sack, over_ack) {
        return Err((Window::Outside, Reason::TcpAckOver { ack: n.sack, bound: over_ack }));
    }
    if !ends_in_window {
        return Err((Window::Ignored, Reason::TcpSeqUnder { end: n.end, bound: lowest_end }));
    }
    if !after(n.sack, lowest_ack) {
        return Err((Window::Ignored, Reason::TcpAckUnder { ack: n.sack, bound: lowest_ack }));
    }
    Ok(())
}

/// What a segment that fits says of its sender and of its receiver.
fn note(sender: &mut TcpSide, receiver: &mut TcpSide, header: &Header<'_>, n: &Numbers, profile: &Profile) {
    let Profile { bounds: by, switches, .. } = profile;
    let scale = if header.has(flag::SYN) && switches.tcp_syn_unscaled { 0 } else { sender.td_scale };
    let window = u32::from(header.window) << scale;
    sender.td_maxwin = sender.td_maxwin.max(window.wrapping_add(n.sack.wrapping_sub(n.ack)));
    if after(n.end, sender.td_end) {
        sender.td_end = n.end;
        sender.flags |= TcpSide::DATA_UNACKNOWLEDGED;
    }
    let grows = sender.flags & TcpSide::MAXACK_SET == 0 || after(n.ack, sender.td_maxack);
    if header.has(flag::ACK) && (grows || !switches.tcp_acknowledged_grows) {
        sender.td_maxack = n.ack;
        sender.flags |= TcpSide::MAXACK_SET;
    }
    let overruns = receiver.td_maxwin != 0 && after(n.end, sender.td_maxend);
    if overruns && switches.tcp_window_grows_by_overrun {
        receiver.td_maxwin = receiver.td_maxwin.wrapping_add(n.end.wrapping_sub(sender.td_maxend));
    }
    let may_send = n.sack.wrapping_add(window);
    if after(may_send, receiver.td_maxend.wrapping_sub(by.tcp_same_end as u32)) {
        let probe = if window == 0 { by.tcp_probe } else { 0 };
        receiver.td_maxend = may_send.wrapping_add_signed(probe);
    }
    if n.ack == receiver.td_end && switches.tcp_acknowledged_clears {
        receiver.flags &= !TcpSide::DATA_UNACKNOWLEDGED;
    }
}

/// The same ACK again and again: its receiver does not get on.
fn count_repeats(tcp: &mut Tcp, direction: Direction, window: u16, n: &Numbers) {
    let same = tcp.last_dir == direction
        && (tcp.last_seq, tcp.last_ack, tcp.last_end, tcp.last_win) == (n.seq, n.ack, n.end, window);
    if same {
        tcp.retrans = tcp.retrans.wrapping_add(1);
        return;
    }
    tcp.last_dir = direction;
    tcp.last_seq = n.seq;
    tcp.last_ack = n.ack;
    tcp.last_end = n.end;
    tcp.last_win = window;
    tcp.retrans = 0;
}
