//! Reading a rule: `TABLE HOOK statements`. A mistake has its place in the line, what was expected there, and the word
//! that was perhaps meant. What nftables would refuse when it loads the rule is refused here.

mod cursor;
mod translation;
mod value;

use std::error::Error;
use std::fmt;
use std::ops::Range;

use super::limit::{Limit, UNITS, USUAL_BURST};
use super::statement::{
    Body, Match, Rule, Source, Statement, Table, Target, Test, Translation, Translator, With,
};
use super::words::{
    FIELDS, Field, HOOKS, ICMP_CODES, ICMPV6_CODES, ICMPX_CODES, IP_PROTOCOL, IP6_NEXTHDR, POLICIES,
    STATEMENTS, TABLES, TRANSLATORS,
};
use crate::helper::Helper;
use crate::outcome::Hook;
use crate::tuple::Family;
use cursor::{Cursor, tokens};

/// Why a rule cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// What is wrong, in one sentence.
    pub title: String,
    /// Where in the line, in bytes.
    pub place: Range<usize>,
    /// What was expected there; may be empty.
    pub expected: String,
    /// The word that was perhaps meant.
    pub nearest: Option<String>,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        if !self.expected.is_empty() {
            write!(f, ": expected {}", self.expected)?;
        }
        match &self.nearest {
            Some(word) => write!(f, "; did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}

impl Error for RuleError {}

type Read<T> = Result<T, Box<RuleError>>;

impl Rule {
    /// Reads a line: `filter forward ct state invalid drop`.
    ///
    /// # Errors
    /// Where it is wrong, and why.
    pub fn read(text: &str) -> Result<Rule, RuleError> {
        read(text).map_err(|error| *error)
    }
}

fn read(text: &str) -> Read<Rule> {
    let tokens = tokens(text)?;
    let mut cursor = Cursor::new(text, &tokens);
    let table = cursor.word_from(TABLES, "a table: `raw`, `mangle`, `filter` or `nat`")?;
    let place = cursor.here();
    let hook =
        cursor.word_from(HOOKS, "a hook: `prerouting`, `input`, `forward`, `output` or `postrouting`")?;
    if !hooks(table).contains(&hook) {
        let words: Vec<String> = hooks(table).iter().map(|hook| format!("`{}`", hook.word())).collect();
        let title = format!("`{}` has no chain at `{}`", table.word(), hook.word());
        return Err(error(title, place, format!("one of {}", words.join(", "))));
    }
    if cursor.eat("policy") {
        let policy = cursor.word_from(POLICIES, "`accept` or `drop`")?;
        cursor.expect_end("a policy")?;
        return Ok(Rule { table, hook, body: Body::Policy(policy) });
    }
    let mut needs = Needs::default();
    let mut statements: Vec<(Statement, String)> = Vec::new();
    loop {
        let start = cursor.position();
        let place = cursor.here();
        if let Some((last, text)) = statements.last().filter(|(last, _)| last.is_last()) {
            if cursor.is_at_end() {
                break;
            }
            let _ = last;
            let title = format!("nothing can follow `{text}`: it has decided about the packet");
            return Err(error(title, place, "nothing more".to_owned()));
        }
        if cursor.is_at_end() && !statements.is_empty() {
            break;
        }
        let statement = statement(&mut cursor)?;
        let place = place.start..cursor.before().end;
        check_place(&statement, table, hook, &place)?;
        needs.add(&statement, &place)?;
        statements.push((statement, cursor.text_since(start)));
    }
    Ok(Rule { table, hook, body: Body::Statements(statements) })
}

/// The hooks at which a table has chains.
fn hooks(table: Table) -> &'static [Hook] {
    match table {
        Table::Raw => &[Hook::Prerouting, Hook::Output],
        Table::Nat => &[Hook::Prerouting, Hook::Input, Hook::Output, Hook::Postrouting],
        Table::Mangle | Table::Filter => &Hook::ALL,
    }
}

fn error(title: impl Into<String>, place: Range<usize>, expected: String) -> Box<RuleError> {
    Box::new(RuleError { title: title.into(), place, expected, nearest: None })
}

const STATEMENT: &str =
    "a statement of nftables, such as `ct state new`, `tcp dport 80`, `counter`, `accept`";

fn statement(cursor: &mut Cursor<'_>) -> Read<Statement> {
    let first = cursor.peek_word().unwrap_or_default();
    if let Some((_, by)) = TRANSLATORS.iter().find(|(word, _)| *word == first) {
        cursor.next();
        return Ok(Statement::Translate(translation::translation(cursor, *by)?));
    }
    match first {
        "accept" => Ok(cursor.then(Statement::Accept)),
        "drop" => Ok(cursor.then(Statement::Drop)),
        "notrack" => Ok(cursor.then(Statement::Notrack)),
        "reject" => reject(cursor),
        "counter" => {
            cursor.next();
            let name = if cursor.eat("name") { Some(cursor.name("the counter's name")?) } else { None };
            Ok(Statement::Counter(name))
        }
        "limit" => limit(cursor),
        "log" => {
            cursor.next();
            if cursor.eat("prefix") {
                cursor.quoted("the prefix in quotes")?;
            }
            Ok(Statement::Log)
        }
        _ => with_field(cursor),
    }
}

/// `limit rate 10/second burst 5 packets`, `limit rate over 1 mbytes/second`
fn limit(cursor: &mut Cursor<'_>) -> Read<Statement> {
    const SIZES: &[(&str, u64)] = &[("bytes", 1), ("kbytes", 1 << 10), ("mbytes", 1 << 20)];
    cursor.next();
    if !cursor.eat("rate") {
        return Err(cursor.unexpected("`rate`: `limit rate 10/second`", ["rate"]));
    }
    let over = cursor.eat("over");
    let expected = "how many in how long, such as `10/second` or `20 kbytes/minute`";
    let here = cursor.here();
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| (1..=1 << 40).contains(number));
    let unit = |text: &str| UNITS.iter().find(|(word, _)| *word == text).map(|(_, unit)| *unit);
    let first = cursor.peek_word().unwrap_or_default();
    let read = match first.split_once('/') {
        Some((count, word)) => {
            cursor.next();
            number(count).zip(unit(word)).map(|(rate, unit)| (rate, unit, false))
        }
        None => {
            let count = cursor.next().and_then(|token| number(&token.text));
            let second = cursor.next().map(|token| token.text.as_str()).unwrap_or_default();
            let parts = second.split_once('/').and_then(|(size, word)| {
                let (_, factor) = SIZES.iter().find(|(known, _)| *known == size)?;
                Some((*factor, unit(word)?))
            });
            count.zip(parts).map(|(count, (factor, unit))| (count * factor, unit, true))
        }
    };
    let Some((rate, unit, bytes)) = read else {
        return Err(error("this is no rate", here.start..cursor.before().end, expected.to_owned()));
    };
    let mut burst = if bytes { 0 } else { USUAL_BURST };
    if cursor.eat("burst") {
        let place = cursor.here();
        let count = cursor.next().and_then(|token| number(&token.text));
        let factor = match bytes {
            true => Some(cursor.word_from(SIZES, "`bytes`, `kbytes` or `mbytes`")?),
            false => cursor.eat("packets").then_some(1),
        };
        match count.zip(factor) {
            Some((count, factor)) => burst = count * factor,
            None => {
                let what = "how many, such as `5 packets`".to_owned();
                return Err(error("this is no burst", place.start..cursor.before().end, what));
            }
        }
    }
    Ok(Statement::Limit(Limit { over, rate, unit, burst, bytes }))
}

