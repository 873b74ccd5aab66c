//! How good is the suite? It is held against trackers that are wrong in one place each, and must notice every one.
//!
//! A [`Mutant`] is a profile: one cell of a table, one bound, one timeout, one rule is another. Those that nobody could
//! notice are named with the reason ([`EQUIVALENT`]), and one that is named there and noticed all the same is a mistake
//! too. What is left and not noticed is what the suite does not say yet.

mod equivalent;
mod make;
mod score;

pub use equivalent::{EQUIVALENT, Equivalent};
pub use make::{Kind, Mutant, all};
pub use score::{Score, score};

#[cfg(test)]
mod tests;
