//! The suite is part of the program: a scenario that changes makes a new program.

fn main() {
    println!("cargo:rerun-if-changed=../scenarios");
}