/// What begins with a field: a comparison, or a `set`.
fn with_field(cursor: &mut Cursor<'_>) -> Read<Statement> {
    let first = cursor.peek_word().unwrap_or_default();
    let rows = || FIELDS.iter().filter(move |(word, ..)| *word == first);
    if rows().next().is_none() {
        let words = FIELDS.iter().map(|(word, ..)| *word).chain(STATEMENTS.iter().copied());
        let words = words.chain(TRANSLATORS.iter().map(|(word, _)| *word));
        return Err(cursor.unexpected(STATEMENT, words));
    }
    let start = cursor.here().start;
    cursor.next();
    let (field, kind) = match rows().find(|(_, second, ..)| second.is_empty()) {
        Some((.., field, kind)) => (*field, *kind),
        None => {
            let second = cursor.peek_word().unwrap_or_default();
            if first == "ct" && second == "label" {
                cursor.skip_to_end();
                return Ok(Statement::Later("labels"));
            }
            let Some((.., field, kind)) = rows().find(|(_, word, ..)| *word == second) else {
                let words: Vec<&str> = rows().map(|(_, word, ..)| *word).collect();
                let list = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
                return Err(cursor.unexpected(&format!("what of `{first}`: {list}"), words));
            };
            cursor.next();
            (*field, *kind)
        }
    };
    if cursor.eat("set") {
        return set(cursor, field, start);
    }
    Ok(Statement::Match(value::comparison(cursor, field, kind)?))
}

