//! A run: batch after batch through both targets, and what came of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use conntruth_engine::{Family, Knob, LINUX_6_18, Profile, Table};

use super::depth::{ALPHABETS, Alphabet, Every};
use super::judge::{Judge, Sights};
use super::shrink::shrink;
use super::source::{Seeded, Source, Work};
use super::tally::Progress;
use super::{Cause, Difference, Finding, Norm, Normal, compare, example};
use crate::coverage::Coverage;
use crate::generate::{Allowed, Clock, Feature, Features, Protocols, Speaks, Stream};
use crate::language::ast::Story;
use crate::scenario::{Lane, arrivals, config};
use crate::target::{Abilities, Batch, Identity, Passing, Reading, Reasons, Refusal, Rules, Sight, Target};

/// A part of a run that is split: every so many batches, beginning with one of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which part, from 0.
    pub index: u64,
    /// Of how many.
    pub of: u64,
}

impl Shard {
    /// Whether the thing with this number, from 0, is in it.
    pub const fn has(self, number: u64) -> bool {
        number % self.of == self.index
    }
}

/// `2/4`, as people count.
impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.of)
    }
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the bytes come from.
    pub seed: u64,
    /// So many cases, over all shards.
    pub cases: Option<u64>,
    /// So long.
    pub duration: Option<Duration>,
    /// Which protocols the flows speak.
    pub protocols: Protocols,
    /// What may occur.
    pub features: Features,
    /// Every batch has rules, where features allow.
    pub rules: bool,
    /// Every sequence of up to so many letters, instead of cases from a seed.
    pub depth: Option<u32>,
    /// Which part of it.
    pub shard: Shard,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            seed: 0,
            cases: Some(10_000),
            duration: None,
            protocols: Protocols::USUAL,
            features: Features::PACKETS.with(Feature::Translation),
            rules: false,
            depth: None,
            shard: Shard { index: 0, of: 1 },
        }
    }
}

impl Options {
    /// The alphabets that a run by depth goes through.
    pub fn alphabets(&self) -> Vec<Alphabet> {
        ALPHABETS.iter().copied().filter(|alphabet| self.protocols.has(alphabet.speaks)).collect()
    }
}

/// What a run has come to.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Who was compared.
    pub reference: Identity,
    /// With whom.
    pub target: Identity,
    /// What was not compared.
    pub normal: Normal,
    /// Cases, packets, and how many differ.
    pub sum: Progress,
    /// How long the comparing took, shrinking not counted.
    pub took: Duration,
    /// Packets, and how long the target took for them with the answers thrown away.
    pub baseline: Option<(u64, Duration)>,
    /// The causes, with the most frequent first.
    pub findings: Vec<Finding>,
    /// What of the tables was reached, where the reference says why.
    pub coverage: Option<Coverage>,
}

/// Causes that are shrunk; of more the first case is kept as it is.
const MOST_SHRUNK: usize = 40;
/// Every so many batches the baseline is measured.
const BASELINE_EVERY: u64 = 16;
/// So often a batch with a difference is asked again, before that is believed.
const DOUBTS: usize = 3;

/// Runs two targets against each other. `tell` hears of every batch.
///
/// The target may be there several times over, in trackers of their own: then as many batches are under way at once.
///
/// # Errors
/// When one of the targets refuses a batch, or breaks.
pub fn run(
    options: &Options,
    reference: Box<dyn Target + Send>,
    targets: Vec<Box<dyn Target + Send>>,
    tell: &mut dyn FnMut(&Progress),
) -> Result<Ended, Refusal> {
    let judges: Vec<Judge> = targets.into_iter().map(Judge::new).collect();
    let Some(judge) = judges.first() else {
        return Err(Refusal::Wrong("there is no target to compare with".to_owned()));
    };
    let clock = clock(&reference.identity(), judge.identity());
    let mut source: Box<dyn Source> = match options.depth {
        Some(depth) => Box::new(Every::new(&options.alphabets(), depth, options.shard, options.cases)),
        None => {
            let allowed = allowed(options, clock, [&reference.identity(), judge.identity()]);
            Box::new(Seeded::new(Stream::new(options.seed, allowed), options.shard, options.cases))
        }
    };
    let normal = Normal::between(&reference.identity(), judge.identity());
    let mut run = Run::new(reference, judges, normal);
    run.all(&mut *source, options.duration, tell)?;
    Ok(run.ended())
}

