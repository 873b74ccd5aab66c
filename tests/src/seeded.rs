//! The engine of bolero's in a plain `cargo test`: every input that lies beside a target, then inputs that follow from a
//! seed. Bolero's own takes those from the operating system: what fails would fail once, and on one machine.
//!
//! `BOLERO_RANDOM_SEED` is the seed, and `BOLERO_RANDOM_ITERATIONS` how many inputs follow from it.

use std::fmt::Debug;
use std::fs;
use std::panic::RefUnwindSafe;
use std::path::{Path, PathBuf};

use bolero::TestTarget;
use bolero::bolero_engine::{Engine, Test, driver, input, panic};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// See the module.
#[derive(Clone, Debug)]
pub struct Seeded {
    /// What has the folders `corpus` and `crashes`, if anything.
    pub folder: Option<PathBuf>,
    /// Inputs that follow from the seed.
    pub cases: u64,
    /// The most bytes that one of those has.
    pub most: usize,
}

impl Seeded {
    /// Tries all inputs.
    ///
    /// # Panics
    /// At the first that panics, with the smallest input that does, and what made it.
    pub fn check(self, check: impl FnMut(&[u8]) + RefUnwindSafe) {
        TestTarget::new(self).for_each(check);
    }

    /// What lies beside the target, in the order of names: a name for each, and its bytes.
    ///
    /// # Panics
    /// When a file cannot be read.
    pub fn kept(&self) -> Vec<(String, Vec<u8>)> {
        let folders = ["crashes", "corpus"].map(|name| self.folder.as_ref().map(|folder| folder.join(name)));
        folders.iter().flatten().flat_map(|folder| files(folder)).collect()
    }

    /// An input that follows from a seed.
    #[must_use]
    pub fn follows(&self, seed: u64, number: u64) -> Vec<u8> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(number);
        let mut bytes = vec![0; random.next_u32() as usize % (self.most + 1)];
        random.fill_bytes(&mut bytes);
        bytes
    }

    fn keep(&self, name: &str, bytes: &[u8]) {
        // What is found is worth more than a clean folder; where nothing can be written the seed is enough.
        if let Some(folder) = self.folder.as_ref().map(|folder| folder.join("crashes"))
            && fs::create_dir_all(&folder).is_ok()
        {
            let _ = fs::write(folder.join(name), bytes);
        }
    }
}

impl<T: Test> Engine<T> for Seeded
where
    T::Value: Debug,
{
    type Output = ();

    fn run(self, mut test: T, mut options: driver::Options) {
        options.set_max_len(self.most);
        panic::set_hook();
        for (name, bytes) in self.kept() {
            tried(&mut test, &bytes, &options, &name);
        }
        let number_of = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
        let seed = number_of("BOLERO_RANDOM_SEED").unwrap_or(6);
        for number in 0..number_of("BOLERO_RANDOM_ITERATIONS").unwrap_or(self.cases) {
            let bytes = self.follows(seed, number);
            let name = format!("seed-{seed}-number-{number}");
            if !tried_quietly(&mut test, &bytes, &options) {
                self.keep(&name, &bytes);
                tried(&mut test, &bytes, &options, &name);
            }
        }
    }
}

fn tried_quietly<T: Test>(test: &mut T, bytes: &[u8], options: &driver::Options) -> bool {
    let forwards = panic::forward_panic(false);
    let ended = test.test(&mut input::Bytes::new(bytes, options));
    panic::forward_panic(forwards);
    ended.is_ok()
}

fn tried<T: Test>(test: &mut T, bytes: &[u8], options: &driver::Options, name: &str)
where
    T::Value: Debug,
{
    let forwards = panic::forward_panic(false);
    let ended = test.test(&mut input::Bytes::new(bytes, options));
    let told = ended.err().map(|error| match test.shrink(bytes.to_vec(), None, options) {
        Some(smallest) => format!("{smallest:#}"),
        None => error.to_string(),
    });
    panic::forward_panic(forwards);
    if let Some(told) = told {
        panic!("{name}:\n{told}");
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        path.is_file() && path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."))
    });
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.display().to_string(), bytes)
    };
    paths.into_iter().map(read).collect()
}
