//! A story with hosts as a tape: the packets that came to the tracker when its hosts acted around the reference, each at
//! its time. Whoever cannot stand between hosts - a target that takes whole worlds, a vector, a capture, a sentence about
//! each packet - takes the tape instead. Hosts on a tape answer nothing: what is claimed about them is not seen there,
//! and once a target lets through what the reference did not, its hosts would have gone on otherwise.

use conntruth_engine::{LINUX_6_18, Profile};

use crate::language::ast::Action;
use crate::language::ast::claim::Check;
use crate::target::{Identity, Reference, Target};

use super::super::plan::{Act, Move, Plan, Sent, Shown, UNCLAIMED};
use super::super::run::{Record, Verdict};
use super::Passed;

/// Whose semantics the reference has that stands in for a target.
fn profile_of(identity: &Identity) -> &'static Profile {
    Profile::find(&identity.profile).unwrap_or(&LINUX_6_18)
}

impl Plan {
    /// The plan as a target takes it: a tape of it, where its hosts cannot act around that.
    #[must_use]
    pub fn taken_by(self, target: &dyn Target) -> Plan {
        if target.is_played() { self.without_hosts(&target.identity()) } else { self }
    }

    /// The plan as a target with this identity would take it that cannot be asked step by step.
    #[must_use]
    pub(crate) fn without_hosts(self, identity: &Identity) -> Plan {
        self.taped(profile_of(identity))
    }

    /// A plan without hosts that act: where there are some, what they did around the reference.
    #[must_use]
    pub fn taped(self, profile: &'static Profile) -> Plan {
        let mut reference = Reference::new(profile);
        if !self.has_hosts() || self.refuses(&reference.identity()).is_some() {
            return self;
        }
        let record = self.run(&mut reference);
        let moves = self.tape(&record);
        self.with_tape(moves)
    }

    /// The verdict on a tape of which a target with this identity shows nothing that is claimed, whatever it answers: none
    /// where it shows something.
    pub(crate) fn unseen_by(&self, identity: &Identity) -> Option<Verdict> {
        let play = self.play();
        let played = play.ask(&mut Reference::new(profile_of(identity)));
        let record = self.judge(identity.clone(), play, played);
        match self.verdict(&record) {
            Verdict::Unsupported(why) if record.seeable == 0 => Some(Verdict::Unsupported(why)),
            _ => None,
        }
    }

    fn tape(&self, record: &Record) -> Vec<Move> {
        let mut moves = Vec::new();
        for (step, seen) in self.moves.iter().zip(&record.seen) {
            let at = seen.at.unwrap_or(step.at);
            let (before, after) = seen.passed.split_at(seen.lead.min(seen.passed.len()));
            moves.extend(before.iter().map(|passed| self.sent(step.step, passed, UNCLAIMED)));
            match &step.act {
                Act::Check if !after.is_empty() && self.expires(step) => {}
                Act::Set(_) | Act::Check | Act::Wait => moves.push(Move { at, ..step.clone() }),
                Act::Packet(_) | Act::Release(..) | Act::Hidden(_) | Act::Live => {}
            }
            let (first, claimed) = match &step.act {
                Act::Packet(sent) => (sent.index, 1),
                _ => (0, self.step(step).all_claims().map(|claims| claims.each.len()).max().unwrap_or(0)),
            };
            moves.extend(after.iter().enumerate().map(|(number, passed)| {
                self.sent(step.step, passed, if number < claimed { first + number } else { UNCLAIMED })
            }));
        }
        moves
    }

    /// A claim in whose time hosts went on: it asks for moments between their packets, and a tape has them behind it.
    fn expires(&self, step: &Move) -> bool {
        let check = match &self.step(step).action {
            Action::Check(check) => check.itself(),
            _ => return false,
        };
        matches!(check, Check::Expires { .. })
    }

    fn sent(&self, step: usize, passed: &Passed, index: usize) -> Move {
        let flow = passed.talk.and_then(|talk| self.talk(talk).name.clone());
        let shown = Shown {
            text: passed.text.clone(),
            from: passed.from.clone(),
            to: passed.to.clone(),
            talk: passed.talk,
            way: passed.way,
            label: None,
            flow,
        };
        let act = Act::Packet(Sent { arrival: passed.arrival.clone(), shown, index });
        Move { at: passed.arrival.at, step, act }
    }
}