/// What both can do.
fn allowed(options: &Options, clock: Clock, both: [&Identity; 2]) -> Allowed {
    let both_are = |is: &dyn Fn(&Abilities) -> bool| both.iter().all(|identity| is(&identity.abilities));
    let spoken = |speaks: &Speaks| {
        let name = Speaks::ALL.iter().find(|row| row.1 == *speaks).map_or("", |row| row.0);
        both_are(&|abilities| match speaks {
            Speaks::Ftp | Speaks::Tftp | Speaks::Irc => abilities.helpers.iter().any(|helper| helper == name),
            Speaks::Nat => abilities.nat,
            _ => abilities.has(name),
        })
    };
    let protocols = options.protocols.iter().filter(spoken);
    let needs: [(Feature, bool); 5] = [
        (Feature::Translation, both_are(&|abilities| abilities.nat)),
        (Feature::Zones, both_are(&|abilities| abilities.zones)),
        (Feature::Rules, both_are(&|abilities| abilities.rules == Rules::Own)),
        (Feature::Errors, both_are(&|abilities| abilities.has("icmp") && abilities.has("icmpv6"))),
        (Feature::Time, both_are(&|abilities| abilities.time != Passing::None)),
    ];
    let can_set = |knob: &Knob| {
        both_are(&|abilities| abilities.sysctls.iter().any(|name| Knob::find(name) == Some(*knob)))
    };
    let knobs: Vec<Knob> = Knob::ALL.iter().map(|info| info.knob).filter(can_set).collect();
    Allowed {
        protocols: protocols.fold(Protocols::NONE, Protocols::with),
        features: needs
            .iter()
            .filter(|(_, has)| !has)
            .fold(options.features, |all, (feature, _)| all.without(*feature)),
        clock,
        settings: true,
        knobs: (knobs.len() < Knob::ALL.len()).then_some(knobs),
        rules: options.rules,
    }
}

/// How time passes where both can let it.
fn clock(reference: &Identity, target: &Identity) -> Clock {
    match (reference.abilities.time, target.abilities.time) {
        (Passing::Virtual, Passing::Virtual) => Clock::Free,
        (Passing::Virtual | Passing::Age, Passing::Virtual | Passing::Age) => Clock::Ageing,
        _ => Clock::Still,
    }
}

struct Run {
    reference: Box<dyn Target + Send>,
    judges: Vec<Judge>,
    normal: Normal,
    sum: Progress,
    lanes: u64,
    batches: u64,
    /// After so many batches the baseline is measured again.
    next_baseline: u64,
    baseline: Option<(u64, Duration)>,
    took: Duration,
    findings: BTreeMap<Cause, Finding>,
    coverage: Option<Coverage>,
    /// Batches with differences that have been seen once.
    doubts: Vec<Doubt>,
    /// Causes that have not been made small yet.
    fresh: Vec<Cause>,
}

/// A batch, and what its worlds differ in, by their place.
struct Doubt {
    work: Work,
    differences: BTreeMap<usize, Difference>,
}

