//! Claims about hosts, held against the world as it is: what they believe, what they were told, what arrived; and where
//! they and the tracker differ.

use conntruth_engine::{Class, EventKind, Time, Verdict};
use conntruth_sim::app::ping::Ping;
use conntruth_sim::app::scan::{Found, Scan};
use conntruth_sim::app::traceroute::Traceroute;
use conntruth_sim::app::{Tally, dns, ftp, irc, tftp, udp};
use conntruth_sim::host::{Reception, TcpState};

use crate::language::ast::claim::Check;
use crate::language::ast::host::{DISAGREEMENTS, HostCheck};
use crate::language::ast::{Action, Name, Span};
use crate::target::Entry;

use super::super::claims::{self, Mismatch, Silence, is_of};
use super::super::plan::{Act, Move, deadline};
use super::cast::{self, Kind, Part, Undone};
use super::{Live, Passed, Stopped};

impl Live<'_, '_> {
    /// Makes the check of a step.
    pub(super) fn check(&mut self, index: usize, step: &Move) -> Result<(), Stopped> {
        let plan = self.plan;
        let node = plan.step(step);
        let Action::Check(check) = &node.action else { return Ok(()) };
        if !check.is_for(&self.world.identity.profile) {
            return Ok(());
        }
        self.record.claims += 1;
        self.record.seeable += 1;
        let now = Time(self.net.now());
        let told = self.target.advance(now)?;
        self.world.happened(&told);
        self.before.extend(told);
        let found = match check.itself() {
            Check::Host(check) => match self.host_check(check, node.action_span) {
                Ok(found) => found,
                Err(Unjudged::Wrong(what)) => {
                    vec![Mismatch::new(node.action_span, "this to be claimed", what)]
                }
                Err(Unjudged::Silent(silence)) => {
                    self.record.silent(node.span, silence)?;
                    return Ok(());
                }
            },
            Check::Expires { flow, after } => {
                let length = after.value.nanos(plan.tick);
                self.expires(flow.as_ref(), after.span, length)?
            }
            _ => match claims::check(&mut self.world, self.target, step) {
                Ok(found) => {
                    // Counted here already: what is hidden was not seen.
                    self.record.seeable -= usize::from(found.hidden);
                    found.mismatches
                }
                Err(silence) => {
                    self.record.silent(node.span, silence)?;
                    return Ok(());
                }
            },
        };
        let seen = super::Seen {
            found: found.iter().filter(|part| !part.unseen).cloned().collect(),
            ..super::Seen::default()
        };
        self.record.seen.push(seen);
        self.record.fail(index, found);
        Ok(())
    }

    /// There one tick before, gone at the tick, and a destroy event says so; hosts live on meanwhile.
    fn expires(&mut self, flow: Option<&Name>, span: Span, length: u64) -> Result<Vec<Mismatch>, Stopped> {
        let talk = self.plan.talks.find(flow, span).map_err(|message| Stopped::Wrong(message.title))?;
        let at = deadline(Time(self.net.now()), length, self.plan.tick).as_nanos();
        let expected =
            format!("it to expire in {}", claims::left(crate::target::Left::exactly(Time(length))));
        let Some(first) = self.entry(talk)? else {
            return Ok(vec![Mismatch::new(span, expected, "no entry")]);
        };
        let left = claims::left(first.left);
        self.run_to(at.saturating_sub(self.plan.tick), |_| false)?;
        self.advance()?;
        let lives = self.entry(talk)?.is_some_and(|entry| entry.id == first.id);
        self.run_to(at, |_| false)?;
        let told_before = self.before.len();
        self.advance()?;
        let gone = self.entry(talk)?.is_none_or(|entry| entry.id != first.id);
        let told = self.before[told_before..]
            .iter()
            .any(|event| event.kind == EventKind::Destroy && event.entry.id == first.id);
        let mismatch = |got: String| vec![Mismatch::new(span, &expected, got).fix(&left)];
        Ok(match (lives, gone) {
            (false, _) => mismatch(format!("gone before: it had {left} left")),
            (true, false) => mismatch(format!("still there: it had {left} left")),
            (true, true) if !told && self.world.identity.abilities.shows.events => {
                vec![Mismatch::new(span, "a destroy event at its end", "none")]
            }
            (true, true) => Vec::new(),
        })
    }

