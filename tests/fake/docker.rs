//! The fake docker client that the scenarios run on.

fn main() {}
