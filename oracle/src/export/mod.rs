//! Scenarios for those who will never run this program: as vectors in JSON, with a schema, and as captures.

mod pcap;
mod vectors;

pub use pcap::{NotInACapture, capture};
pub use vectors::{Entry, Expected, Step, Table, Vectors, What, World, schema, vectors};

#[cfg(test)]
mod tests;
