//! Running a chain: rule after rule, statement after statement, until one decides.
//!
//! Source: linux 6.18 net/netfilter/nf_tables_core.c `nft_do_chain`.

use super::statement::{Match, Policy, Source, Statement, Target, Test, Translation, With};
use super::view::View;
use super::words::Field;
use super::{Chain, Rule};
use crate::helper::Helper;
use crate::snapshot::Counter;
use crate::status::Status;
use crate::time::Time;
use crate::tuple::{Direction, Tuple};

/// A packet at a hook.
#[derive(Clone, Debug)]
pub(crate) struct Passing<'a> {
    pub view: View<'a>,
    /// The interface it came in by; empty where there is none.
    pub iif: &'a str,
    /// The interface it will leave by; empty where there is none, or before that is known.
    pub oif: &'a str,
    /// The packet's mark.
    pub mark: u32,
    pub seen: Sighted,
}

/// What a rule sees of the tracker's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sighted {
    /// Nothing is attached: before the tracker, or the packet is INVALID.
    Nothing,
    /// The tracker is to leave it alone, or has.
    Untracked,
    /// The tracker is to look in this zone.
    Zoned(u16),
    /// A connection is attached.
    Conn(ConnView),
}

/// A connection as rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnView {
    /// Its bit of `ct state`.
    pub state: u32,
    pub direction: Direction,
    pub status: u32,
    pub mark: u32,
    /// A rule has changed the mark, be it for a moment.
    pub is_marked: bool,
    pub zone: u16,
    /// What is left, in milliseconds; of a connection that is not confirmed nothing.
    pub left_ms: u64,
    /// Its tuple in original direction, where that is known.
    pub tuple: Option<Tuple>,
    /// The helper that a rule has just assigned.
    pub helper: Option<Helper>,
    /// The helper of the connection that has announced this one.
    pub master: Option<Helper>,
}

/// What a chain decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    /// By which rule, in its words.
    Drop(String),
    Reject(With, String),
    /// To what a rule translates it, and then it goes on.
    Translate(Translation, String),
}

/// Runs a chain over a packet. A rule that compares something that is not there ends there.
pub(super) fn run(
    chain: &mut Chain,
    now: Time,
    passing: &mut Passing<'_>,
    counters: &mut [(String, Counter)],
) -> Verdict {
    let Chain { rules, buckets, .. } = chain;
    let mut buckets = &mut buckets[..];
    for rule in rules {
        // The buckets of a rule's limits are its own, whether it comes to them or not.
        let mut own = &mut [][..];
        if !buckets.is_empty() {
            (own, buckets) = buckets.split_at_mut(rule.limits().count());
        }
        // nftables puts what a reject needs before all else in its rule.
        let needs = rule.statements().find_map(|statement| match statement {
            Statement::Reject(with) => Some(*with),
            _ => None,
        });
        if needs.is_some_and(|with| !fits(with, passing)) {
            continue;
        }
        for statement in rule.statements() {
            match statement {
                Statement::Match(comparison) if !holds(comparison, passing) => break,
                Statement::Match(_) | Statement::Log | Statement::Later(_) | Statement::Counter(None) => {}
                Statement::Limit(limit) => {
                    let Some((bucket, rest)) = own.split_first_mut() else { break };
                    own = rest;
                    if !limit.holds(bucket, now, passing.view.len()) {
                        break;
                    }
                }
                Statement::Counter(Some(name)) => count(counters, name, passing.view.len()),
                Statement::Set(target, source) => {
                    if !set(*target, *source, passing) {
                        break;
                    }
                }
                Statement::SetHelper(helper) => set_helper(*helper, passing),
                Statement::Notrack => notrack(passing),
                Statement::Accept => return Verdict::Accept,
                Statement::Drop => return Verdict::Drop(rule.to_string()),
                Statement::Reject(with) => return Verdict::Reject(*with, rule.to_string()),
                Statement::Translate(translation) => {
                    let is_for = |family| family == passing.view.datagram.family;
                    if translation.family.is_none_or(is_for) {
                        return Verdict::Translate(*translation, rule.to_string());
                    }
                }
            }
        }
    }
    match chain.policy {
        Policy::Accept => Verdict::Accept,
        Policy::Drop => Verdict::Drop(policy_of(chain)),
    }
}

fn policy_of(chain: &Chain) -> String {
    chain.rules.iter().rfind(|rule| rule.is_policy()).map(Rule::to_string).unwrap_or_default()
}

fn count(counters: &mut [(String, Counter)], name: &str, bytes: usize) {
    if let Some((_, counter)) = counters.iter_mut().find(|(known, _)| known == name) {
        counter.packets += 1;
        counter.bytes += bytes as u64;
    }
}

