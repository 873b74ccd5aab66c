//! The language as its users meet it: every mistake with its message, every step there and back, and noise.

mod mistakes;
mod noise;
mod round;

/// Heading for steps that need flows of every kind.
pub(super) const HEADING: &str = "\
flow web tcp client:40000 > server:80
flow dns udp client:5000 > server:53
flow lite udplite client:7 > server:7
flow ping icmp client > server id 7
flow s sctp client:1000 > server:2000
flow tunnel gre client > server
";