    fn advance(&mut self) -> Result<(), Stopped> {
        let told = self.target.advance(Time(self.net.now()))?;
        self.world.happened(&told);
        self.before.extend(told);
        Ok(())
    }

    fn entry(&mut self, talk: usize) -> Result<Option<Entry>, Stopped> {
        let table = self.target.table()?;
        Ok(table.into_iter().find(|entry| is_of(entry, self.plan.talk(talk))))
    }

    fn host_check(&mut self, check: &HostCheck, span: Span) -> Result<Vec<Mismatch>, Unjudged> {
        match check {
            HostCheck::Believe { conn, parts } => self.believe(conn, parts),
            HostCheck::Sees { host, what, on } => {
                let part = self.cast.part(on.as_ref())?;
                let summary = self.cast.summary(&self.net, part, &host.value);
                let summary = summary.ok_or_else(|| no_side(host))?;
                let talked = self.cast.talked(&self.net, part, &host.value);
                let ending = talked.and_then(|talked| talked.ending).filter(|_| part.kind == Kind::Tcp);
                let got = cast::outcome(&summary, ending);
                Ok(same(what, got))
            }
            HostCheck::Moved { host, received, bytes, on, hash } => {
                let part = self.cast.part(on.as_ref())?.clone();
                self.moved(&part, host, *received, (bytes, hash), span)
            }
            HostCheck::File { host, file, on } => self.file(host, file, on.as_ref(), span),
            HostCheck::Resolved { what, address, span } => {
                let part = self.cast.part(Some(what))?;
                let client = self.net.app::<dns::Resolver>(part.app).ok_or_else(|| wrong(what, "lookup"))?;
                let answer = client.answers().first();
                let got = match answer.map(|answer| &answer.addresses) {
                    None => "no answer yet".to_owned(),
                    Some(None) => "no answer".to_owned(),
                    Some(Some(found)) => found.first().map_or("nothing".to_owned(), ToString::to_string),
                };
                let expected = address.map_or("nothing".to_owned(), |address| address.value.to_string());
                let span = address.map_or(*span, |address| address.span);
                Ok(mismatch_unless(got == expected, || Mismatch::new(span, expected, &got)))
            }
            HostCheck::Took { what, length, exact } => {
                let part = self.cast.part(Some(what))?;
                let summary = self.cast.summary(&self.net, part, &part.host).unwrap_or_default();
                let expected = length.value.nanos(self.plan.tick);
                let Some(took) = summary.took() else {
                    return Ok(vec![Mismatch::new(length.span, "it to be over", "it is not")]);
                };
                let holds = if *exact { took == expected } else { took / SECOND == expected / SECOND };
                let got = if *exact { claims::precise(Time(took)) } else { format!("{}s", took / SECOND) };
                Ok(mismatch_unless(holds, || Mismatch::new(length.span, length.value, &got).fix(&got)))
            }
            HostCheck::Answered { what, count } => {
                let got = self.answered(what)?;
                Ok(mismatch_unless(got == count.value, || {
                    Mismatch::new(count.span, count.value, got).fix(got)
                }))
            }
            HostCheck::Found { what, port, found } => {
                let part = self.cast.part(Some(what))?;
                let scan = self.net.app::<Scan>(part.app).ok_or_else(|| wrong(what, "scan"))?;
                let got = match scan.found().get(&(port.value as u16)) {
                    Some(Found::Open) => "open",
                    Some(Found::Closed) => "closed",
                    Some(Found::Silent) => "silent",
                    Some(Found::Unreachable(_)) => "unreachable",
                    None => "not known yet",
                };
                Ok(same(found, got))
            }
            HostCheck::Hops { what, hosts } => self.hops(what, hosts),
            HostCheck::Sockets { host, count } => {
                let node = self.net.node(&host.value).map_err(|error| Unjudged::Wrong(error.to_string()))?;
                let open = |socket: &conntruth_sim::host::TcpSocket| socket.state != TcpState::Closed;
                let got = self.net.tcp_sockets(node).filter(|(_, socket)| open(socket)).count() as u64;
                Ok(mismatch_unless(got == count.value, || {
                    Mismatch::new(count.span, count.value, got).fix(got)
                }))
            }
            HostCheck::Disagree { conn, how } => {
                let got = self.disagreement(conn)?;
                Ok(same(how, got))
            }
        }
    }

