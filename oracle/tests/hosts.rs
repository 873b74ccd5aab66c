//! Stories in which hosts act, seen from the outside: what makes them fail, what makes no sense, and that they are the same
//! each time.

use std::sync::Arc;

use conntruth::Paint;
use conntruth::language::read;
use conntruth::scenario::{Keep, Plan, Verdict, diagnose, mermaid, sequence};
use conntruth::target::Reference;
use conntruth_engine::LINUX_6_18;

fn plan(text: &str) -> Plan {
    let script = read("story.ct", text).unwrap_or_else(|messages| panic!("{messages}"));
    let plans =
        Plan::all("story", &Arc::new(script), LINUX_6_18.hz).unwrap_or_else(|messages| panic!("{messages}"));
    plans.into_iter().next().unwrap()
}

#[track_caller]
fn fails(text: &str, expected: &str) {
    let plan = plan(text);
    let record = plan.run(&mut Reference::new(&LINUX_6_18));
    assert_eq!(plan.verdict(&record), Verdict::Failed);
    let said = diagnose(&plan, &record, Paint::new(false));
    assert!(said.contains(expected), "{said}");
}

#[track_caller]
fn makes_no_sense(text: &str, expected: &str) {
    let message = match read("story.ct", text) {
        Err(messages) => messages.to_string(),
        Ok(script) => match Plan::all("story", &Arc::new(script), LINUX_6_18.hz) {
            Err(messages) => messages.to_string(),
            Ok(_) => panic!("it makes sense"),
        },
    };
    assert!(message.contains(expected), "{message}");
}

const OPEN: &str = "stack client server\nserver listens 7\nclient connects server:7 as c\nrun until c open\n";

#[test]
fn what_does_not_hold_fails_where_it_stands() {
    fails(&format!("{OPEN}believe c: client SYN_SENT\n"), "expected SYN_SENT, got ESTABLISHED");
    fails(&format!("{OPEN}client sees reset on c\n"), "expected reset, got nothing");
    fails(&format!("{OPEN}client received 5 on c\n"), "expected 5 bytes, got 0 bytes");
    fails(&format!("{OPEN}client received whole on c\n"), "the 0 bytes");
    fails(&format!("{OPEN}sockets server 2\n"), "expected 2, got 1");
    fails(&format!("{OPEN}disagree c zombie\n"), "expected zombie, got nothing");
    fails(&format!("{OPEN}took c 1s\n"), "it is not");
    fails(&format!("{OPEN}expires c 1h\n"), "still there");
    fails(
        "stack client server\nclient pings server as p\nrun until p done\nanswered p 2\n",
        "expected 2, got 1",
    );
    fails(
        "stack client server\nclient scans server 22 as s\nrun until s done\nfound s 22 open\n",
        "got closed",
    );
    fails(
        "stack client server\nclient traces server as t\nrun until t done\nhops t server\n",
        "got box server",
    );
    fails(&format!("{OPEN}client sends 9 on c\n= new\n"), "expected new, got established");
    fails(&format!("{OPEN}link client cut\nclient sends 9 on c\n= established\n"), "none within ten minutes");
}

#[test]
fn a_fault_that_never_happened_fails_the_story() {
    let text =
        format!("{OPEN}count 1\n").replace("server\nserver", "server\nlink client lose packet 99\nserver");
    fails(&text, "`lose packet 99` never did");
}

#[test]
fn what_never_comes_about_is_said() {
    fails(&format!("{OPEN}run until c closed\ncount 1\n"), "nothing more is going to happen");
    let text = format!("limit 1h\n{OPEN}+2h count 1\n");
    fails(&text, "it does not end before 3600 s");
    let text = format!("limit 500 events\n{}+30d count 0\n", OPEN.replace("as c", "as c keepalive 1s"));
    fails(&text, "500 events have happened");
}

