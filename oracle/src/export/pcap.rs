//! A world's packets as a capture: nanoseconds, raw IP, from the moment at which the world begins.

use crate::scenario::{Happens, Plan};
use crate::target::{Fate, Path};

/// Something that happens in a world and that no capture can hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotInACapture {
    /// Settings.
    pub settings: usize,
    /// Packets of the tracker's own host, or to it.
    pub local: usize,
    /// Packets that a rule drops, keeps waiting, exempts, or puts into a zone; all where the host has rules of its own.
    pub ruled: usize,
}

impl NotInACapture {
    /// Whether the capture says all that happens.
    pub fn is_nothing(self) -> bool {
        self == NotInACapture::default()
    }
}

const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const VERSION: u32 = 0x0004_0002;
const SNAP_LENGTH: u32 = 262_144;
const LINK_RAW: u32 = 101;
const NANOS: u64 = 1_000_000_000;

/// The capture, and what of the world is not in it.
pub fn capture(plan: &Plan) -> (Vec<u8>, NotInACapture) {
    let mut bytes = Vec::new();
    for field in [MAGIC_NANOSECONDS, VERSION, 0, 0, SNAP_LENGTH, LINK_RAW] {
        bytes.extend(field.to_le_bytes());
    }
    let mut missing = NotInACapture { settings: plan.config().settings.len(), ..NotInACapture::default() };
    for happening in plan.happens() {
        match happening.what {
            Happens::Time => {}
            Happens::Set(_) => missing.settings += 1,
            Happens::Release(..) => missing.ruled += 1,
            Happens::Packet(arrival) => {
                missing.local += usize::from(arrival.path != Path::Forward);
                let has_rules = !plan.config().rules.is_empty();
                missing.ruled += usize::from(
                    has_rules || arrival.notrack || arrival.zone != 0 || arrival.fate != Fate::Passes,
                );
                let (at, length) = (arrival.at.as_nanos(), arrival.bytes.len() as u32);
                for field in [(at / NANOS) as u32, (at % NANOS) as u32, length, length] {
                    bytes.extend(field.to_le_bytes());
                }
                bytes.extend(&arrival.bytes);
            }
        }
    }
    (bytes, missing)
}
