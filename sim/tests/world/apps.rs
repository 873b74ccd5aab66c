//! Each application does what it is for, in each world, with both families.

use std::collections::BTreeMap;

use conntruth_sim::app::dns::{self, Question};
use conntruth_sim::app::ftp::{self, Mode, Order};
use conntruth_sim::app::ping::Ping;
use conntruth_sim::app::scan::{Found, Scan};
use conntruth_sim::app::tcp::{Client, Crowd, Server};
use conntruth_sim::app::{Act, Content, Trouble, tftp, udp};
use conntruth_sim::host::{Ending, TcpState};
use conntruth_sim::packet::IcmpError;
use conntruth_sim::time::{MILLISECOND, MINUTE, SECOND};

use crate::base::{client, ip, server};
use crate::support::worlds;

#[test]
fn an_echo_comes_back_byte_for_byte() {
    for is_v6 in [false, true] {
        for (name, mut world) in worlds() {
            world.start("server", Server::echo(7)).unwrap();
            let plan = vec![Act::Send(100_000), Act::Receive(100_000), Act::Close];
            let client = world.start("client", Client::new(server(is_v6, 7), plan)).unwrap();
            world.check(client).unwrap();
            world.run_until_idle().unwrap();
            let summary = world.summary(client);
            assert_eq!(summary.trouble, None, "{name}");
            assert!(summary.is_done, "{name}");
            assert_eq!(summary.sent.bytes(), 100_000, "{name}");
            assert_eq!(summary.sent, summary.received, "{name}");
            assert!(world.count().dropped == 0, "{name}: {:?}", world.count());
        }
    }
}

#[test]
fn a_half_closed_connection_still_carries_data_back() {
    for (name, mut world) in worlds() {
        let answer = vec![Act::ReceiveAll, Act::Wait(SECOND), Act::Send(5000), Act::Close];
        let answering = world.start("server", Server::new(80, answer)).unwrap();
        let plan = vec![Act::Send(300), Act::HalfClose, Act::ReceiveAll];
        let client = world.start("client", Client::new(server(false, 80), plan)).unwrap();
        world.run_until(500 * MILLISECOND).unwrap();
        let node = world.node("client").unwrap();
        let states: Vec<TcpState> = world.tcp_sockets(node).map(|(_, socket)| socket.state).collect();
        assert_eq!(states, [TcpState::FinWait2], "{name}");
        world.run_until_idle().unwrap();
        assert_eq!(world.summary(client).received.bytes(), 5000, "{name}");
        let report = world.app::<Server>(answering).unwrap().reports().next().unwrap().clone();
        assert_eq!((report.received.bytes(), report.ending), (300, Some(Ending::Done)), "{name}");
        assert_eq!(report.sent, world.summary(client).received, "{name}");
    }
}

#[test]
fn an_abort_is_a_reset_to_the_other_side() {
    for (name, mut world) in worlds() {
        let sink = world.start("server", Server::sink(9)).unwrap();
        let plan = vec![Act::Send(1000), Act::Wait(SECOND), Act::Abort];
        let client = world.start("client", Client::new(server(false, 9), plan)).unwrap();
        world.run_until_idle().unwrap();
        let mine = world.app::<Client>(client).unwrap().report().unwrap().clone();
        assert_eq!(mine.ending, Some(Ending::Aborted), "{name}");
        let report = world.app::<Server>(sink).unwrap().reports().next().unwrap().clone();
        assert_eq!(report.ending, Some(Ending::Reset), "{name}");
        assert_eq!(report.trouble, Some(Trouble::Ended(Ending::Reset)), "{name}");
    }
}

#[test]
fn nobody_at_a_port_refuses() {
    for is_v6 in [false, true] {
        for (name, mut world) in worlds() {
            let client = world.start("client", Client::new(server(is_v6, 81), vec![Act::Send(1)])).unwrap();
            assert!(world.check(client).unwrap_err().to_string().contains("nothing listens"), "{name}");
            world.run_until_idle().unwrap();
            let trouble = world.summary(client).trouble;
            assert_eq!(trouble, Some(Trouble::Ended(Ending::Refused)), "{name}");
            assert!(world.summary(client).took().unwrap() < 10 * MILLISECOND, "{name}");
        }
    }
}