    fn believe(&mut self, conn: &Name, parts: &[(Name, Name)]) -> Result<Vec<Mismatch>, Unjudged> {
        let part = self.cast.part(Some(conn))?.clone();
        let mut mismatches = Vec::new();
        for (who, state) in parts {
            let got = if who.value == "tracker" {
                let talk = self.plan.talks.find(Some(conn), conn.span);
                let talk = talk.map_err(|message| Unjudged::Wrong(message.title))?;
                let table = self.target.table().map_err(|refusal| Unjudged::Silent(refusal.into()))?;
                let entry = table.into_iter().find(|entry| is_of(entry, self.plan.talk(talk)));
                entry.map_or("nothing".to_owned(), |entry| {
                    entry.state.map_or("an entry without a state".to_owned(), |state| state.to_string())
                })
            } else {
                if who.value != part.host && who.value != part.peer.0 {
                    return Err(no_side(who));
                }
                let socket = cast::socket(&self.net, &who.value, &part);
                socket.map_or("nothing", |socket| cast::state_word(socket.state)).to_owned()
            };
            mismatches.extend(same(state, &got));
        }
        Ok(mismatches)
    }

    fn moved(
        &self,
        part: &Part,
        host: &Name,
        received: bool,
        (bytes, hash): (
            &Option<crate::language::ast::Located<u64>>,
            &Option<crate::language::ast::Located<u64>>,
        ),
        span: Span,
    ) -> Result<Vec<Mismatch>, Unjudged> {
        let summary = self.cast.summary(&self.net, part, &host.value).ok_or_else(|| no_side(host))?;
        let tally = if received { &summary.received } else { &summary.sent };
        let mut mismatches = Vec::new();
        match bytes {
            Some(bytes) if bytes.value != tally.bytes() => {
                let got = tally.bytes();
                let words = |count: u64| format!("{count} bytes");
                mismatches.push(Mismatch::new(bytes.span, words(bytes.value), words(got)).fix(got));
            }
            Some(_) => {}
            None => {
                let other = if host.value == part.host { &part.peer.0 } else { &part.host };
                let sent = self.cast.summary(&self.net, part, other).unwrap_or_default().sent;
                if tally.bytes() == 0 || *tally != sent {
                    let is_same = if tally.bytes() == sent.bytes() { "others" } else { "not all" };
                    let expected = format!("the {} bytes that `{other}` sent", sent.bytes());
                    mismatches.push(Mismatch::new(
                        span,
                        expected,
                        format!("{} bytes, {is_same}", tally.bytes()),
                    ));
                }
            }
        }
        if let Some(hash) = hash.filter(|hash| hash.value != tally.hash()) {
            let words = |hash: u64| format!("0x{hash:016x}");
            let got = words(tally.hash());
            mismatches.push(Mismatch::new(hash.span, words(hash.value), &got).fix(&got));
        }
        Ok(mismatches)
    }

    /// Whether a host has a file as the other side has, or had, it.
    fn file(
        &self,
        host: &Name,
        file: &Name,
        on: Option<&Name>,
        span: Span,
    ) -> Result<Vec<Mismatch>, Unjudged> {
        let moves = |part: &&Part| matches!(part.kind, Kind::Ftp | Kind::Tftp | Kind::Irc | Kind::Data(_));
        let moved = match (on, self.cast.parts.iter().rfind(moves)) {
            (None, Some(last)) => last,
            _ => self.cast.part(on)?,
        };
        if moved.kind == Kind::Irc {
            return Ok(self.fetched(host, file, span));
        }
        let part = self.cast.control_of(moved);
        if !matches!(part.kind, Kind::Ftp | Kind::Tftp | Kind::Data(_)) {
            return Err(Unjudged::Wrong("files are moved by FTP, TFTP and IRC".to_owned()));
        }
        let service = self.cast.service(&part.peer.0, part.peer.1);
        let files = service.and_then(|app| {
            let ftp = self.net.app::<ftp::Server>(app).map(ftp::Server::files);
            ftp.or_else(|| self.net.app::<tftp::Server>(app).map(tftp::Server::files))
        });
        let there = files.and_then(|files| files.get(&file.value)).map(|bytes| tally(bytes));
        let client = match part.kind {
            Kind::Tftp => {
                let summary = self.net.summary(part.app);
                Some(if host.value == part.host { summary.received } else { summary.sent })
            }
            _ => self.net.app::<ftp::Client>(part.app).and_then(|client| {
                let moved = match moved.kind {
                    Kind::Data(number) => client.transfers().get(number),
                    _ => client.transfers().iter().rev().find(|moved| moved.name == file.value),
                };
                moved.filter(|moved| moved.name == file.value).map(|moved| moved.tally.clone())
            }),
        };
        let (got, expected) = if host.value == part.host { (client, there) } else { (there, client) };
        let words = |tally: &Option<Tally>| {
            tally.as_ref().map_or("nothing".to_owned(), |tally| format!("{} bytes", tally.bytes()))
        };
        Ok(mismatch_unless(got.is_some() && got == expected, || {
            let expected = format!("`{}` as the other side has it, {}", file.value, words(&expected));
            Mismatch::new(span, expected, words(&got))
        }))
    }

