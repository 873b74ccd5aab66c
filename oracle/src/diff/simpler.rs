//! What is a little simpler than a story: without a step, a setting, a field; with the honest value in the place of
//! another; in the other family.

use conntruth_engine::Family;

use crate::generate::tidy;
use crate::language::ast::packet::{
    Body, Chunk, Cut, HostRef, Icmp, Packet, Path, Payload, Quoted, Sctp, Seq, Stop, Tcp, TcpOption, Udp, Way,
};
use crate::language::ast::{Action, Located, Span, Story};

/// A change to a story, and whether it is one.
type Change<'c> = dyn Fn(&mut Story) -> bool + 'c;
/// Takes up a changed story.
type Add<'a> = dyn FnMut(&Change<'_>) + 'a;

/// All that is simpler in one thing, some of it in more. `last` is a packet after which nothing matters.
pub(super) fn simpler(story: &Story, last: usize) -> Vec<Story> {
    let mut all = Vec::new();
    let mut add = |change: &Change<'_>| {
        let mut other = story.clone();
        if change(&mut other) {
            tidy(&mut other);
            all.push(other);
        }
    };
    let steps = story.steps.len();
    // Every packet is at least a piece of a step.
    add(&|story| {
        let fewer = last + 1 < steps;
        story.steps.truncate(last + 1);
        fewer
    });
    let mut size = steps / 2;
    while size > 0 {
        for from in (0..steps).step_by(size) {
            let to = (from + size).min(steps);
            if to - from < steps {
                add(&|story| {
                    story.steps.drain(from..to);
                    true
                });
            }
        }
        size /= 2;
    }
    // Two that belong together and are apart.
    for first in 0..steps.min(MOST_PAIRED) {
        for second in first + 2..steps.min(MOST_PAIRED) {
            add(&|story| {
                story.steps.remove(second);
                story.steps.remove(first);
                true
            });
        }
    }
    add(&|story| nothing_waits(story));
    settings(story, &mut add);
    rules(story, &mut add);
    everywhere(&mut add);
    flows(story, &mut add);
    add(&|story| std::mem::replace(&mut story.families, vec![Family::Ipv4]) != [Family::Ipv4]);
    for index in 0..steps {
        add(&|story| story.steps[index].after.take().is_some());
        add(&|story| match &mut story.steps[index].after {
            Some(after) if after.value.ticks != 0 => {
                after.value.ticks = 0;
                true
            }
            Some(after) if after.value.nanos > 1_000_000_000 => {
                after.value.nanos = 1_000_000_000;
                true
            }
            _ => false,
        });
        let Action::Send { packet, .. } = &story.steps[index].action else { continue };
        for simple in packets(packet) {
            add(&|story| {
                if let Action::Send { packet, .. } = &mut story.steps[index].action {
                    **packet = simple.clone();
                }
                true
            });
        }
    }
    all
}

/// Steps of which two are tried to be left out at once.
const MOST_PAIRED: usize = 12;

/// What is simpler in all steps at once: a zone or a check of numbers that every packet has to have or none.
fn everywhere(add: &mut Add<'_>) {
    let mut all = |change: &dyn Fn(&mut Packet)| {
        add(&|story| {
            for step in &mut story.steps {
                if let Action::Send { packet, .. } = &mut step.action {
                    change(packet);
                }
            }
            true
        });
    };
    all(&|packet| packet.zone = None);
    all(&|packet| packet.notrack = false);
    all(&|packet| packet.stop = None);
    all(&|packet| packet.ip = Default::default());
    all(&|packet| packet.cut = Cut::Whole);
    all(&|packet| packet.pokes.clear());
    let mut tcp = |change: &dyn Fn(&mut Tcp)| {
        all(&|packet| {
            if let Body::Tcp(tcp) = &mut packet.body {
                change(tcp);
            }
        });
    };
    tcp(&|tcp| *tcp = Tcp { flags: tcp.flags, ..Tcp::default() });
    tcp(&|tcp| tcp.options = None);
    tcp(&|tcp| tcp.window = None);
    tcp(&|tcp| tcp.payload = None);
    tcp(&|tcp| (tcp.seq, tcp.ack) = (None, None));
    tcp(&|tcp| (tcp.urgent, tcp.data_offset, tcp.checksum) = (None, None, None));
    tcp(&|tcp| tcp.flags &= 0x1f);
}

/// Flows between the usual hosts and ports, and turned round so that the first packet goes forth.
fn flows(story: &Story, add: &mut Add<'_>) {
    for index in 0..story.flows.len() {
        add(&|story| {
            let flow = &mut story.flows[index];
            let before = (flow.from.clone(), flow.to.clone());
            for (end, usual, port) in [(&mut flow.from, "client", 40_000), (&mut flow.to, "server", 80)] {
                end.host = HostRef::Name(Located { value: usual.to_owned(), span: Span::default() });
                end.port = end.port.map(|_| port);
            }
            before != (flow.from.clone(), flow.to.clone())
        });
        add(&|story| {
            let name = story.flows[index].name.clone();
            let flow = &mut story.flows[index];
            std::mem::swap(&mut flow.from, &mut flow.to);
            for step in &mut story.steps {
                if let Action::Send { packet, .. } = &mut step.action
                    && let Path::Flow { flow, way } = &mut packet.path
                    && *flow == name
                {
                    *way = if *way == Way::Forth { Way::Back } else { Way::Forth };
                }
            }
            true
        });
        add(&|story| story.flows[index].id.take().is_some());
    }
}