#[test]
fn a_crowd_is_served() {
    for (name, mut world) in worlds() {
        let plan = vec![Act::Receive(64), Act::Send(2000), Act::Close];
        let serving = world.start("server", Server::new(80, plan)).unwrap();
        let plan = vec![Act::Send(64), Act::ReceiveAll, Act::Close];
        let crowd = world.start("client", Crowd::new(server(false, 80), 500, plan)).unwrap();
        world.run_until_idle().unwrap();
        let crowd = world.app::<Crowd>(crowd).unwrap();
        assert_eq!((crowd.over(), crowd.living()), ((500, 0), 0), "{name}");
        assert!(crowd.reports().all(|report| report.received.bytes() == 2000), "{name}");
        assert_eq!(world.app::<Server>(serving).unwrap().over(), 500, "{name}");
        let client = world.node("client").unwrap();
        assert_eq!(world.tcp_sockets(client).count(), 0, "{name}: TIME_WAIT is over");
    }
}

#[test]
fn datagrams_are_answered() {
    for is_v6 in [false, true] {
        for (name, mut world) in worlds() {
            let serving = world.start("server", udp::Server::new(53, udp::Answer::Echo)).unwrap();
            let client = world.start("client", udp::Client::new(server(is_v6, 53), 5)).unwrap();
            world.check(client).unwrap();
            world.run_until_idle().unwrap();
            let asked = world.app::<udp::Client>(client).unwrap();
            assert_eq!((asked.answered(), asked.requests().len()), (5, 5), "{name}");
            assert_eq!(world.summary(client).sent, world.summary(client).received, "{name}");
            assert_eq!(world.app::<udp::Server>(serving).unwrap().datagrams(), 5, "{name}");
        }
    }
}

#[test]
fn a_large_datagram_goes_in_fragments() {
    for is_v6 in [false, true] {
        for (name, mut world) in worlds() {
            world.start("server", udp::Server::new(53, udp::Answer::Echo)).unwrap();
            let mut asking = udp::Client::new(server(is_v6, 53), 3);
            asking.size = 20_000;
            let client = world.start("client", asking).unwrap();
            world.run_until_idle().unwrap();
            assert_eq!(world.app::<udp::Client>(client).unwrap().answered(), 3, "{name} {is_v6}");
            assert_eq!(world.summary(client).received.bytes(), 60_000, "{name}");
            let node = world.node("client").unwrap();
            assert!(world.host_count(node).received >= 3 * 14, "{name}: in pieces");
        }
    }
}

#[test]
fn a_stream_comes_back() {
    for (name, mut world) in worlds() {
        let answer = udp::Answer::Stream { count: 50, size: 172, interval: 20 * MILLISECOND };
        world.start("server", udp::Server::new(5004, answer)).unwrap();
        let mut listening = udp::Client::new(server(false, 5004), 1);
        listening.patience = 0;
        let client = world.start("client", listening).unwrap();
        world.run_until_idle().unwrap();
        let request = world.app::<udp::Client>(client).unwrap().requests()[0];
        // The first of the stream answers number 0, the others answer what was never asked.
        assert_eq!(request.answered, Some(4 * MILLISECOND), "{name}");
        let node = world.node("client").unwrap();
        assert_eq!(world.host_count(node).received, 50, "{name}");
    }
}

#[test]
fn a_datagram_to_nobody_is_unreachable() {
    for is_v6 in [false, true] {
        for (name, mut world) in worlds() {
            let client = world.start("client", udp::Client::new(server(is_v6, 9), 1)).unwrap();
            world.run_until_idle().unwrap();
            let trouble = world.summary(client).trouble;
            assert_eq!(trouble, Some(Trouble::Icmp(IcmpError::PortUnreachable)), "{name}");
        }
    }
}

#[test]
fn a_ping_is_answered() {
    for is_v6 in [false, true] {
        for (name, mut world) in worlds() {
            let mut ping = Ping::new(server(is_v6, 0).ip(), 4);
            ping.size = 3000;
            let ping = world.start("client", ping).unwrap();
            world.check(ping).unwrap();
            world.run_until_idle().unwrap();
            let pinged = world.app::<Ping>(ping).unwrap();
            assert_eq!(pinged.answered(), 4, "{name}");
            assert!(pinged.round_trips().all(|time| time == 4 * MILLISECOND), "{name}");
            assert_eq!(world.summary(ping).sent, world.summary(ping).received, "{name}");
        }
    }
}

