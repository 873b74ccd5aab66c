//! The same scenarios against the tracker of this crate: what it shows - the class - is compared, and nothing else.

use conntruth::engine::{Class, CtInfo, LINUX_6_18, Time, Verdict};
use conntruth::target::{
    Abilities, Arrival, Config, Confirms, Entry, Happening, Identity, Observation, Passing, Refusal, Rules,
    Setting, Shows, Target,
};
use conntruth_stranger::{Relation, Tracker};

#[derive(Default)]
struct Mine(Tracker);

impl Target for Mine {
    fn identity(&self) -> Identity {
        Identity {
            name: "mine".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            profile: LINUX_6_18.name.to_owned(),
            hz: LINUX_6_18.hz,
            abilities: Abilities {
                time: Passing::None,
                confirms: Confirms::Immediate,
                shows: Shows::CLASS,
                protocols: vec!["udp".to_owned()],
                sysctls: Vec::new(),
                helpers: Vec::new(),
                nat: false,
                zones: false,
                own_host: false,
                rules: Rules::Told,
                marks: false,
                slack: Time::ZERO,
            },
        }
    }

    fn begin(&mut self, _: &Config) -> Result<(), Refusal> {
        self.0 = Tracker::default();
        Ok(())
    }

    fn set(&mut self, setting: &Setting) -> Result<(), Refusal> {
        Err(Refusal::Unsupported(format!("it has no setting `{}`", setting.name)))
    }

    fn packet(&mut self, arrival: &Arrival) -> Result<Observation, Refusal> {
        let relation = self.0.packet(&arrival.bytes);
        let relation =
            relation.ok_or_else(|| Refusal::Unsupported("it knows UDP over IPv4 alone".to_owned()))?;
        let info = match relation {
            Relation::New => CtInfo::New,
            Relation::Known => CtInfo::Established,
            Relation::Answer => CtInfo::EstablishedReply,
        };
        Ok(Observation { attached: true, ..Observation::of(Class::Tracked(info), Verdict::Accept) })
    }

    fn advance(&mut self, _: Time) -> Result<Vec<Happening>, Refusal> {
        Ok(Vec::new())
    }

    fn table(&mut self) -> Result<Vec<Entry>, Refusal> {
        Err(Refusal::Unsupported("it lists nothing".to_owned()))
    }
}

conntruth::scenarios!("scenarios", Mine::default);