impl Ended {
    /// The parts of a split run as one: the same cases, divergences and causes as on one machine. Of each cause the example
    /// of the first case stays; times add up. None of no parts.
    pub fn merged(parts: impl IntoIterator<Item = Ended>) -> Option<Ended> {
        let mut parts = parts.into_iter();
        let mut whole = parts.next()?;
        let mut findings: BTreeMap<Cause, Finding> =
            whole.findings.drain(..).map(|finding| (finding.cause.clone(), finding)).collect();
        for part in parts {
            whole.sum.add(part.sum);
            whole.took += part.took;
            whole.coverage = None;
            whole.baseline =
                whole.baseline.zip(part.baseline).map(|(one, other)| (one.0 + other.0, one.1 + other.1));
            for finding in part.findings {
                match findings.get_mut(&finding.cause) {
                    Some(known) => {
                        let count = known.count + finding.count;
                        if finding.case < known.case {
                            *known = finding;
                        }
                        known.count = count;
                    }
                    None => {
                        findings.insert(finding.cause.clone(), finding);
                    }
                }
            }
        }
        whole.findings = findings.into_values().collect();
        whole.findings.sort_by_key(|finding| std::cmp::Reverse(finding.count));
        whole.sum.causes = whole.findings.len();
        Some(whole)
    }

    /// Whether so many cases have not been settled that nothing follows from those that were.
    pub fn is_unsteady(&self) -> bool {
        self.sum.unsettled * 100 > self.sum.cases
    }
}

impl Run {
    fn new(reference: Box<dyn Target + Send>, judges: Vec<Judge>, normal: Normal) -> Run {
        let says_why = reference.identity().abilities.shows.reasons == Reasons::All;
        let profile = Profile::find(&reference.identity().profile).filter(|_| says_why);
        Run {
            reference,
            judges,
            normal,
            sum: Progress::default(),
            lanes: 0,
            batches: 0,
            next_baseline: 1,
            baseline: None,
            took: Duration::ZERO,
            findings: BTreeMap::new(),
            coverage: profile.map(Coverage::new),
            doubts: Vec::new(),
            fresh: Vec::new(),
        }
    }

    /// The targets are a batch behind: while they work, the next are made and the reference answers.
    #[allow(clippy::disallowed_methods)]
    fn all(
        &mut self,
        source: &mut dyn Source,
        duration: Option<Duration>,
        tell: &mut dyn FnMut(&Progress),
    ) -> Result<(), Refusal> {
        let started = Instant::now();
        let mut aside = Duration::ZERO;
        let mut asked = 0;
        let mut under_way: VecDeque<(Work, Option<Sights>, usize)> = VecDeque::new();
        loop {
            let over = duration.is_some_and(|duration| started.elapsed() >= duration);
            let work = if over { None } else { source.next(&mut self.lanes) };
            let is_last = work.is_none();
            if let Some(work) = work {
                let judge = asked % self.judges.len();
                asked += 1;
                self.judges[judge].ask(Arc::clone(&work.batch));
                // Of what is chosen at random the reference has to hear first.
                let chooses = work.batch.config.rules.translates();
                let sights = (!chooses).then(|| self.reference.batch(&work.batch));
                under_way.push_back((work, sights, judge));
            }
            let rests = is_last || self.has_work_left() || self.measures();
            let mut left = if rests { 0 } else { self.judges.len() };
            while under_way.len() > left {
                if let Some((work, sights, judge)) = under_way.pop_front() {
                    let target = self.judges[judge].sights()?;
                    let sights = sights.unwrap_or_else(|| self.reference.batch_like(&work.batch, &target));
                    self.take(&work, &sights?, &target)?;
                    tell(&self.sum);
                    if self.has_work_left() {
                        left = 0;
                    }
                    if under_way.is_empty() {
                        let before = Instant::now();
                        self.pause(source, &work)?;
                        aside += before.elapsed();
                    }
                }
            }
            if is_last {
                break;
            }
        }
        self.took = started.elapsed().saturating_sub(aside);
        Ok(())
    }

    /// Differences that are not believed, or not made small.
    fn has_work_left(&self) -> bool {
        !self.doubts.is_empty() || !self.fresh.is_empty()
    }

    fn measures(&self) -> bool {
        self.batches >= self.next_baseline
    }

