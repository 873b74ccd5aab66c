//! All that a plan will ask of a target, so that it can be asked at once.

use conntruth_engine::Time;

use crate::language::ast::Action;
use crate::language::ast::claim::{Check, Named};
use crate::target::{Ask, Identity, Play};

use super::plan::{Act, Move, Plan, deadline};

impl Plan {
    /// What [`Plan::run`] will ask of a target, and a little more: whether some tables are needed depends on the answers.
    pub fn play(&self, identity: &Identity) -> Play {
        let mut asks = Vec::with_capacity(self.moves.len() * 2);
        for step in &self.moves {
            asks.push(Ask::Advance(step.at));
            match &step.act {
                Act::Packet(sent) => asks.push(Ask::Packet(sent.arrival.clone())),
                Act::Release(release, _) => asks.push(Ask::Release(*release)),
                Act::Set(setting) => asks.push(Ask::Set(setting.clone())),
                Act::Check => self.check(step, identity, &mut asks),
                Act::Hidden(_) | Act::Wait => {}
            }
            if identity.abilities.shows.table && self.reads_the_table(step, &identity.profile) {
                asks.push(Ask::Table);
            }
        }
        Play { config: self.config.clone(), asks }
    }

    /// Whether the claim about a packet is about what is in the table.
    fn reads_the_table(&self, step: &Move, profile: &str) -> bool {
        let is_packet = matches!(step.act, Act::Packet(_) | Act::Release(..));
        let claims = self.step(step).claims_for(profile).filter(|_| is_packet);
        let named = claims.iter().flat_map(|claims| &claims.each).flat_map(|claim| &claim.named);
        named.into_iter().any(|named| matches!(named.value, Named::NoEntry))
    }

    fn check(&self, step: &Move, identity: &Identity, asks: &mut Vec<Ask>) {
        let Action::Check(check) = &self.step(step).action else { return };
        if !check.is_for(&identity.profile) || !identity.abilities.shows.table {
            return;
        }
        match check.itself() {
            Check::Table(_) | Check::Entry(_) | Check::NoEntry { .. } | Check::Count(_) => {
                asks.push(Ask::Table)
            }
            Check::Expires { after, .. } => {
                let at = deadline(step.at, after.value.nanos(self.tick), self.tick);
                let before = Time(at.as_nanos().saturating_sub(self.tick));
                asks.extend([Ask::Table, Ask::Advance(before), Ask::Table, Ask::Advance(at), Ask::Table]);
            }
            Check::For { .. } | Check::States { .. } | Check::Classes { .. } | Check::Events(_) => {}
        }
    }
}
