//! The running kernel as the judge of a fuzzer: a story goes through the engine and through the kernel, and every answer
//! is compared, as `conntruth diff --target linux` does. The fuzzer sees the engine's coverage, so what it keeps is what
//! reaches further into the rules.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use conntruth::diff::{Normal, compare};
use conntruth::generate::{Allowed, Clock, Features, Traffic};
use conntruth::target::known::{self, Wish};
use conntruth::target::{Batch, Reading, Reference, Target};
use conntruth_engine::LINUX_6_18;

type Kernel = Mutex<Box<dyn Target + Send>>;

/// The one kernel there is, or why there is none.
fn kernel() -> Option<&'static Kernel> {
    static KERNEL: OnceLock<Option<Kernel>> = OnceLock::new();
    let open = || {
        let wish =
            Wish { profile: &LINUX_6_18, patience: Duration::from_secs(5), limits: Default::default() };
        known::open("linux", &wish).ok().map(Mutex::new)
    };
    KERNEL.get_or_init(open).as_ref()
}

/// Whether there is none here, and that is no error.
pub fn is_missing() -> bool {
    !known::is_required("linux") && kernel().is_none()
}

/// What both say of a story is the same. What differs once and not when asked again is a machine that stalled.
pub fn differential(bytes: &[u8]) {
    let Some(kernel) = kernel() else { panic!("the running kernel cannot be a target here") };
    let mut kernel = kernel.lock().unwrap_or_else(PoisonError::into_inner);
    let allowed = Allowed { features: Features::PACKETS, clock: Clock::Still, ..Allowed::default() };
    let traffic = Traffic::within(bytes, &allowed);
    let worlds = vec![traffic.packets().cloned().collect()];
    let batch = Batch { config: traffic.config(), worlds, reading: Reading::Each };
    let mut reference = Reference::new(&LINUX_6_18);
    let normal = Normal::between(&reference.identity(), &kernel.identity());
    let mut last = None;
    for _ in 0..3 {
        let ours = reference.batch(&batch).unwrap_or_else(|refusal| panic!("{refusal}\n{traffic}"));
        let theirs = kernel.batch(&batch).unwrap_or_else(|refusal| panic!("{refusal}\n{traffic}"));
        last = compare(&ours[0], &theirs[0], normal);
        if last.is_none() {
            return;
        }
    }
    panic!("the kernel differs in {last:#?}\n{}", traffic.scenario());
}