    /// Whether a host has the file that somebody offered by IRC.
    fn fetched(&self, host: &Name, file: &Name, span: Span) -> Vec<Mismatch> {
        let clients = self.cast.parts.iter().filter(|part| part.kind == Kind::Irc);
        let clients = clients.filter_map(|part| Some((part, self.net.app::<irc::Client>(part.app)?)));
        let (mut got, mut expected) = (None, None);
        for (part, client) in clients {
            got = got.or(client.fetched(&file.value).filter(|_| part.host == host.value));
            expected = expected.or(client.offered(&file.value));
        }
        let words = |tally: Option<&Tally>| {
            tally.map_or("nothing".to_owned(), |tally| format!("{} bytes", tally.bytes()))
        };
        mismatch_unless(got.is_some() && got == expected, || {
            let expected = format!("`{}` as it was offered, {}", file.value, words(expected));
            Mismatch::new(span, expected, words(got))
        })
    }

    fn answered(&self, what: &Name) -> Result<u64, Unjudged> {
        let part = self.cast.part(Some(what))?;
        let count = match part.kind {
            Kind::Ping => self.net.app::<Ping>(part.app).map(Ping::answered),
            Kind::Udp => self.net.app::<udp::Client>(part.app).map(udp::Client::answered),
            Kind::Dns => self
                .net
                .app::<dns::Resolver>(part.app)
                .map(|client| client.answers().iter().filter(|answer| answer.addresses.is_some()).count()),
            Kind::Ftp => self
                .net
                .app::<ftp::Client>(part.app)
                .map(|client| client.transfers().iter().filter(|moved| moved.ended.is_some()).count()),
            _ => None,
        };
        count.map(|count| count as u64).ok_or_else(|| wrong(what, "asking"))
    }

    fn hops(&self, what: &Name, hosts: &[Name]) -> Result<Vec<Mismatch>, Unjudged> {
        let part = self.cast.part(Some(what))?;
        let trace = self.net.app::<Traceroute>(part.app).ok_or_else(|| wrong(what, "trace"))?;
        let name = |address: std::net::IpAddr| {
            let node = self.net.ports().map(|port| self.net.port_name(port));
            let mut names: Vec<String> =
                node.filter_map(|name| Some(name.split_once(' ')?.0.to_owned())).collect();
            names.dedup();
            let owner = names.into_iter().find(|name| {
                self.net
                    .node(name)
                    .is_ok_and(|node| self.net.site(node).addresses().any(|(_, own)| own.address == address))
            });
            owner.unwrap_or_else(|| address.to_string())
        };
        let got: Vec<String> =
            trace.routers().into_iter().map(|router| router.map_or_else(|| "*".to_owned(), name)).collect();
        let expected: Vec<&str> = hosts.iter().map(|host| &*host.value).collect();
        let span = hosts[0].span.to(hosts[hosts.len() - 1].span);
        let holds = got.iter().map(String::as_str).eq(expected.iter().copied());
        Ok(mismatch_unless(holds, || {
            let got = got.join(" ");
            Mismatch::new(span, expected.join(" "), &got).fix(&got)
        }))
    }

