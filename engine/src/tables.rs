//! The transition tables, complete: columns are states in the kernel's order, rows are kinds of segment or chunk, one
//! matrix a direction. What cannot be seen from a cell is said beside it. They are printed whole into a snapshot that
//! reviewers read.
//!
//! Facts from linux 6.18 net/netfilter/nf_conntrack_proto_tcp.c `tcp_conntracks` and nf_conntrack_proto_sctp.c
//! `sctp_conntracks`; every reachable cell is tried against the running kernel by the suite.

use crate::profile::{Next, SctpTable, TcpTable};
use crate::states::{SctpState, TcpState};

/// TCP. Rows: SYN, SYN/ACK, FIN, ACK, RST, none of them.
pub const TCP: TcpTable = {
    use TcpState as T;
    const S_SS: Next<TcpState> = Next::To(T::SynSent);
    const S_SR: Next<TcpState> = Next::To(T::SynRecv);
    const S_ES: Next<TcpState> = Next::To(T::Established);
    const S_FW: Next<TcpState> = Next::To(T::FinWait);
    const S_CW: Next<TcpState> = Next::To(T::CloseWait);
    const S_LA: Next<TcpState> = Next::To(T::LastAck);
    const S_TW: Next<TcpState> = Next::To(T::TimeWait);
    const S_CL: Next<TcpState> = Next::To(T::Close);
    const S_S2: Next<TcpState> = Next::To(T::SynSent2);
    const S_IG: Next<TcpState> = Next::Ignore;
    const S_IV: Next<TcpState> = Next::Invalid;
    #[rustfmt::skip]
    let table = [
        [ // original
            //          NONE  SS    SR    ES    FW    CW    LA    TW    CL    S2
            /* SYN  */ [S_SS, S_SS, S_IG, S_IG, S_IG, S_IG, S_IG, S_SS, S_SS, S_S2], // TW, CL: reopened, or ignored if not closed properly
            /* S/A  */ [S_IV, S_IV, S_SR, S_IV, S_IV, S_IV, S_IV, S_IV, S_IV, S_SR], // S2: simultaneous open
            /* FIN  */ [S_IV, S_IV, S_FW, S_FW, S_LA, S_LA, S_LA, S_TW, S_CL, S_IV], // FW: both sides close at once
            /* ACK  */ [S_ES, S_IV, S_ES, S_ES, S_CW, S_CW, S_TW, S_TW, S_CL, S_IV], // NONE: picked up mid-stream
            /* RST  */ [S_IV, S_CL, S_CL, S_CL, S_CL, S_CL, S_CL, S_CL, S_CL, S_CL],
            /* none */ [S_IV, S_IV, S_IV, S_IV, S_IV, S_IV, S_IV, S_IV, S_IV, S_IV],
        ],
        [ // reply
            //          NONE  SS    SR    ES    FW    CW    LA    TW    CL    S2
            /* SYN  */ [S_IV, S_S2, S_IV, S_IV, S_IV, S_IV, S_IV, S_SS, S_IV, S_S2], // TW: reopened with roles swapped
            /* S/A  */ [S_IV, S_SR, S_IG, S_IG, S_IG, S_IG, S_IG, S_IG, S_IG, S_SR], // ignored, unless it answers an ignored SYN
            /* FIN  */ [S_IV, S_IV, S_FW, S_FW, S_LA, S_LA, S_LA, S_TW, S_CL, S_IV],
            /* ACK  */ [S_IV, S_IG, S_SR, S_ES, S_CW, S_CW, S_TW, S_TW, S_CL, S_IG], // SS: a challenge ACK; SR: may be a SYN/ACK's tail
            /* RST  */ [S_IV, S_CL, S_CL, S_CL, S_CL, S_CL, S_CL, S_CL, S_CL, S_CL],
            /* none */ [S_IV, S_IV, S_IV, S_IV, S_IV, S_IV, S_IV, S_IV, S_IV, S_IV],
        ],
    ];
    table
};