fn set(cursor: &mut Cursor<'_>, field: Field, start: usize) -> Read<Statement> {
    let number = |cursor: &mut Cursor<'_>, bits| value::number(cursor, bits, &[]).map(|number| number as u32);
    match field {
        Field::CtZone => Ok(Statement::Set(Target::Zone, Source::Number(number(cursor, 16)?))),
        Field::Mark | Field::CtMark => {
            let target = if field == Field::Mark { Target::PacketMark } else { Target::ConnMark };
            let source = match cursor.peek_word() {
                Some("meta") => mark_of(cursor, Source::PacketMark)?,
                Some("ct") => mark_of(cursor, Source::ConnMark)?,
                _ => Source::Number(number(cursor, 32)?),
            };
            Ok(Statement::Set(target, source))
        }
        Field::CtHelper => helper(cursor),
        _ => {
            let place = start..cursor.before().end;
            Err(error(
                "this cannot be set",
                place,
                "`ct mark set`, `meta mark set`, `ct zone set` or `ct helper set`".to_owned(),
            ))
        }
    }
}

/// `"ftp"`: what it names is the helper itself; nftables has an object of its own for each, which is made where the rule
/// is loaded.
fn helper(cursor: &mut Cursor<'_>) -> Read<Statement> {
    let known = || Helper::ALL.iter().map(|info| info.name);
    let list = known().map(|name| format!("`\"{name}\"`")).collect::<Vec<_>>().join(", ");
    let expected = format!("the helper's name in quotes: {list}");
    let name = cursor.quoted(&expected)?;
    if let Some(helper) = Helper::find(&name) {
        return Ok(Statement::SetHelper(helper));
    }
    if Helper::LATER.contains(&&*name) {
        return Ok(Statement::Later("this helper"));
    }
    let nearest = cursor::nearest(&name, known());
    let title = format!("there is no helper `{name}`");
    Err(Box::new(RuleError { nearest, ..*error(title, cursor.before(), list) }))
}

/// `meta mark`, `ct mark` as a value.
fn mark_of(cursor: &mut Cursor<'_>, source: Source) -> Read<Source> {
    cursor.next();
    if cursor.eat("mark") { Ok(source) } else { Err(cursor.unexpected("`mark`", ["mark"])) }
}

