//! Fragments are held here until reassembly lands.
use crate::outcome::Hook;
use crate::reason::Reason;
use crate::sysctl::Sysctls;
use crate::time::{Ticks, Time};
use crate::wire::ip::Datagram;

#[allow(dead_code)]
pub(crate) enum Gathered {
    Whole,
    Reassembled { bytes: Vec<u8>, trusted: bool },
    Pass,
    Held(Reason),
    Dropped(Reason),
}
#[allow(dead_code)]
pub(crate) struct Place {
    pub hook: Hook,
    pub zone: u16,
}
#[derive(Clone, Debug)]
pub(crate) struct Defrag;
impl Defrag {
    pub(crate) const fn new(_: Ticks) -> Defrag {
        Defrag
    }
    pub(crate) fn handle(&mut self, _: Time, _: Place, datagram: &Datagram<'_>, _: bool, _: &Sysctls) -> Gathered {
        match datagram.fragment {
            None => Gathered::Whole,
            Some(f) => Gathered::Held(Reason::FragmentHeld { offset: f.offset, length: 0 }),
        }
    }
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        None
    }
    pub(crate) fn handle_timeouts(&mut self, _: Time) {}
}
