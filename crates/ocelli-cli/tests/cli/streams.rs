//! Standard output and standard error, also where nobody reads them.

use std::process::Stdio;

use crate::support::{Place, run};

#[test]
fn standard_output_has_the_result_alone() {
    let place = Place::new();
    let done = place.ok("train digits --net perceptron --epochs 2");
    let names: Vec<&str> = done.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["validation", "training", "time", "model", "report", "weights"]);
    for part in ["1,438 to train on", "650 parameters", "runs/digits-1", "epoch 1/2", "epoch 2/2"] {
        assert!(done.stderr.contains(part), "no '{part}' in\n{}", done.stderr);
    }
    assert!(!done.stderr.contains('\x1b'), "colours are for terminals");
    let quiet = place.ok("train digits --net perceptron --epochs 1 -q");
    assert_eq!(quiet.stderr, "");
    let verbose = place.ok("train digits --net perceptron --epochs 1 -v");
    assert!(
        verbose.stderr.contains("checkpoint") && verbose.stderr.contains("flatten"),
        "{}",
        verbose.stderr
    );
}

#[test]
fn help_is_a_result_and_names_what_there_is() {
    let place = Place::new();
    let help = place.ok("--help").stdout;
    for verb in
        ["train", "eval", "predict", "plan", "check", "compare", "data", "explain", "completions", "man"]
    {
        assert!(help.contains(&format!("\n  {verb} ")), "no {verb} in\n{help}");
        let done = place.ok(&format!("{verb} --help"));
        assert!(done.stdout.contains("Usage: ocelli") && done.stderr.is_empty(), "{verb}");
    }
    assert!(place.ok("--version").stdout.starts_with("ocelli "));
    assert_eq!(place.run("").code, 2);
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let place = Place::new();
    for words in [
        "plan mnist",
        "--help",
        "completions bash",
        "train digits --net perceptron --epochs 1 --json-lines -q",
    ] {
        let mut child = place
            .command(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("an end");
        assert_eq!(output.status.code(), Some(0), "{words}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words}");
    }
    assert!(place.path("runs/digits-1/model.safetensors").is_file(), "the run is finished all the same");
}

#[test]
fn events_end_with_why_there_is_no_result() {
    let place = Place::new();
    let done = place.run("train nowhere --json-lines -q");
    let event: serde_json::Value = serde_json::from_str(&done.stdout).expect("one event");
    assert_eq!((event["event"].as_str(), event["exit_code"].as_i64()), (Some("error"), Some(2)));
    assert!(event["message"].as_str().expect("text").contains("nowhere"), "{event}");
    assert_eq!(place.run("train nowhere --json -q").stdout, "");
}

/// Without leave to write a file of any size, the run fails as on a full disk and can go on.
#[cfg(target_os = "linux")]
#[test]
fn a_limit_on_file_sizes_is_an_error_of_writing() {
    let place = Place::new();
    place.ok("train digits --net mlp --widths 64 --epochs 1 --out run -q");
    // Blocks of 512 or 1024 bytes: enough for the configuration, too few for a checkpoint.
    let resume =
        format!("ulimit -f 8; exec {} train --resume run --epochs 2 -q", env!("CARGO_BIN_EXE_ocelli"));
    let mut shell = std::process::Command::new("sh");
    let done = run(shell.args(["-c", &resume]).current_dir(place.path("")));
    assert_eq!(done.code, 4, "{}", done.stderr);
    for part in ["ulimit -f", "the last checkpoint is whole", "ocelli train --resume run"] {
        assert!(done.stderr.contains(part), "no '{part}' in\n{}", done.stderr);
    }
}

#[test]
fn a_closed_standard_error_is_no_error() {
    let place = Place::new();
    let mut command = place.command("train digits --net perceptron --epochs 1");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    drop(child.stderr.take());
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("sha256"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_standard_output_is_an_error() {
    let place = Place::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has /dev/full");
    let mut command = place.command("plan lenet");
    let mut child = command.stdout(full).stderr(Stdio::piped()).spawn().expect("the binary runs");
    assert_eq!(child.wait().expect("an end").code(), Some(4));
    let _ = run(&mut place.command("--version"));
}
