//! Runs that are stopped, politely or not, end in the weights of one that is not.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ocelli_kernels::random::Key;

use crate::support::Place;

/// A run with so many events that they do not fit into a pipe that nobody reads: it waits in its middle.
const LONG: &str = "train digits --net mlp --widths 16,16,16,16 --batch 512 --epochs 80";

/// Starts that run and waits for its first epoch.
fn started(place: &Place, out: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut command = place.command(&format!("{LONG} --checkpoint-every 0 --json-lines -q --out {out}"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut events = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("\"event\":\"epoch\"") {
        line.clear();
        assert!(events.read_line(&mut line).expect("UTF-8") > 0, "the run has epochs");
    }
    (child, events)
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

fn weights(place: &Place, words: &str) -> String {
    place.json(&format!("{words} --json -q"))["weights_sha256"].as_str().expect("a digest").to_string()
}

#[test]
fn ctrl_c_writes_a_checkpoint_says_how_to_resume_and_loses_nothing() {
    let place = Place::new();
    let (mut child, mut events) = started(&place, "stopped");
    signal(&child, "-INT");
    let mut rest = String::new();
    events.read_to_string(&mut rest).expect("the rest of the events");
    let last = rest.lines().last().expect("a last event");
    assert!(last.starts_with("{\"event\":\"interrupted\",\"run\":\"stopped\""), "{last}");
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    let mut said = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("UTF-8");
    assert_eq!(said, "interrupted; to continue: ocelli train --resume stopped\n");
    assert!(!place.path("stopped/model.safetensors").exists());
    assert!(place.ok("eval stopped digits").stderr.contains("not finished"));
    let resumed = weights(&place, "train --resume stopped");
    assert_eq!(resumed, weights(&place, &format!("{LONG} --out whole")));
}

/// `nohup` ignores the signal that a closing terminal sends, and so does the run.
#[cfg(target_os = "linux")]
#[test]
fn a_closed_terminal_stops_a_run_with_a_checkpoint_unless_it_is_to_go_on() {
    let place = Place::new();
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a mask");
    // Where the tests themselves are to outlive their terminal, so is what they start.
    let ignored = u64::from_str_radix(mask.trim(), 16).expect("hexadecimal digits") & 1 == 1;
    let (mut child, mut events) = started(&place, "hung-up");
    signal(&child, "-HUP");
    signal(&child, "-HUP");
    std::io::copy(&mut events, &mut std::io::sink()).expect("the rest of the events");
    assert_eq!(child.wait().expect("an end").code(), Some(if ignored { 0 } else { 130 }));
    place.ok("train --resume hung-up -q");
}

#[test]
fn a_second_ctrl_c_leaves_at_once() {
    let place = Place::new();
    let (mut child, events) = started(&place, "left");
    // Nobody reads the events: the run can come to no end of its own.
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(50));
    signal(&child, "-INT");
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    drop(events);
    place.ok("train --resume left -q");
}

/// `OCELLI_TEST_KILLS` sets how many runs are killed.
#[test]
fn a_run_killed_at_any_moment_resumes_to_the_same_weights() {
    let kills = std::env::var("OCELLI_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let place = Place::new();
    let train = "train digits --net mlp --widths 16,16 --epochs 12 --checkpoint-every 0 --accumulate 2 --ema 0.95 \
                 --clip-norm 1 --class-weights balanced --optimizer adamw";
    let begun = Instant::now();
    let whole = weights(&place, &format!("{train} --out whole"));
    let length = begun.elapsed().as_secs_f64();
    let mut moments = Key::new(7, &[]).stream();
    for kill in 0..kills {
        let (out, moment) = (format!("killed-{kill}"), length * moments.uniform());
        let mut command = place.command(&format!("{train} --out {out} -q"));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs");
        std::thread::sleep(Duration::from_secs_f64(moment));
        signal(&child, "-KILL");
        child.wait().expect("an end");
        // Killed before there was a run: there is nothing to resume.
        let begun = place.path(&out).join("config.toml").exists();
        let again = if begun { format!("train --resume {out}") } else { format!("{train} --out {out}") };
        assert_eq!(weights(&place, &again), whole, "killed after {moment:.3} s of {length:.3} s");
    }
}
