//! Failed claims as people see them, at night.

use conntruth_tests::diagnosis;

#[test]
fn a_class_a_timeout_and_flags() {
    insta::assert_snapshot!(diagnosis(
        "tcp/wrong",
        "\
# What a claim looks like that does not hold.
flow tcp client:40000 > server:80

+0      > S                             # goes out
        = new SYN_SENT 120s [UNREPLIED]
+10ms   < S.                            # comes back
        = new SYN_RECV 120s [ASSURED]
+10ms   > .
        = invalid *
"
    ));
}

#[test]
fn a_reason_with_its_numbers() {
    insta::assert_snapshot!(diagnosis(
        "tcp/far-off",
        "\
flow tcp client:40000 > server:80
        opened
+1s     > .  seq next+1000000   = invalid because tcp-seq-over bound=5
"
    ));
}

#[test]
fn a_table() {
    insta::assert_snapshot!(diagnosis(
        "udp/table",
        "\
family 4 6
flow dns udp client:5000 > server:53
flow ntp udp client:5001 > server:123
        dns > (40)
        ntp > (40)
        ntp < (40)
table
    udp 17 30 src=client dst=server sport=5000 dport=53 [UNREPLIED]
    udp 17 30 src=client dst=server sport=5001 dport=123 [UNREPLIED]
"
    ));
}

#[test]
fn an_entry_that_lives_on() {
    insta::assert_snapshot!(diagnosis("udp/expires", "flow udp client:1 > server:2\n> (1)\nexpires 20s\n"));
}

#[test]
fn no_claims() {
    insta::assert_snapshot!(diagnosis("empty", "# Says nothing.\nflow udp client:1 > server:2\n> (1)\n"));
}
