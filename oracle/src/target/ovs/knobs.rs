//! Linux's sysctls, as far as Open vSwitch has anything of the kind.
//!
//! Its own defaults differ (SYN_SENT 30 s, established a day, UDP 60 and 30 s, ...). A policy for each zone gives it
//! Linux's instead, so that what is compared is what it does and not what somebody has chosen. It has fewer timeouts than
//! Linux; the table says which stands for which. One policy of a zone serves both families' ICMP. What is neither TCP, UDP
//! nor ICMP has no policy: it keeps Open vSwitch's own 60 s, and 30 s both ways.

use std::collections::{BTreeMap, BTreeSet};

use conntruth_engine::Knob;

use super::control::Control;
use super::keeper::{Keeper, Switch};
use super::{Refusal, Setting, broken};

/// A timeout of a policy, and the sysctls that it stands for.
struct Row {
    name: &'static str,
    knobs: &'static [Knob],
}

/// Of what has more than one knob the last one set counts; the first has the default.
const TIMEOUTS: [Row; 10] = [
    Row { name: "tcp_syn_sent", knobs: &[Knob::TcpSynSent] },
    Row { name: "tcp_syn_recv", knobs: &[Knob::TcpSynRecv] },
    Row { name: "tcp_established", knobs: &[Knob::TcpEstablished] },
    // One side has sent a FIN.
    Row { name: "tcp_fin_wait", knobs: &[Knob::TcpFinWait] },
    // Both have.
    Row { name: "tcp_time_wait", knobs: &[Knob::TcpTimeWait] },
    Row { name: "tcp_close", knobs: &[Knob::TcpClose] },
    Row { name: "udp_first", knobs: &[Knob::Udp] },
    Row { name: "udp_single", knobs: &[Knob::Udp] },
    // Both ways: a stream from the first answer on.
    Row { name: "udp_multiple", knobs: &[Knob::UdpStream] },
    Row { name: "icmp_first", knobs: &[Knob::Icmp, Knob::Icmpv6] },
];
/// The second timeout of ICMP: after an answer. Linux has one for both.
const ICMP_REPLY: Row = Row { name: "icmp_reply", knobs: &[Knob::Icmp, Knob::Icmpv6] };

fn rows() -> impl Iterator<Item = &'static Row> {
    TIMEOUTS.iter().chain([&ICMP_REPLY])
}

/// The knobs that are no timeouts.
const OTHERS: [Knob; 2] = [Knob::TcpBeLiberal, Knob::Max];

/// The settings of the switch.
#[derive(Debug)]
pub(super) struct Knobs {
    switch: Switch,
    /// The policy of every zone.
    policy: BTreeMap<&'static str, u64>,
    zones: BTreeSet<u16>,
    /// Not at its default.
    is_changed: bool,
    changed: BTreeSet<&'static str>,
    most: Option<String>,
}

/// The sysctls that can be set.
pub(super) fn names() -> Vec<String> {
    let timeouts = rows().flat_map(|row| row.knobs);
    let known: BTreeSet<&str> = timeouts.chain(&OTHERS).map(|knob| knob.info().name).collect();
    known.into_iter().map(str::to_owned).collect()
}

fn usual() -> BTreeMap<&'static str, u64> {
    let default = |row: &Row| u64::try_from(row.knobs[0].info().default).unwrap_or_default();
    rows().map(|row| (row.name, default(row))).collect()
}

impl Knobs {
    pub(super) fn new(keeper: &Keeper) -> Knobs {
        Knobs {
            switch: keeper.switch(),
            policy: usual(),
            zones: BTreeSet::new(),
            is_changed: false,
            changed: BTreeSet::new(),
            most: None,
        }
    }

    /// The timeouts that a packet may set, in seconds.
    pub(super) fn timeouts(&self) -> BTreeSet<u64> {
        self.policy.values().copied().collect()
    }

    /// Gives a zone the policy, before its first packet.
    ///
    /// # Errors
    /// When the switch does not take it.
    pub(super) fn allow_zone(&mut self, control: &mut Control, zone: u16) -> Result<(), Refusal> {
        if self.zones.insert(zone) {
            self.switch.add_policy(zone, &self.policy)?;
            forget_compiled(control)?;
        }
        Ok(())
    }

    /// Sets a sysctl.
    ///
    /// # Errors
    /// When there is no such knob, or nothing of the kind here.
    pub(super) fn set(&mut self, control: &mut Control, setting: &Setting) -> Result<(), Refusal> {
        let knob = Knob::find(&setting.name)
            .ok_or_else(|| Refusal::Wrong(format!("there is no sysctl `{}`", setting.name)))?;
        let name = knob.info().name;
        let rows: Vec<&Row> = rows().filter(|row| row.knobs.contains(&knob)).collect();
        if !rows.is_empty() {
            // Nothing here lasts no time at all.
            let seconds = u64::try_from(setting.value).ok().filter(|seconds| *seconds > 0);
            let seconds = seconds.ok_or_else(|| {
                Refusal::Unsupported(format!("Open vSwitch has no timeout of {} s", setting.value))
            })?;
            self.policy.extend(rows.iter().map(|row| (row.name, seconds)));
            self.is_changed = true;
            self.switch.set_policies(&self.policy)?;
            return forget_compiled(control);
        }
        let value = setting.value.to_string();
        match knob {
            Knob::TcpBeLiberal => {
                let method = if setting.value == 0 { ENABLE } else { DISABLE };
                control.call(method, &[]).map_err(broken)?;
                self.changed.insert(ENABLE);
            }
            Knob::Max => {
                if self.most.is_none() {
                    self.most = Some(control.call("dpctl/ct-get-maxconns", &[]).map_err(broken)?);
                }
                control.call(MOST, &[&value]).map_err(broken)?;
            }
            _ => return Err(Refusal::Unsupported(format!("Open vSwitch has nothing like {name}"))),
        }
        Ok(())
    }

    /// Everything back to what a new switch has here.
    ///
    /// # Errors
    /// When the switch does not take it.
    pub(super) fn reset(&mut self, control: &mut Control) -> Result<(), Refusal> {
        for method in std::mem::take(&mut self.changed) {
            control.call(method, &[]).map_err(broken)?;
        }
        if let Some(most) = self.most.take() {
            control.call(MOST, &[most.trim()]).map_err(broken)?;
        }
        if std::mem::take(&mut self.is_changed) {
            self.policy = usual();
            self.switch.set_policies(&self.policy)?;
            forget_compiled(control)?;
        }
        Ok(())
    }
}

/// Rules that are compiled already name the policy that there was: after a change they would give no timeouts but the
/// tracker's own.
fn forget_compiled(control: &mut Control) -> Result<(), Refusal> {
    control.call("revalidator/purge", &[]).map(|_| ()).map_err(broken)
}

/// Whether sequence numbers are compared with windows.
const ENABLE: &str = "dpctl/ct-enable-tcp-seq-chk";
const DISABLE: &str = "dpctl/ct-disable-tcp-seq-chk";
const MOST: &str = "dpctl/ct-set-maxconns";