/// All packets go on at once.
fn nothing_waits(story: &mut Story) -> bool {
    let steps = story.steps.len();
    story.steps.retain(|step| !matches!(step.action, Action::Release { .. }));
    for step in &mut story.steps {
        if let Action::Send { packet, .. } = &mut step.action {
            packet.stop = packet.stop.filter(|stop| !matches!(stop, Stop::Waits(_)));
        }
    }
    story.steps.len() < steps
}

/// Fewer rules.
fn rules(story: &Story, add: &mut Add<'_>) {
    let count = story.rules.len();
    add(&|story| !std::mem::take(&mut story.rules).is_empty());
    let mut size = count / 2;
    while size > 0 {
        for from in (0..count).step_by(size) {
            add(&|story| {
                story.rules.drain(from..(from + size).min(count));
                true
            });
        }
        size /= 2;
    }
}

fn settings(story: &Story, add: &mut Add<'_>) {
    let count = story.settings.len();
    add(&|story| !std::mem::take(&mut story.settings).is_empty());
    let mut size = count / 2;
    while size > 0 {
        for from in (0..count).step_by(size) {
            add(&|story| {
                story.settings.drain(from..(from + size).min(count));
                true
            });
        }
        size /= 2;
    }
}

/// Packets simpler in one thing.
fn packets(packet: &Packet) -> Vec<Packet> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Packet)| {
        let mut other = packet.clone();
        change(&mut other);
        if other != *packet {
            all.push(other);
        }
    };
    add(&|packet| packet.ip = Default::default());
    add(&|packet| {
        packet.ip = crate::language::ast::packet::Ip { id: packet.ip.id, ..Default::default() };
    });
    add(&|packet| packet.cut = Cut::Whole);
    add(&|packet| packet.pokes.clear());
    add(&|packet| packet.notrack = false);
    add(&|packet| packet.zone = None);
    add(&|packet| packet.stop = None);
    add(&|packet| {
        packet.ip.extensions.pop();
    });
    if let Cut::Fragments { size, order: Some(order) } = &packet.cut {
        for index in 0..order.len() {
            let mut order = order.clone();
            order.remove(index);
            if !order.is_empty() {
                add(&|packet| packet.cut = Cut::Fragments { size: *size, order: Some(order.clone()) });
            }
        }
        add(&|packet| packet.cut = Cut::Fragments { size: *size, order: None });
    }
    if let Cut::Fragment { from, to, at, more } = packet.cut {
        add(&|packet| packet.cut = Cut::Fragment { from, to, at: None, more });
        add(&|packet| packet.cut = Cut::Fragment { from, to, at, more: None });
    }
    for body in bodies(&packet.body) {
        add(&|packet| packet.body = body.clone());
    }
    all
}

fn bodies(body: &Body) -> Vec<Body> {
    match body {
        Body::Tcp(tcp) => segments(tcp).into_iter().map(Body::Tcp).collect(),
        Body::Udp(udp) => datagrams(udp).into_iter().map(Body::Udp).collect(),
        Body::UdpLite(udp) => datagrams(udp).into_iter().map(Body::UdpLite).collect(),
        Body::Icmp(icmp) => messages(icmp).into_iter().map(Body::Icmp).collect(),
        Body::Sctp(sctp) => associations(sctp).into_iter().map(Body::Sctp).collect(),
        Body::Gre(gre) => {
            let mut all = vec![gre.clone(); 4];
            (all[0].version, all[1].call, all[2].carries) = (None, None, None);
            all[3].payload = None;
            all.into_iter().map(Body::Gre).collect()
        }
        Body::Other { protocol, payload } => {
            smaller(payload).into_iter().map(|payload| Body::Other { protocol: *protocol, payload }).collect()
        }
        Body::Raw(_) | Body::Again(_) => Vec::new(),
    }
}

/// Less payload.
fn smaller(payload: &Option<Payload>) -> Vec<Option<Payload>> {
    match payload {
        None => Vec::new(),
        Some(Payload::Length(length)) if *length > 1 => {
            vec![None, Some(Payload::Length(1)), Some(Payload::Length(length / 2))]
        }
        Some(Payload::Length(_)) => vec![None],
        Some(Payload::Bytes(bytes)) => {
            let half = bytes.len() / 2;
            let halves = [&bytes[..half], &bytes[half..]].into_iter().filter(|_| half > 0);
            let halves = halves.map(|half| Some(Payload::Bytes(half.to_vec())));
            [None, Some(Payload::Length(bytes.len() as u32))].into_iter().chain(halves).collect()
        }
        Some(Payload::Text(pieces)) => {
            let without = |index: usize| {
                let mut fewer = pieces.clone();
                fewer.remove(index);
                Some(Payload::Text(fewer))
            };
            std::iter::once(None).chain((0..pieces.len()).map(without)).collect()
        }
    }
}

