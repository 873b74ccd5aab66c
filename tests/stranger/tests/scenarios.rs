//! One test for each scenario of this crate, against the reference.

conntruth::scenarios!("scenarios");
