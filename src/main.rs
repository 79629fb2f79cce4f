//! The program's entry: everything else lives in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    vch_lb::run()
}