fn reject(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.next();
    if !cursor.eat("with") {
        return Ok(Statement::Reject(With::Icmpx(3, 4)));
    }
    const ANSWERS: &[(&str, u8)] = &[("icmp", 0), ("icmpv6", 1), ("icmpx", 2), ("tcp", 3)];
    let with = cursor.word_from(ANSWERS, "`icmp`, `icmpv6`, `icmpx` or `tcp reset`")?;
    if with == 3 {
        return if cursor.eat("reset") {
            Ok(Statement::Reject(With::TcpReset))
        } else {
            Err(cursor.unexpected("`reset`: `reject with tcp reset`", ["reset"]))
        };
    }
    cursor.eat("type");
    Ok(Statement::Reject(match with {
        0 => With::Icmp(cursor.word_from(ICMP_CODES, "a code of ICMP such as `port-unreachable`")? as u8),
        1 => With::Icmpv6(cursor.word_from(ICMPV6_CODES, "a code of ICMPv6 such as `no-route`")? as u8),
        _ => {
            let (v4, v6) = cursor.word_from(ICMPX_CODES, "a code of both families such as `no-route`")?;
            With::Icmpx(v4, v6)
        }
    }))
}

/// Whether a statement may stand in a table and at a hook.
///
/// Source: linux 6.18 net/netfilter/nft_reject_inet.c `nft_reject_inet_validate`. That `notrack` and zones belong to raw
/// is a rule of this subset: behind the tracker they would do nothing to what it has seen.
fn check_place(statement: &Statement, table: Table, hook: Hook, place: &Range<usize>) -> Read<()> {
    match statement {
        Statement::Notrack | Statement::Set(Target::Zone, _) if table != Table::Raw => {
            let title = format!("in `{}` it is too late: the tracker has seen the packet", table.word());
            Err(error(title, place.clone(), "it in `raw prerouting` or `raw output`".to_owned()))
        }
        Statement::SetHelper(_) if table == Table::Raw => Err(error(
            "in `raw` it is too early: there is no connection yet that could have a helper",
            place.clone(),
            "it in `mangle prerouting`, or behind that".to_owned(),
        )),
        Statement::Reject(_) if hook == Hook::Postrouting => Err(error(
            "nothing can be rejected in `postrouting`",
            place.clone(),
            "`drop`, or an earlier hook".to_owned(),
        )),
        Statement::Translate(translation) => check_translator(translation.by, table, hook, place),
        Statement::Reject(_) if table == Table::Nat => Err(error(
            "nothing is rejected in `nat`: it sees no more than the first packet",
            place.clone(),
            "`reject` in `filter`".to_owned(),
        )),
        Statement::Reject(_) if table == Table::Raw => Err(error(
            "nothing is rejected in `raw`",
            place.clone(),
            "`drop`, or `reject` in `filter`: an answer belongs to the connection, which is not known yet"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Whether a translation may stand in a table and at a hook.
///
/// Source: linux 6.18 net/netfilter/nft_nat.c `nft_nat_validate`, net/netfilter/nft_masq.c `nft_masq_validate`,
/// net/netfilter/nft_redir.c `nft_redir_validate`.
fn check_translator(by: Translator, table: Table, hook: Hook, place: &Range<usize>) -> Read<()> {
    let hooks: &[Hook] = match by {
        Translator::Source => &[Hook::Postrouting, Hook::Input],
        Translator::Masquerade => &[Hook::Postrouting],
        Translator::Destination | Translator::Redirect => &[Hook::Prerouting, Hook::Output],
    };
    if table == Table::Nat && hooks.contains(&hook) {
        return Ok(());
    }
    let title = match table {
        Table::Nat => format!("`{}` is too late or too early in `{}`", by.word(), hook.word()),
        _ => format!("nothing is translated in `{}`", table.word()),
    };
    let words: Vec<String> = hooks.iter().map(|hook| format!("`nat {}`", hook.word())).collect();
    Err(error(title, place.clone(), format!("it in {}", words.join(" or "))))
}

/// What the statements so far say of a packet: nftables refuses a rule that no packet can fit.
#[derive(Default)]
struct Needs {
    family: Option<&'static str>,
    transport: Option<(u8, &'static str)>,
    /// Sets of protocols and of families were said.
    sets: (bool, bool),
}

impl Needs {
    fn add(&mut self, statement: &Statement, place: &Range<usize>) -> Read<()> {
        let (family, transport) = match statement {
            Statement::Match(Match { field: Field::Ip4(slice), test, .. }) => {
                let protocol = single(test).filter(|_| slice.at == 9);
                (Some("IPv4"), protocol)
            }
            Statement::Match(Match { field: Field::Ip6(slice), test, .. }) => {
                let protocol = single(test).filter(|_| slice.at == 6);
                (Some("IPv6"), protocol)
            }
            Statement::Match(Match { field: Field::Transport(number, _), .. }) => {
                let family = match number {
                    1 => Some("IPv4"),
                    58 => Some("IPv6"),
                    _ => None,
                };
                (family, Some(*number))
            }
            Statement::Match(Match { field: Field::L4Protocol, test, .. }) => (None, single(test)),
            Statement::Match(Match { field: Field::Family, test, .. }) => {
                (single(test).map(|family| if family == 2 { "IPv4" } else { "IPv6" }), None)
            }
            Statement::Reject(With::Icmp(_)) => (Some("IPv4"), None),
            Statement::Reject(With::Icmpv6(_)) => (Some("IPv6"), None),
            Statement::Reject(With::TcpReset) => (None, Some(6)),
            Statement::Translate(Translation { family, range, .. }) => {
                if range.ports.is_some() && self.transport.is_none() && !self.sets.0 {
                    let title = "ports are those of a protocol, and the rule says none before";
                    let expected = "`meta l4proto tcp` or a port such as `tcp dport 80` before it".to_owned();
                    return Err(error(title, place.clone(), expected));
                }
                let family = family.map(|family| if family == Family::Ipv4 { "IPv4" } else { "IPv6" });
                (family, None)
            }
            _ => (None, None),
        };
        let clash =
            |title: String| Err(error(title, place.clone(), "statements that one packet can fit".to_owned()));
        let is_of = |field: Field| match statement {
            Statement::Match(Match { field: found, test: Test::In(ranges), .. }) => {
                *found == field && ranges.len() > 1
            }
            _ => false,
        };
        let is_typed = matches!(
            statement,
            Statement::Match(Match { field: Field::Transport(..), .. }) | Statement::Reject(With::TcpReset)
        );
        let is_translation = matches!(statement, Statement::Translate(_));
        if (self.sets.0 && is_typed) || (self.sets.1 && family.is_some() && !is_translation) {
            let title = "nftables takes the set before this for a single protocol";
            return clash(format!("{title}: a rule for each, or this first"));
        }
        self.sets.0 |= [Field::L4Protocol, IP_PROTOCOL, IP6_NEXTHDR].into_iter().any(is_of);
        self.sets.1 |= is_of(Field::Family);
        match (self.family, family) {
            (Some(before), Some(now)) if before != now => {
                return clash(format!("no packet is both {before} and {now}"));
            }
            _ => self.family = self.family.or(family),
        }
        let word = |number: u8| match number {
            1 => "ICMP",
            6 => "TCP",
            17 => "UDP",
            58 => "ICMPv6",
            132 => "SCTP",
            _ => "another protocol",
        };
        match (self.transport, transport) {
            (Some((before, name)), Some(now)) if before != now => {
                clash(format!("no packet is both {name} and {}", word(now)))
            }
            _ => {
                self.transport = self.transport.or(transport.map(|number| (number, word(number))));
                Ok(())
            }
        }
    }
}

/// The one value that a field must have.
fn single(test: &Test) -> Option<u8> {
    match test {
        Test::In(ranges) => match &ranges[..] {
            [(low, high)] if low == high => u8::try_from(*low).ok(),
            _ => None,
        },
        _ => None,
    }
}