#[test]
fn what_makes_no_sense_is_found_before_anything_runs() {
    makes_no_sense("stack client\nclient connects server:7 as c\n", "nothing listens at port 7 of `server`");
    makes_no_sense("stack client\nserver listens 7\n", "`server` does nothing by itself");
    makes_no_sense("client connects server:7 as c anyway\n", "`client` does nothing by itself");
    makes_no_sense(
        "stack client server\nserver listens 7\nserver echoes 7\n",
        "listens at this port already",
    );
    makes_no_sense("stack client sever\n", "did you mean `server`?");
    makes_no_sense("stack client server\nclient connnects server:7\n", "did you mean `connects`?");
    makes_no_sense("stack client\nlink client lose packet 0\ncount 0\n", "packets are counted from 1");
    makes_no_sense("stack client\nlink client lose from 3s until 1s\ncount 0\n", "before it begins");
    makes_no_sense("stack client\nlink client lose 0%\ncount 0\n", "it can never happen");
    makes_no_sense("stack client\nlink client latencyy 5ms\ncount 0\n", "did you mean `latency`?");
    makes_no_sense("stack client\nlink box mtu 1400\ncount 0\n", "which cable of `box`?");
    makes_no_sense("host ann 10.0.0.1\nstack client ann\ncount 0\n", "have the same address 10.0.0.1");
    makes_no_sense("host far 10.7.0.1 behind r1\nstack far\ncount 0\n", "there is no router `r1`");
    makes_no_sense(&format!("{OPEN}offload d\n"), "there is no flow `d`");
    makes_no_sense(&format!("{OPEN}hidden client:1 > server:2 udp (4)\n"), "nothing is hidden");
    makes_no_sense("stack client server\nserver echoes 7 hops\n", "`hops` says nothing about `echoes`");
}

#[test]
fn a_story_is_the_same_each_time() {
    let text = "stack client server\nlink client latency 3ms jitter 2ms lose 3% data\nserver echoes 7\nclient connects server:7 as c\nclient sends 60000 on c\nrun 5min\nclient received whole on c\n";
    let run = || {
        let plan = plan(text);
        let keep = Keep { events: true, captures: None };
        let (record, after) = plan.run_with_hosts(&mut Reference::new(&LINUX_6_18), keep);
        assert_eq!(plan.verdict(&record), Verdict::Passed);
        (record, after)
    };
    let (one, other) = (run(), run());
    assert_eq!(one.1.chain.first_difference(&other.1.chain), None);
    assert_eq!(one.1.chain.value(), other.1.chain.value());
    assert!(one.0.is_like(&other.0) && one.1.chain.count() > 200);
}

#[test]
fn what_happened_is_drawn() {
    let plan = plan(&format!("{OPEN}count 1\n"));
    let record = plan.run(&mut Reference::new(&LINUX_6_18));
    let drawn = sequence(&plan, &record, Paint::new(false));
    assert!(drawn.contains("── S 0:0(0) win 65535 ──"), "{drawn}");
    assert!(drawn.contains("new SYN_SENT 120s"), "{drawn}");
    let diagram = mermaid(&plan, &record);
    assert!(diagram.starts_with("sequenceDiagram\n") && diagram.contains("client->>tracker: 0.000 S 0:0(0)"));
}