/// Sets a mark or a zone. Says whether the rule goes on: not where the value is read from what is not there.
///
/// Source: linux 6.18 net/netfilter/nft_ct.c `nft_ct_set_eval`, `nft_ct_set_zone_eval`.
fn set(target: Target, source: Source, passing: &mut Passing<'_>) -> bool {
    let value = match (source, &passing.seen) {
        (Source::Number(number), _) => number,
        (Source::PacketMark, _) => passing.mark,
        (Source::ConnMark, Sighted::Conn(conn)) => conn.mark,
        (Source::ConnMark, _) => return false,
    };
    match (target, &mut passing.seen) {
        (Target::PacketMark, _) => passing.mark = value,
        (Target::ConnMark, Sighted::Conn(conn)) => {
            conn.is_marked |= conn.mark != value;
            conn.mark = value;
        }
        // The first zone counts; `notrack` does not count any more.
        (Target::Zone, seen @ (Sighted::Nothing | Sighted::Untracked)) => {
            *seen = Sighted::Zoned(value as u16)
        }
        (Target::ConnMark | Target::Zone, _) => {}
    }
    true
}

/// Assigns a helper: to a connection that is not confirmed and has none, and that the helper knows.
///
/// Source: linux 6.18 net/netfilter/nft_ct.c `nft_ct_helper_obj_eval`.
fn set_helper(helper: Helper, passing: &mut Passing<'_>) {
    let taken = Status::CONFIRMED.0 | Status::HELPER.0;
    if let Sighted::Conn(conn) = &mut passing.seen
        && conn.status & taken == 0
        && conn.tuple.is_some_and(|tuple| helper.suits(&tuple))
    {
        conn.helper = Some(helper);
        conn.status |= Status::HELPER.0;
    }
}

/// Source: linux 6.18 net/netfilter/nft_ct.c `nft_notrack_eval`.
fn notrack(passing: &mut Passing<'_>) {
    if passing.seen == Sighted::Nothing {
        passing.seen = Sighted::Untracked;
    }
}

/// Whether a packet is one that can be answered so: nftables adds the comparison to the rule.
fn fits(with: With, passing: &Passing<'_>) -> bool {
    match with {
        With::Icmpx(..) => true,
        With::Icmp(_) => passing.view.value(Field::Family) == Some(2),
        With::Icmpv6(_) => passing.view.value(Field::Family) == Some(10),
        With::TcpReset => passing.view.value(Field::L4Protocol) == Some(6),
    }
}

fn holds(comparison: &Match, passing: &Passing<'_>) -> bool {
    let name = match comparison.field {
        Field::Iif => Some(passing.iif),
        Field::Oif => Some(passing.oif),
        // That of its master: a connection that none has announced ends the rule.
        Field::CtHelper => match passing.seen {
            Sighted::Conn(ConnView { master: Some(helper), .. }) => Some(helper.name()),
            _ => None,
        },
        _ => None,
    };
    let named = |names: &[String]| name.map(|name| names.iter().any(|other| other == name));
    match &comparison.test {
        Test::Named(names) => return named(names) == Some(true),
        Test::NotNamed(names) => return named(names) == Some(false),
        _ => {}
    }
    let Some(value) = value(comparison.field, passing) else { return false };
    let value = comparison.mask.map_or(value, |mask| value & mask);
    let within = |ranges: &[(u128, u128)]| ranges.iter().any(|(low, high)| (*low..=*high).contains(&value));
    match &comparison.test {
        Test::Any(bits) => value & bits != 0,
        Test::In(ranges) => within(ranges),
        Test::NotIn(ranges) => !within(ranges),
        Test::Less(bound) => value < *bound,
        Test::AtMost(bound) => value <= *bound,
        Test::More(bound) => value > *bound,
        Test::AtLeast(bound) => value >= *bound,
        Test::Named(_) | Test::NotNamed(_) => false,
    }
}

/// The value of a field. Without a connection there is a state, and nothing else of it: that of a packet before the
/// tracker is `invalid`, in a zone `new`.
///
/// Source: linux 6.18 net/netfilter/nft_ct.c `nft_ct_get_eval`.
fn value(field: Field, passing: &Passing<'_>) -> Option<u128> {
    const INVALID: u128 = 1;
    const NEW: u128 = 8;
    const UNTRACKED: u128 = 64;
    let conn = match &passing.seen {
        Sighted::Conn(conn) => Some(conn),
        _ => None,
    };
    match field {
        Field::CtState => Some(match &passing.seen {
            Sighted::Nothing => INVALID,
            Sighted::Untracked => UNTRACKED,
            Sighted::Zoned(_) => NEW,
            Sighted::Conn(conn) => u128::from(conn.state),
        }),
        Field::CtStatus => conn.map(|conn| u128::from(conn.status)),
        Field::CtDirection => conn.map(|conn| conn.direction as u128),
        Field::CtMark => conn.map(|conn| u128::from(conn.mark)),
        Field::CtZone => conn.map(|conn| u128::from(conn.zone)),
        Field::CtExpiration => conn.map(|conn| u128::from(conn.left_ms)),
        Field::Mark => Some(u128::from(passing.mark)),
        _ => passing.view.value(field),
    }
}