fn segments(tcp: &Tcp) -> Vec<Tcp> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Tcp)| {
        let mut other = tcp.clone();
        change(&mut other);
        all.push(other);
    };
    add(&|tcp| (tcp.seq, tcp.ack) = (None, None));
    add(&|tcp| tcp.seq = None);
    add(&|tcp| tcp.ack = None);
    add(&|tcp| tcp.window = None);
    add(&|tcp| tcp.window = Some(0));
    add(&|tcp| tcp.options = None);
    add(&|tcp| tcp.options = Some(Vec::new()));
    add(&|tcp| tcp.urgent = None);
    add(&|tcp| tcp.data_offset = None);
    add(&|tcp| tcp.checksum = None);
    for bit in 0..8 {
        add(&|tcp| tcp.flags &= !(1 << bit));
    }
    for payload in smaller(&tcp.payload) {
        add(&|tcp| tcp.payload = payload.clone());
    }
    for seq in tcp.seq.iter().flat_map(|seq| nearer(*seq)) {
        add(&|tcp| tcp.seq = Some(seq));
    }
    for ack in tcp.ack.iter().flat_map(|ack| nearer(*ack)) {
        add(&|tcp| tcp.ack = Some(ack));
    }
    for (index, option) in tcp.options.iter().flatten().enumerate() {
        let remove = |tcp: &mut Tcp| {
            if let Some(options) = &mut tcp.options {
                options.remove(index);
            }
        };
        add(&remove);
        if let TcpOption::Sack(blocks) = option
            && blocks.len() > 1
        {
            add(&|tcp| {
                if let Some(TcpOption::Sack(blocks)) = tcp.options.as_mut().and_then(|all| all.get_mut(index))
                {
                    blocks.pop();
                }
            });
        }
    }
    all
}

/// Numbers that are nearer to the honest one, or easier to read.
fn nearer(seq: Seq) -> Vec<Seq> {
    match seq {
        Seq::Next(0) => Vec::new(),
        Seq::Next(distance) => {
            vec![
                Seq::Next(0),
                Seq::Next(distance.signum()),
                Seq::Next(distance / 2),
                Seq::Next(distance / 10 * 10),
            ]
        }
        Seq::Absolute(_) => vec![Seq::Absolute(0), Seq::Absolute(1 << 31), Seq::Absolute(1)],
        Seq::Relative(_) => vec![Seq::Relative(0), Seq::Relative(1)],
    }
}

fn datagrams(udp: &Udp) -> Vec<Udp> {
    let mut all = vec![udp.clone(); 3];
    (all[0].length, all[1].coverage, all[2].checksum) = (None, None, None);
    all.extend(smaller(&udp.payload).into_iter().map(|payload| Udp { payload, ..udp.clone() }));
    all
}

fn messages(icmp: &Icmp) -> Vec<Icmp> {
    let mut all = vec![icmp.clone(); 4];
    (all[0].id, all[1].seq, all[2].rest, all[3].checksum) = (None, None, None, None);
    all.extend(smaller(&icmp.payload).into_iter().map(|payload| Icmp { payload, ..icmp.clone() }));
    let Some(quote) = &icmp.quote else { return all };
    let with = |change: &dyn Fn(&mut crate::language::ast::packet::Quote)| {
        let mut quote = quote.clone();
        change(&mut quote);
        Icmp { quote: Some(quote), ..icmp.clone() }
    };
    if quote.bytes.is_some() && !matches!(quote.what, Quoted::Raw(_)) {
        all.push(with(&|quote| quote.bytes = None));
    }
    if let Quoted::Packet(packet) = &quote.what {
        for simple in packets(packet) {
            all.push(with(&|quote| quote.what = Quoted::Packet(Box::new(simple.clone()))));
        }
    }
    all
}

fn associations(sctp: &Sctp) -> Vec<Sctp> {
    let mut all = vec![sctp.clone(); 2];
    (all[0].tag, all[1].checksum) = (None, None);
    for index in 0..sctp.chunks.len() {
        let mut with = |change: &dyn Fn(&mut Chunk)| {
            let mut other = sctp.clone();
            change(&mut other.chunks[index]);
            all.push(other);
        };
        with(&|chunk| (chunk.flags, chunk.tag, chunk.length, chunk.payload) = (None, None, None, None));
        with(&|chunk| chunk.flags = None);
        with(&|chunk| chunk.tag = None);
        with(&|chunk| chunk.length = None);
        with(&|chunk| chunk.payload = None);
        let mut other = sctp.clone();
        other.chunks.remove(index);
        all.push(other);
    }
    all
}