/// SCTP. Rows: INIT, INIT ACK, ABORT, SHUTDOWN, SHUTDOWN ACK, ERROR, COOKIE ECHO, COOKIE ACK, SHUTDOWN COMPLETE,
/// HEARTBEAT, HEARTBEAT ACK. Other chunks keep the state.
pub const SCTP: SctpTable = {
    use SctpState as S;
    const S_CL: Next<SctpState> = Next::To(S::Closed);
    const S_CW: Next<SctpState> = Next::To(S::CookieWait);
    const S_CE: Next<SctpState> = Next::To(S::CookieEchoed);
    const S_ES: Next<SctpState> = Next::To(S::Established);
    const S_SS: Next<SctpState> = Next::To(S::ShutdownSent);
    const S_SR: Next<SctpState> = Next::To(S::ShutdownRecd);
    const S_SA: Next<SctpState> = Next::To(S::ShutdownAckSent);
    const S_HS: Next<SctpState> = Next::To(S::HeartbeatSent);
    const S_IV: Next<SctpState> = Next::Invalid;
    #[rustfmt::skip]
    let table = [
        [ // original
            //                     NONE  CL    CW    CE    ES    SS    SR    SA    HS
            /* INIT            */ [S_CL, S_CL, S_CW, S_CE, S_ES, S_CL, S_CL, S_SA, S_CW],
            /* INIT ACK        */ [S_CL, S_CL, S_CW, S_CE, S_ES, S_SS, S_SR, S_SA, S_CL],
            /* ABORT           */ [S_CL, S_CL, S_CL, S_CL, S_CL, S_CL, S_CL, S_CL, S_CL],
            /* SHUTDOWN        */ [S_CL, S_CL, S_CW, S_CE, S_SS, S_SS, S_SR, S_SA, S_CL],
            /* SHUTDOWN ACK    */ [S_SA, S_CL, S_CW, S_CE, S_ES, S_SA, S_SA, S_SA, S_SA],
            /* ERROR           */ [S_CL, S_CL, S_CW, S_CE, S_ES, S_SS, S_SR, S_SA, S_CL],
            /* COOKIE ECHO     */ [S_CL, S_CL, S_CE, S_CE, S_ES, S_SS, S_SR, S_SA, S_CL],
            /* COOKIE ACK      */ [S_CL, S_CL, S_CW, S_ES, S_ES, S_SS, S_SR, S_SA, S_CL],
            /* SHUTDOWN COMPL. */ [S_CL, S_CL, S_CW, S_CE, S_ES, S_SS, S_SR, S_CL, S_CL],
            /* HEARTBEAT       */ [S_HS, S_CL, S_CW, S_CE, S_ES, S_SS, S_SR, S_SA, S_HS],
            /* HEARTBEAT ACK   */ [S_CL, S_CL, S_CW, S_CE, S_ES, S_SS, S_SR, S_SA, S_HS],
        ],
        [ // reply
            //                     NONE  CL    CW    CE    ES    SS    SR    SA    HS
            /* INIT            */ [S_IV, S_CL, S_CW, S_CE, S_ES, S_SS, S_SR, S_SA, S_IV],
            /* INIT ACK        */ [S_IV, S_CW, S_CW, S_CE, S_ES, S_SS, S_SR, S_SA, S_IV],
            /* ABORT           */ [S_IV, S_CL, S_CL, S_CL, S_CL, S_CL, S_CL, S_CL, S_IV],
            /* SHUTDOWN        */ [S_IV, S_CL, S_CW, S_CE, S_SR, S_SS, S_SR, S_SA, S_IV],
            /* SHUTDOWN ACK    */ [S_IV, S_CL, S_CW, S_CE, S_ES, S_SA, S_SA, S_SA, S_IV],
            /* ERROR           */ [S_IV, S_CL, S_CW, S_CL, S_ES, S_SS, S_SR, S_SA, S_IV],
            /* COOKIE ECHO     */ [S_IV, S_CL, S_CE, S_CE, S_ES, S_SS, S_SR, S_SA, S_IV],
            /* COOKIE ACK      */ [S_IV, S_CL, S_CW, S_ES, S_ES, S_SS, S_SR, S_SA, S_IV],
            /* SHUTDOWN COMPL. */ [S_IV, S_CL, S_CW, S_CE, S_ES, S_SS, S_SR, S_CL, S_IV],
            /* HEARTBEAT       */ [S_IV, S_CL, S_CW, S_CE, S_ES, S_SS, S_SR, S_SA, S_HS],
            /* HEARTBEAT ACK   */ [S_IV, S_CL, S_CW, S_CE, S_ES, S_SS, S_SR, S_SA, S_ES],
        ],
    ];
    table
};

/// Laws that every cell obeys, checked when the crate is compiled.
const _: () = {
    let mut direction = 0;
    while direction < 2 {
        let mut state = 0;
        while state < 10 {
            // A segment without RST, SYN, FIN or ACK is never anything.
            assert!(matches!(TCP[direction][5][state], Next::Invalid));
            // RST closes whatever is open, and opens nothing.
            assert!(matches!(TCP[direction][4][state], Next::To(TcpState::Close)) == (state != 0));
            // There is no answer to nothing.
            assert!(direction == 0 || !matches!(TCP[1][0][0], Next::To(_)));
            state += 1;
        }
        direction += 1;
    }
};