/// A mistake, the line and column where it stands, and what is said of it.
const MISTAKES: &[(&str, &str, &str)] = &[
    // No route.
    (
        "stack client\nclient connects 10.99.0.1:80 as c\n",
        "2:1",
        "client has no route to 10.99.0.1: the way ends at box",
    ),
    (
        "router r1 outside\nrouter r2 outside\nhost far 10.7.0.1 behind r1\nroute r1 > far via r2\nroute r2 > far via r1\nstack client far\nclient pings far as p\n",
        "7:1",
        "leads in a circle: it comes by r1 twice",
    ),
    (
        "router r1 outside\nhost far 10.7.0.1 behind r1\nroute far > client around\nstack client far\ncount 0\n",
        "3:7",
        "only hosts beside the tracker have a way around it",
    ),
    (
        "router r1 outside\nroute client > server via r1\nstack client\ncount 0\n",
        "2:7",
        "`client` has no network in common with `r1`",
    ),
    // An address that somebody has, or nobody may have.
    ("host ann 10.0.0.1\nstack client\ncount 0\n", "1:6", "ann and client have the same address 10.0.0.1"),
    (
        "host ann 10.0.0.7\nhost ben 10.0.0.7\nstack ann ben\ncount 0\n",
        "2:6",
        "ann and ben have the same address",
    ),
    ("host ann 10.0.0.254\nstack ann\ncount 0\n", "1:6", "box and ann have the same address"),
    ("interface x of server 10.0.0.1\nstack server\ncount 0\n", "1:11", "the same address 10.0.0.1"),
    ("host far 224.0.0.1\nstack far\ncount 0\n", "1:6", "no host has the address 224.0.0.1"),
    // Unknown hosts, routers, networks.
    ("stack client\nclient connects sevrer:7 as c\n", "2:17", "did you mean `server`?"),
    ("link cilent latency 5ms\nstack client\ncount 0\n", "1:6", "did you mean `client`?"),
    ("route sever > client around\nstack client\ncount 0\n", "1:7", "did you mean `server`?"),
    ("interface x of sever 10.0.2.1\nstack server\ncount 0\n", "1:16", "did you mean `server`?"),
    ("interface x of box 10.0.2.1\nstack server\ncount 0\n", "1:16", "`box` can have no other interfaces"),
    ("router r1 outside\nnetwork lan behind r2\nstack client\ncount 0\n", "2:20", "there is no router `r2`"),
    (
        "router r1 outside\nnetwork a behind r1\nnetwork b behind r1\nstack client\ncount 0\n",
        "3:9",
        "`r1` leads to one network already",
    ),
    (
        "router r1 outside\nnetwork lan behind r1 r1\nstack client\ncount 0\n",
        "2:23",
        "this router stands twice",
    ),
    ("interface x of server 10.0.2.1\nstack x\ncount 0\n", "2:7", "`x` is an interface, and no host"),
    // Nobody listens.
    ("stack client server\nclient connects server:7 as c\n", "2:1", "nothing listens at port 7 of `server`"),
    (
        "stack client server\nclient connects 10.0.1.1:7 as c\n",
        "2:1",
        "nothing listens at port 7 of `server`",
    ),
    (
        "stack client server\nserver serves dns 53\nclient ftp server:53 as c\n",
        "3:1",
        "nothing listens at port 53",
    ),
    (
        "stack client server\nserver echoes 69\nclient tftp server:69 get a as t\n",
        "3:1",
        "nothing listens at port 69",
    ),
    // Faults and bounds out of range.
    ("link client lose 101%\nstack client\ncount 0\n", "1:18", "`101%` is no chance"),
    ("link client lose packet 0\nstack client\ncount 0\n", "1:13", "packets are counted from 1"),
    ("link client corrupt byte 99999\nstack client\ncount 0\n", "1:26", "the byte takes 0 to 65535"),
    ("link client bandwidth 0bit\nstack client\ncount 0\n", "1:23", "`0bit` is no bandwidth"),
    ("link client mtu 20\nstack client\ncount 0\n", "1:17", "the MTU takes 68 to 65535"),
    ("link client delay by 5 s\nstack client\ncount 0\n", "1:22", "unit"),
    ("limit 0 events\nstack client\ncount 0\n", "1:7", "the bound on events"),
    // What hosts cannot be told.
    (
        "stack client server\nserver serves ftp 21\nclient ftp server:21 as c\nclient ftp c login a as d\n",
        "4:22",
        "nothing to be named",
    ),
    (
        "stack client server\nserver listens 7\nclient connects server:7 as c\nserver reads c 5\n",
        "4:17",
        "every",
    ),
    ("stack client server\nserver serves smtp 25\n", "2:15", "`ftp`, `tftp`, `dns` or `irc`"),
    ("stack client server\nserver serves dns 53 name www.example\n", "2:38", "the address of the name"),
    (
        "stack client server\nserver serves tftp 69\nclient tftp server:69 fetch a as t\n",
        "3:23",
        "`get` or `put`",
    ),
];

#[test]
fn every_mistake_is_shown_where_it_stands() {
    for (text, place, what) in MISTAKES {
        makes_no_sense(text, what);
        makes_no_sense(text, &format!("--> story.ct:{place}\n"));
    }
}

#[test]
fn a_tape_is_what_the_hosts_sent() {
    let text = "stack client server\nserver echoes 7\nclient connects server:7 as c\n= new, established reply, established\nclient sends 9000 on c\nrun 1s\nclient received 9000 on c\nentry c ESTABLISHED\n";
    let acted = plan(text);
    let record = acted.run(&mut Reference::new(&LINUX_6_18));
    let tape = acted.clone().taped(&LINUX_6_18);
    assert!(acted.has_hosts() && !tape.has_hosts());
    assert_eq!(tape.packets(), acted.passed(&record));
    let again = tape.run(&mut Reference::new(&LINUX_6_18));
    // All but what the client says it received.
    assert_eq!(tape.verdict(&again), Verdict::Passed);
    assert_eq!((again.claims, again.seeable), (record.claims, record.seeable - 1));
    // It would notice.
    let wrong = plan(&text.replace("entry c ESTABLISHED", "entry c CLOSE")).taped(&LINUX_6_18);
    assert_eq!(wrong.verdict(&wrong.run(&mut Reference::new(&LINUX_6_18))), Verdict::Failed);
}