#[test]
fn names_are_resolved() {
    for (name, mut world) in worlds() {
        let names: [(&str, &[_]); 1] =
            [("www.example", &[ip("192.0.2.1"), ip("2001:db8::1"), ip("192.0.2.2")])];
        world.start("server", dns::Server::new(&names)).unwrap();
        let resolver =
            dns::Resolver::new(server(false, 53), &["www.example", "WWW.Example", "nowhere.example"]);
        let resolver = world.start("client", resolver).unwrap();
        world.check(resolver).unwrap();
        world.run_until_idle().unwrap();
        world.with_app::<dns::Resolver, _>(resolver, |resolver, os| {
            resolver.ask(os, Question { name: "www.example".to_owned(), is_v6: true });
        });
        world.run_until_idle().unwrap();
        let answers = world.app::<dns::Resolver>(resolver).unwrap().answers();
        let addresses: Vec<_> = answers.iter().map(|answer| answer.addresses.clone().unwrap()).collect();
        let both = vec![ip("192.0.2.1"), ip("192.0.2.2")];
        assert_eq!(addresses, [both.clone(), both, vec![], vec![ip("2001:db8::1")]], "{name}");
        assert!(answers.iter().all(|answer| answer.tries == 1), "{name}");
    }
}

#[test]
fn a_scan_finds_what_is_open() {
    for (name, mut world) in worlds() {
        world.start("server", Server::echo(22)).unwrap();
        world.start("server", Server::echo(80)).unwrap();
        let scan = world.start("client", Scan::new(server(false, 0).ip(), 1..=100)).unwrap();
        world.run_until_idle().unwrap();
        let found = world.app::<Scan>(scan).unwrap().found();
        let open: Vec<u16> =
            found.iter().filter(|(_, found)| **found == Found::Open).map(|(&port, _)| port).collect();
        assert_eq!(open, [22, 80], "{name}");
        assert_eq!(found.values().filter(|found| **found == Found::Closed).count(), 98, "{name}");
    }
}

fn files() -> BTreeMap<String, Vec<u8>> {
    let file = |name: &str, length: usize| (name.to_owned(), Content(length as u64).bytes(length));
    [file("readme.txt", 5000), file("large.bin", 300_000), file("empty", 0), file("block", 1024)].into()
}

fn login() -> Order {
    Order::Login { user: "anonymous".to_owned(), password: "me@example".to_owned() }
}

#[test]
fn ftp_moves_files_in_every_mode() {
    for (is_v6, mode) in [
        (false, Mode::Port),
        (false, Mode::Pasv),
        (false, Mode::Eprt),
        (false, Mode::Epsv),
        (true, Mode::Eprt),
        (true, Mode::Epsv),
    ] {
        for (name, mut world) in worlds() {
            let case = format!("{name}, {mode:?}, IPv6 {is_v6}");
            let serving = world.start("server", ftp::Server::new(21, files())).unwrap();
            let new = Content(9).bytes(70_000);
            let orders = vec![
                login(),
                Order::List(mode),
                Order::Get(mode, "readme.txt".to_owned()),
                Order::Get(mode, "large.bin".to_owned()),
                Order::Get(mode, "empty".to_owned()),
                Order::Put(mode, "new.bin".to_owned(), new.clone()),
                Order::Get(mode, "new.bin".to_owned()),
                Order::Quit,
            ];
            let client = world.start("client", ftp::Client::new(server(is_v6, 21), orders)).unwrap();
            world.check(client).unwrap();
            world.run_until_idle().unwrap();
            let ftp = world.app::<ftp::Client>(client).unwrap();
            assert_eq!(world.summary(client).trouble, None, "{case}: {:#?}", ftp.dialogue());
            assert!(world.summary(client).is_done, "{case}");
            let got = |at: usize| &ftp.transfers()[at].bytes;
            assert_eq!(ftp.transfers().len(), 6, "{case}");
            assert_eq!(String::from_utf8_lossy(got(0)).lines().count(), 4, "{case}");
            assert_eq!(got(1), &files()["readme.txt"], "{case}");
            assert_eq!(got(2), &files()["large.bin"], "{case}");
            assert_eq!(got(3), &Vec::<u8>::new(), "{case}");
            assert_eq!(got(5), &new, "{case}");
            let put = &world.app::<ftp::Server>(serving).unwrap().files()["new.bin"];
            assert_eq!(put, &new, "{case}");
            let is_active = matches!(mode, Mode::Port | Mode::Eprt);
            let by_port_20 = ftp.transfers().iter().all(|moved| moved.remote.unwrap().port() == 20);
            assert_eq!(by_port_20, is_active, "{case}: who opens the data connection");
        }
    }
}

