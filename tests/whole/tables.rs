//! The transition tables in print: what a reviewer reads instead of the source.

use conntruth_engine::LINUX_6_18;
use conntruth_tests::{sctp_table, tcp_table};

#[test]
fn tcp() {
    insta::assert_snapshot!(tcp_table(LINUX_6_18.tcp_table));
}

#[test]
fn sctp() {
    insta::assert_snapshot!(sctp_table(LINUX_6_18.sctp_table));
}
