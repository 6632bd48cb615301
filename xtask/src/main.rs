//! What the developers of Ocelli run: `cargo xtask test` passes or fails the whole project, `cargo xtask peers` holds it
//! against others.
#![allow(clippy::print_stderr, clippy::print_stdout)] // it reports to a terminal

mod peers;
mod test;

use std::process::{Command, ExitCode};

const USAGE: &str = "\
usage: cargo xtask test               formatting, lints, all tests, documentation
       cargo xtask peers [OPTIONS]    Ocelli, PyTorch and ONNX Runtime on the same networks; --help for more
       cargo xtask loader-peers       Ocelli and torchvision on the same photographs; --help for more
       cargo xtask training-peers     a whole training in Ocelli and in PyTorch; --help for more";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((verb, [])) if verb == "test" => test::run(),
        Some((verb, args)) if verb == "peers" => peers::run(args),
        Some((verb, args)) if verb == "loader-peers" => peers::loader::run(args),
        Some((verb, args)) if verb == "training-peers" => peers::training::run(args),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Runs cargo and says whether it succeeded.
fn cargo(args: &[&str], quiet: bool) -> bool {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).env("RUSTDOCFLAGS", "-D warnings");
    if quiet {
        return command.output().is_ok_and(|output| output.status.success());
    }
    command.status().is_ok_and(|status| status.success())
}
