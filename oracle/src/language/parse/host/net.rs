//! The lines of the heading that say who is a stack and how all are wired.

use super::host_name;
use crate::language::ast::host::{Limit, Network, Place, Route, Router};
use crate::language::ast::{Name, Side};
use crate::language::message::{Message, Parse};
use crate::language::parse::cursor::Cursor;
use crate::language::parse::{Reader, new_name};
use crate::language::words::nearest;

const SIDES: &[(&str, Side)] = &[("inside", Side::Inside), ("outside", Side::Outside), ("dmz", Side::Dmz)];

impl Reader<'_> {
    /// `stack client server`
    pub(in crate::language::parse) fn stack(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        while !cursor.is_at_end() || self.story.stack.is_empty() {
            let name = host_name(cursor, &self.names)?;
            if self.story.stack.iter().any(|other| other.value == name.value) {
                return Message::new("this host stands twice", name.span).fail();
            }
            self.story.stack.push(name);
        }
        Ok(())
    }

    /// `router r1 outside`, `router r2 behind r1`
    pub(in crate::language::parse) fn router(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        let name = new_name(cursor.word("a router's name")?)?;
        let place = if cursor.eat("behind").is_some() {
            Place::Behind(self.router_name(cursor)?)
        } else {
            Place::Side(cursor.word_from(SIDES, "`inside`, `outside`, `dmz` or `behind ROUTER`")?.value)
        };
        self.names.add_host(&name)?;
        self.story.routers.push(Router { name, place });
        Ok(())
    }

    pub(in crate::language::parse) fn router_name(&self, cursor: &mut Cursor<'_>) -> Parse<Name> {
        let name = cursor.word("a router's name")?;
        let mut known = self.story.routers.iter().map(|router| &*router.name.value);
        if known.clone().any(|known| known == name.value) {
            return Ok(name);
        }
        Message::new(format!("there is no router `{}`", name.value), name.span)
            .label("expected one that has a line above: `router NAME outside`")
            .did_you_mean(nearest(&name.value, &mut known))
            .fail()
    }

    /// `network lan behind r1 r2`
    pub(in crate::language::parse) fn network(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        let name = new_name(cursor.word("a network's name")?)?;
        if cursor.eat("behind").is_none() {
            return cursor.unexpected("`behind` and the routers that lead to it", ["behind"]).fail();
        }
        let mut routers: Vec<Name> = Vec::new();
        while !cursor.is_at_end() || routers.is_empty() {
            let router = self.router_name(cursor)?;
            if routers.iter().any(|other| other.value == router.value) {
                return Message::new("this router stands twice", router.span).fail();
            }
            routers.push(router);
        }
        self.names.add_host(&name)?;
        self.story.networks.push(Network { name, routers });
        Ok(())
    }

    /// A router that a host lives behind, or a network that has a line of its own.
    pub(in crate::language::parse) fn place_name(&self, cursor: &mut Cursor<'_>) -> Parse<Name> {
        let is_network = |word: &str| self.story.networks.iter().any(|network| network.name.value == word);
        match cursor.peek_word().is_some_and(is_network) {
            true => cursor.word("a network"),
            false => self.router_name(cursor),
        }
    }

    /// `route server > client around`, `route far > client via r2`
    pub(in crate::language::parse) fn route(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        let from = host_name(cursor, &self.names)?;
        cursor.expect_mark('>', "`>` between sender and receiver")?;
        let to = host_name(cursor, &self.names)?;
        let via = if cursor.eat("via").is_some() {
            Some(self.router_name(cursor)?)
        } else if cursor.eat("around").is_some() {
            None
        } else {
            let what = "`around`: the packets pass the tracker by; or `via` and a router";
            return cursor.unexpected(what, ["around", "via"]).fail();
        };
        self.story.routes.push(Route { from, to, via });
        Ok(())
    }

    /// `limit 10d`, `limit 1000 events`
    pub(in crate::language::parse) fn limit(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        let is_count = cursor.peek_second().and_then(|token| token.word()) == Some("events");
        let limit = if is_count {
            let count = cursor.number("the bound on events", 1..=1_000_000_000)?;
            cursor.next();
            Limit::Events(count.value)
        } else {
            Limit::Time(cursor.length("the last moment, or `1000 events`")?.value)
        };
        self.story.limits.push(limit);
        Ok(())
    }
}