    /// What is done while the target has nothing to do.
    fn pause(&mut self, source: &dyn Source, work: &Work) -> Result<(), Refusal> {
        if self.measures() {
            self.next_baseline = self.batches + BASELINE_EVERY;
            if let Some(took) = self.judges[0].baseline(Arc::clone(&work.batch))? {
                let packets: usize = work.batch.worlds.iter().map(Vec::len).sum();
                let (sum, time) = self.baseline.unwrap_or_default();
                self.baseline = Some((sum + packets as u64, time + took));
            }
        }
        for doubt in std::mem::take(&mut self.doubts) {
            self.settle(doubt)?;
        }
        for cause in std::mem::take(&mut self.fresh) {
            self.make_small(source, &cause)?;
        }
        Ok(())
    }

    /// A machine that stalls gives late answers, and not each time: what differs is asked again with all its batch, and
    /// believed when it always differs.
    fn settle(&mut self, doubt: Doubt) -> Result<(), Refusal> {
        let Doubt { work, mut differences } = doubt;
        for _ in 0..DOUBTS {
            if differences.is_empty() {
                return Ok(());
            }
            let [reference, target] = self.answers(&work.batch)?;
            let before = differences.len();
            differences.retain(|index, difference| {
                let (Some(left), Some(right)) = (reference.get(*index), target.get(*index)) else {
                    return false;
                };
                compare(left, right, self.normal)
                    .is_some_and(|again| Cause::of(&again) == Cause::of(difference))
            });
            self.sum.unsteady += (before - differences.len()) as u64;
        }
        for (index, difference) in differences {
            self.differs(work.cases[index], difference);
        }
        Ok(())
    }

    /// Compares a batch.
    fn take(&mut self, work: &Work, reference: &[Vec<Sight>], target: &[Vec<Sight>]) -> Result<(), Refusal> {
        self.batches += 1;
        if let Some(coverage) = &mut self.coverage {
            coverage.batch(&work.batch, reference);
        }
        let mut doubted = BTreeMap::new();
        for (index, case) in work.cases.iter().enumerate() {
            let (Some(left), Some(right)) = (reference.get(index), target.get(index)) else {
                return Err(Refusal::Broken("a world of the batch was not answered".to_owned()));
            };
            if right.is_empty() && !left.is_empty() {
                self.sum.unsupported += 1;
                continue;
            }
            self.sum.cases += 1;
            self.sum.packets += left.len() as u64;
            self.sum.count(work.batch.worlds.get(index).map_or(&[], |world| world), right);
            let Some(difference) = compare(left, right, self.normal) else { continue };
            if self.normal.has(Norm::Stalls) && !self.is_known(&difference) {
                doubted.insert(index, difference);
            } else {
                self.differs(*case, difference);
            }
        }
        if !doubted.is_empty() {
            self.doubts.push(Doubt { work: work.clone(), differences: doubted });
        }
        Ok(())
    }

    /// Whether this has been seen to differ each time.
    fn is_known(&self, difference: &Difference) -> bool {
        self.findings.get(&Cause::of(difference)).is_some_and(|finding| finding.repeats)
    }

    fn differs(&mut self, case: u64, difference: Difference) {
        self.sum.divergent += 1;
        let cause = Cause::of(&difference);
        if let Some(finding) = self.findings.get_mut(&cause) {
            finding.count += 1;
            return;
        }
        self.fresh.push(cause.clone());
        let finding = Finding {
            cause: cause.clone(),
            count: 1,
            case,
            difference,
            scenario: String::new(),
            packets: 0,
            repeats: false,
        };
        self.findings.insert(cause, finding);
        self.sum.causes = self.findings.len();
    }