#[test]
fn an_aborted_ftp_transfer_leaves_the_session_alive() {
    for mode in [Mode::Port, Mode::Epsv] {
        for (name, mut world) in worlds() {
            world.start("server", ftp::Server::new(21, files())).unwrap();
            let orders = vec![
                login(),
                Order::GetPart(mode, "large.bin".to_owned(), 20_000),
                Order::Get(mode, "readme.txt".to_owned()),
                Order::Quit,
            ];
            let client = world.start("client", ftp::Client::new(server(false, 21), orders)).unwrap();
            world.run_until_idle().unwrap();
            let ftp = world.app::<ftp::Client>(client).unwrap();
            let said = ftp.dialogue().join("\n");
            assert!(
                said.contains("> ABOR") && said.contains("426") && said.contains("221"),
                "{name}: {said}"
            );
            let part = &ftp.transfers()[0].bytes;
            assert!((20_000..300_000).contains(&part.len()), "{name}: {}", part.len());
            assert_eq!(part[..], files()["large.bin"][..part.len()], "{name}");
            assert_eq!(ftp.transfers()[1].bytes, files()["readme.txt"], "{name}");
        }
    }
}

#[test]
fn ftp_says_no() {
    for (name, mut world) in worlds() {
        let mut serving = ftp::Server::new(21, files());
        serving.password = Some("secret".to_owned());
        world.start("server", serving).unwrap();
        let orders = vec![login(), Order::Quit];
        let stranger = world.start("client", ftp::Client::new(server(false, 21), orders)).unwrap();
        let orders = vec![
            Order::Login { user: "me".to_owned(), password: "secret".to_owned() },
            Order::Say("PORT 192,0,2,1,4,8".to_owned()),
            Order::Get(Mode::Pasv, "no such file".to_owned()),
            Order::Quit,
        ];
        let friend = world.start("client", ftp::Client::new(server(false, 21), orders)).unwrap();
        world.run_until_idle().unwrap();
        let trouble = |id| world.summary(id).trouble.unwrap().to_string();
        assert_eq!(trouble(stranger), "refused: 530 Login incorrect.", "{name}");
        assert_eq!(trouble(friend), "refused: 550 There is no such file.", "{name}");
        let said = world.app::<ftp::Client>(friend).unwrap().dialogue().join("\n");
        assert!(said.contains("500 Illegal PORT command."), "{name}: {said}");
        assert!(said.ends_with("221 Goodbye."), "{name}: {said}");
    }
}

#[test]
fn tftp_moves_files() {
    for is_v6 in [false, true] {
        for (name, mut world) in worlds() {
            let serving = world.start("server", tftp::Server::new(files())).unwrap();
            let to = server(is_v6, 69);
            let new = Content(3).bytes(2000);
            let get = world.start("client", tftp::Client::get(to, "readme.txt")).unwrap();
            let block = world.start("client", tftp::Client::get(to, "block")).unwrap();
            let put = world.start("client", tftp::Client::put(to, "new", new.clone())).unwrap();
            let none = world.start("client", tftp::Client::get(to, "none")).unwrap();
            world.check(get).unwrap();
            world.run_until_idle().unwrap();
            let bytes = |id| world.app::<tftp::Client>(id).unwrap().bytes().to_vec();
            assert_eq!(bytes(get), files()["readme.txt"], "{name}");
            assert_eq!(bytes(block), files()["block"], "{name}: whole blocks end with an empty one");
            assert!(world.summary(put).is_done, "{name}");
            assert_eq!(world.app::<tftp::Server>(serving).unwrap().files()["new"], new, "{name}");
            assert_eq!(
                world.summary(none).trouble,
                Some(Trouble::Answer("File not found".to_owned())),
                "{name}"
            );
            assert_eq!(
                world.udp_sockets(world.node("server").unwrap()).count(),
                2,
                "{name}: none is left behind"
            );
        }
    }
}

#[test]
fn an_idle_connection_lives_for_days() {
    for (name, mut world) in worlds() {
        world.start("server", Server::echo(7)).unwrap();
        let plan = vec![
            Act::Send(10),
            Act::Receive(10),
            Act::Wait(4 * 24 * 60 * MINUTE),
            Act::Send(10),
            Act::Receive(10),
        ];
        let client = world.start("client", Client::new(server(false, 7), plan)).unwrap();
        world.run_until_idle().unwrap();
        let summary = world.summary(client);
        assert_eq!((summary.received.bytes(), summary.trouble), (20, None), "{name}");
        assert!(world.count().events < 100, "{name}: nothing happens in between");
        let report = world.app::<Client>(client).unwrap().report().unwrap();
        assert_eq!(report.local.unwrap().ip(), self::client(false), "{name}");
    }
}