    /// How hosts and tracker differ about a connection, the gravest first.
    fn disagreement(&mut self, conn: &Name) -> Result<&'static str, Unjudged> {
        let part = self.cast.part(Some(conn))?.clone();
        let talk = self.plan.talks.find(Some(conn), conn.span);
        let talk = talk.map_err(|message| Unjudged::Wrong(message.title))?;
        let table = self.target.table().map_err(|refusal| Unjudged::Silent(refusal.into()))?;
        let entry = table.into_iter().find(|entry| is_of(entry, self.plan.talk(talk)));
        let sockets = [&part.host, &part.peer.0].map(|host| cast::socket(&self.net, host, &part));
        let is_live = |state: TcpState| {
            matches!(
                state,
                TcpState::Established | TcpState::CloseWait | TcpState::FinWait1 | TcpState::FinWait2
            )
        };
        let both_live = sockets.iter().all(|socket| socket.is_some_and(|socket| is_live(socket.state)));
        let differs = |passed: &Passed| {
            let is_refused = passed.observation.class == Class::Invalid
                || passed.observation.verdict == Verdict::Drop
                || !passed.passed;
            match (is_refused, passed.reception) {
                (true, Some(Reception::Takes)) => Some(DISAGREEMENTS[3]),
                (false, Some(Reception::Refuses)) => Some(DISAGREEMENTS[4]),
                _ => None,
            }
        };
        if let Some(how) = self.lately(talk).into_iter().find_map(differs) {
            return Ok(how);
        }
        let none_live = sockets.iter().all(Option::is_none);
        let is_closing = |entry: &Entry| matches!(entry.state.as_deref(), Some("TIME_WAIT" | "CLOSE"));
        Ok(match &entry {
            None if both_live => DISAGREEMENTS[1],
            Some(entry) if none_live && !is_closing(entry) => DISAGREEMENTS[2],
            _ => DISAGREEMENTS[0],
        })
    }

    /// The packets of a flow that a claim about it looks at: those that have come since somebody did something, or where
    /// time has passed since then, the last.
    fn lately(&self, talk: usize) -> Vec<&Passed> {
        let is_of = |passed: &&Passed| passed.talk == Some(talk);
        let is_claim = |(step, _): &(&Move, &super::Seen)| matches!(step.act, Act::Check);
        let done: Vec<_> = self.plan.moves.iter().zip(&self.record.seen).collect();
        let claims = done.iter().rev().take_while(|step| is_claim(step)).count();
        let acts = done.len().saturating_sub(1 + claims);
        let runs = done.get(acts).is_some_and(|(step, _)| {
            !matches!(self.plan.step(step).action, Action::Deed(_) | Action::Send { .. })
        });
        let all = done.iter().flat_map(|(_, seen)| &seen.passed).chain(&self.passed).filter(is_of);
        let since = done.get(..acts).unwrap_or_default();
        let before = since.iter().flat_map(|(_, seen)| &seen.passed).filter(is_of).count();
        let lead = done.get(acts).map_or(0, |(_, seen)| {
            seen.passed[..seen.lead.min(seen.passed.len())].iter().filter(is_of).count()
        });
        let all: Vec<&Passed> = all.collect();
        match all.get(before + lead..).filter(|lately| !runs && !lately.is_empty()) {
            Some(lately) => lately.to_vec(),
            None => all.last().copied().into_iter().collect(),
        }
    }
}

const SECOND: u64 = 1_000_000_000;

fn tally(bytes: &[u8]) -> Tally {
    let mut tally = Tally::default();
    tally.add(bytes);
    tally
}

/// Why a claim was not judged.
enum Unjudged {
    /// It makes no sense here.
    Wrong(String),
    /// The target did not show it.
    Silent(Silence),
}

impl From<Undone> for Unjudged {
    fn from(what: Undone) -> Unjudged {
        Unjudged::Wrong(what)
    }
}

fn wrong(name: &Name, what: &str) -> Unjudged {
    Unjudged::Wrong(format!("`{}` is no {what}", name.value))
}

fn no_side(host: &Name) -> Unjudged {
    Unjudged::Wrong(format!("`{}` is no side of it", host.value))
}

fn same(word: &Name, got: &str) -> Vec<Mismatch> {
    mismatch_unless(word.value == got, || Mismatch::new(word.span, &word.value, got).fix(got))
}

fn mismatch_unless(holds: bool, mismatch: impl FnOnce() -> Mismatch) -> Vec<Mismatch> {
    if holds { Vec::new() } else { vec![mismatch()] }
}
