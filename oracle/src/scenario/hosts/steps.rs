//! Steps that let time pass, or change cables and ways, while hosts act.

use conntruth_sim::host::TcpState;
use conntruth_sim::packet::Header;

use crate::language::ast::host::{Cable, CableWord, Goal, Run};
use crate::language::ast::{Name, Span};

use super::super::claims::Mismatch;
use super::cast::{self, Kind, Part};
use super::{Live, Stopped, net};

impl Live<'_, '_> {
    pub(super) fn run(&mut self, index: usize, span: Span, run: &Run) -> Result<(), Stopped> {
        match run {
            Run::For(length) => self.pass(length.nanos(self.plan.tick)),
            Run::Quiet => {
                while self.bridge.has_mail() || self.net.next_at().is_some() {
                    let until = self.net.next_at().unwrap_or(self.net.now());
                    self.run_to(until, |_| false)?;
                }
                Ok(())
            }
            Run::Until(name, goal) => {
                let part = self.cast.part(Some(name)).map_err(Stopped::Wrong)?.clone();
                loop {
                    if self.has_come(&part, *goal) {
                        return Ok(());
                    }
                    let Some(next) = self.net.next_at() else { break };
                    if self.run_to(next, |live| live.has_come(&part, *goal))? {
                        return Ok(());
                    }
                }
                let got = "nothing more is going to happen";
                self.record
                    .fail(index, vec![Mismatch::new(span, format!("`{}` to be {goal}", name.value), got)]);
                Ok(())
            }
        }
    }

    fn has_come(&self, part: &Part, goal: Goal) -> bool {
        let talked =
            (part.kind == Kind::Tcp).then(|| self.cast.talked(&self.net, part, &part.host)).flatten();
        let summary = self.net.summary(part.app);
        match goal {
            Goal::Open if matches!(part.kind, Kind::Data(_)) => cast::socket(&self.net, &part.host, part)
                .is_some_and(|socket| !matches!(socket.state, TcpState::SynSent | TcpState::SynReceived)),
            Goal::Open => talked.is_some_and(|talked| talked.opened.is_some()),
            Goal::Closed if part.kind == Kind::Tcp => {
                talked.is_some_and(|talked| talked.ended.is_some()) || summary.trouble.is_some()
            }
            Goal::Gone => {
                [&part.host, &part.peer.0].iter().all(|host| cast::socket(&self.net, host, part).is_none())
            }
            Goal::Closed | Goal::Done => summary.is_done,
        }
    }

    pub(super) fn cable(&mut self, cable: &Cable) -> Result<(), Stopped> {
        let port = net::port(&self.net, cable).map_err(|message| Stopped::Wrong(message.title))?;
        let now = self.net.now();
        for word in &cable.words {
            match word {
                CableWord::Fault(fault) => {
                    let added = self.net.add_fault(port, fault.clone());
                    added.map_err(|error| Stopped::Wrong(error.to_string()))?;
                }
                CableWord::Cut(at) => self.net.cut_at(at.map_or(now, |at| at.nanos), port, true),
                CableWord::Restore(at) => self.net.cut_at(at.map_or(now, |at| at.nanos), port, false),
                _ => {
                    let what =
                        "a cable is what it is: latency, bandwidth and MTU are said before the first step";
                    return Err(Stopped::Wrong(what.to_owned()));
                }
            }
        }
        self.pass(0)
    }

    pub(super) fn offload(&mut self, flow: Option<&Name>) -> Result<(), Stopped> {
        let wrong = |error: conntruth_sim::topology::TopologyError| Stopped::Wrong(error.to_string());
        let Some(flow) = flow else { return self.net.end_offload(net::BOX).map_err(wrong) };
        let at =
            self.plan.talks.find(Some(flow), flow.span).map_err(|message| Stopped::Wrong(message.title))?;
        let talk = self.plan.talk(at);
        let ends = [0, 1].map(|side| std::net::SocketAddr::new(talk.spots[side].address, talk.ports[side]));
        let passes = move |_: u64, bytes: &[u8]| {
            let Some(header) = Header::read(bytes) else { return false };
            let Some(ports) = header.ports(bytes) else { return false };
            let (src, dst) = header.ends(ports);
            [src, dst] == ends || [dst, src] == ends
        };
        self.net.offload(net::BOX, passes).map_err(wrong)
    }
}