    /// Shrinks the first case of a cause, and writes it down.
    fn make_small(&mut self, source: &dyn Source, cause: &Cause) -> Result<(), Refusal> {
        let Some(finding) = self.findings.get(cause) else { return Ok(()) };
        let (case, number) = (finding.case, self.findings.len());
        let story = source.story(case);
        let mut shrunk = None;
        if number <= MOST_SHRUNK {
            shrunk = shrink(story.clone(), &mut |stories| self.both(stories))?;
        }
        if shrunk.is_none() && number <= MOST_SHRUNK && self.normal.has(Norm::Stalls) {
            self.forget(cause);
            return Ok(());
        }
        let repeats = shrunk.is_some() || number > MOST_SHRUNK;
        let (small, difference) = match (shrunk, self.findings.get(cause)) {
            (Some(shrunk), _) => shrunk,
            (None, Some(finding)) => (story, finding.difference.clone()),
            (None, None) => return Ok(()),
        };
        // With the addresses that the scenario has.
        let at_home = self.asked(std::slice::from_ref(&small), true)?.pop().flatten();
        let difference = at_home.filter(|at_home| Cause::of(at_home) == *cause).unwrap_or(difference);
        let scenario = example::scenario(&small, &difference, &mut *self.reference, &self.judges[0])?;
        let packets = arrivals(&small, family(&small), Lane::FIRST, LINUX_6_18.hz).map_or(0, |all| all.len());
        if let Some(finding) = self.findings.get_mut(cause) {
            finding.difference = difference;
            finding.scenario = scenario;
            finding.packets = packets;
            finding.repeats = repeats;
        }
        Ok(())
    }

    /// What has differed does not when it is asked alone: the next case of this cause will be asked again too.
    fn forget(&mut self, cause: &Cause) {
        if let Some(finding) = self.findings.remove(cause) {
            self.sum.unsettled += finding.count;
            self.sum.divergent -= finding.count;
            self.sum.causes = self.findings.len();
        }
    }

    /// What the reference and the target say to a batch, with nothing else under way.
    fn answers(&mut self, batch: &Arc<Batch>) -> Result<[Vec<Vec<Sight>>; 2], Refusal> {
        self.judges[0].ask(Arc::clone(batch));
        let target = self.judges[0].sights()?;
        Ok([self.reference.batch_like(batch, &target)?, target])
    }

    fn both(&mut self, stories: &[Story]) -> Result<Vec<Option<Difference>>, Refusal> {
        self.asked(stories, false)
    }

    /// What each story differs in, those that have the same settings in one batch.
    fn asked(&mut self, stories: &[Story], at_home: bool) -> Result<Vec<Option<Difference>>, Refusal> {
        let mut differences = vec![None; stories.len()];
        let mut batches: Vec<(Batch, Vec<usize>)> = Vec::new();
        for (index, story) in stories.iter().enumerate() {
            let is_alone = story.rules.iter().any(|rule| rule.value.table == Table::Nat);
            let lane = if at_home || is_alone { Lane::FIRST } else { Lane::number(self.lanes) };
            self.lanes += 1;
            // What cannot be built any more is not simpler.
            let Ok(world) = arrivals(story, family(story), lane, LINUX_6_18.hz) else { continue };
            let config = config(story);
            match batches.iter_mut().find(|(batch, _)| batch.config == config) {
                Some((batch, indexes)) => {
                    batch.worlds.push(world);
                    indexes.push(index);
                }
                None => {
                    batches.push((Batch { config, worlds: vec![world], reading: Reading::Each }, vec![index]))
                }
            }
        }
        for (batch, indexes) in batches {
            let [reference, target] = self.answers(&Arc::new(batch))?;
            for ((index, left), right) in indexes.into_iter().zip(&reference).zip(&target) {
                // Of a world that it cannot do nothing is seen: that is no difference.
                let is_seen = !right.is_empty() || left.is_empty();
                differences[index] = if is_seen { compare(left, right, self.normal) } else { None };
            }
        }
        Ok(differences)
    }

    fn ended(self) -> Ended {
        let mut findings: Vec<Finding> = self.findings.into_values().collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.count));
        Ended {
            reference: self.reference.identity(),
            target: self.judges[0].identity().clone(),
            normal: self.normal,
            sum: self.sum,
            took: self.took,
            baseline: self.baseline,
            findings,
            coverage: self.coverage,
        }
    }
}

/// The one family of a story that was made.
fn family(story: &Story) -> Family {
    story.families.first().copied().unwrap_or(Family::Ipv4)
}
