//! Behaviour that is a number or a yes: every bound and every rule that no table says, under a name.
//!
//! They are what two trackers may disagree on without having other tables: by how much a bound is off, whether an
//! exception is made. A rule reads its own where it stands. Each has a sentence here, so that whoever turns one - another
//! profile, a test that wants to know whether anybody would notice - can say what was turned.

use serde::Serialize;

macro_rules! behaviour {
    ($(#[doc = $about:literal])+ $name:ident: $type:ty { $( $field:ident = $value:literal, $meaning:literal; )* }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        pub struct $name { $( #[doc = $meaning] pub $field: $type, )* }

        impl $name {
            /// As Linux 6.18 has them.
            pub const LINUX: $name = $name { $( $field: $value, )* };

            /// All of them: name, meaning, and the place in a value.
            #[allow(clippy::type_complexity)]
            pub const ALL: &'static [(&'static str, &'static str, fn(&mut $name) -> &mut $type)] =
                &[ $( (stringify!($field), $meaning, |all| &mut all.$field), )* ];
        }
    };
}

behaviour! {
    /// Numbers.
    Bounds: i32 {
        tcp_seq_over = 1, "SEQ lies under what its sender may send plus this.";
        tcp_ack_over = 1, "ACK lies under what the receiver has sent plus this.";
        tcp_seq_under = 1, "The end lies over what its sender has sent, less the receiver's window and this.";
        tcp_ack_under = 1, "ACK lies over what the receiver has sent, less the sender's window and this.";
        tcp_overshoot = 1, "What counts as over the window, more than the bytes that are.";
        tcp_least_window = 1, "A window counts as no less.";
        tcp_probe = 1, "So much may be sent into a window of zero.";
        tcp_keep_alive = 1, "An ACK so far over what was sent answers a keep-alive.";
        tcp_same_end = 1, "A window's end moves unless it would by this move back.";
        tcp_max_scale = 14, "A window is scaled by no more.";
        tcp_cut_from_secs = 120, "Only what has so many seconds left is cut by a FIN or RST outside the window.";
        tcp_repeats = 0, "So many more repeats than `tcp_max_retrans` are a retransmission.";
        tcp_rst_below = 0, "A RST so far below what was acknowledged still counts.";
        udp_stream_ticks = 0, "So many ticks later than the profile says a flow becomes a stream.";
    }
}

behaviour! {
    /// Exceptions that are made, and effects that packets have.
    Switches: bool {
        tcp_renews = true, "An accepted segment renews the timeout.";
        tcp_assured_from_syn_recv = true, "SYN_RECV to ESTABLISHED makes a connection ASSURED.";
        tcp_assured_from_established = true, "A segment of an ESTABLISHED connection that was answered makes it ASSURED.";
        tcp_rst_ends_unanswered = true, "A RST ends a connection that nothing has answered.";
        tcp_repeats_shorten = true, "Retransmission shortens the timeout.";
        tcp_repeats_counted = true, "Repeated ACKs are counted.";
        tcp_unacknowledged_shortens = true, "Data that was not acknowledged shortens the timeout.";
        tcp_zero_window_shortens = true, "A window of zero shortens the timeout.";
        tcp_ignored_keeps = true, "A segment that the table ignores leaves the timeout as it is.";
        tcp_old_keeps = true, "A segment below the window leaves the timeout as it is.";
        tcp_outside_cuts = true, "FINs or RSTs outside the window from both sides cut the timeout.";
        tcp_cuts_assured_only = true, "Only an ASSURED connection is cut by them.";
        tcp_reopens_closed = true, "A SYN reopens what FINs have closed.";
        tcp_reopens_reset = true, "A SYN reopens what its own sender has reset.";
        tcp_resyncs = true, "A SYN/ACK that answers an ignored SYN starts the connection anew.";
        tcp_challenge_kept = true, "An ACK that challenges a SYN in LAST_ACK is no last ACK.";
        tcp_closing_rst_sure = true, "While a connection closes every RST ends it.";
        tcp_rst_exact = true, "In an ASSURED connection only an exact RST closes.";
        tcp_rst_from_zero = true, "A RST with SEQ 0 may close what is not established.";
        tcp_rst_behind_data = true, "A RST right behind its own data is exact.";
        tcp_rst_answers_syn = true, "A RST that answers an ignored SYN closes.";
        tcp_rst_answers_ack = true, "A RST that answers an ACK closes what is not ASSURED.";
        tcp_rst_answers_challenge = true, "A RST that answers a challenge ACK closes.";
        tcp_crossing_syns = true, "After crossing SYNs an ACK of the reply side establishes.";
        tcp_pick_up_liberal = true, "A picked-up connection is not held to its window.";
        tcp_pick_up_sack = true, "A picked-up connection may acknowledge selectively.";
        tcp_no_ack_amended = true, "Without an ACK, what was sent counts as acknowledged.";
        tcp_zero_rst_amended = true, "The SEQ 0 of a RST that answers a SYN is not looked at.";
        tcp_sack_counts = true, "The window is counted from what is acknowledged selectively.";
        tcp_scale_needs_both = true, "Windows are scaled only when both sides have offered it.";
        tcp_syn_unscaled = true, "A SYN's window is not scaled.";
        tcp_syn_restarts = true, "A SYN of a connection that opens starts its sender's numbers anew.";
        tcp_window_grows_by_overrun = true, "Bytes over the window that are taken widen it.";
        tcp_acknowledged_grows = true, "What is acknowledged only grows.";
        tcp_acknowledged_clears = true, "An ACK of everything ends what is unacknowledged.";
        tcp_overshoot_forgiven = true, "A little over the window is old news, not INVALID.";
        udp_renews = true, "A packet renews a UDP flow.";
        udp_assured = true, "A UDP stream is ASSURED.";
        udplite_renews = true, "A packet renews a UDP-Lite flow.";
        udplite_stream = true, "An answered UDP-Lite flow is a stream at once.";
        udplite_assured = true, "A UDP-Lite stream is ASSURED.";
        icmp_renews = true, "A message renews its ICMP query.";
        icmpv6_renews = true, "A message renews its ICMPv6 query.";
        gre_renews = true, "A packet renews a GRE flow.";
        gre_assured = true, "An answered GRE flow is ASSURED.";
        gre_keeps_timeouts = true, "A GRE flow keeps the timeouts that it began with.";
        sctp_renews = true, "A packet renews an SCTP association.";
        sctp_assured = true, "ESTABLISHED makes an association ASSURED.";
        sctp_init_again_keeps = true, "An INIT again leaves the timeout as it is.";
        sctp_strange_keeps = true, "A heartbeat with a strange tag leaves the timeout as it is.";
        generic_renews = true, "A packet renews a flow of a protocol without a tracker.";
        kept_answers = true, "A packet that leaves the timeout as it is counts as an answer all the same.";
        renewing_answers = true, "A packet in reply direction is an answer.";
    }
}
