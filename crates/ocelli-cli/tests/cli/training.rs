//! Options of `train` that change how long, on what and from where training goes on.

use serde_json::Value;

use crate::support::{Place, text};

fn sha(result: &Value) -> &str {
    result["weights_sha256"].as_str().expect("a digest")
}

#[test]
fn a_run_by_the_clock_ends_and_is_repeated_without_the_clock() {
    let place = Place::new();
    let words = "train digits --time-budget 1s --schedule cosine --batch 32 --json -q";
    let timed = place.json(&format!("{words} --out timed"));
    let steps = timed["steps"].as_u64().expect("a number");
    assert!(steps > 0 && timed["epochs"].as_f64() > Some(0.0), "{timed}");
    let again = place.json("train --repeat timed --out again --threads 1 --json -q");
    assert_eq!((sha(&again), again["steps"].as_u64()), (sha(&timed), Some(steps)));
    assert!(!text(&place.path("again/config.toml")).contains("time_budget"));
    place.refused("train --repeat timed --lr 1", 2, &["--repeat", "--lr", "leave it out"]);
    place.refused("train --repeat nothing", 2, &["nothing", "no run folder"]);
    place.refused("train --resume timed --epochs 9", 2, &["a time budget", "--epochs 9", "--from timed"]);
    assert_eq!(sha(&place.json("train --resume timed --json -q")), sha(&timed), "its time is over");
}

#[test]
fn how_long_is_said_in_one_way() {
    let place = Place::new();
    place.refused("train digits --time-budget 45", 2, &["--time-budget", "90s, 45m or 1h30m"]);
    place.refused("train digits --time-budget 45m --epochs 3", 2, &["--time-budget", "--epochs"]);
    place.refused("train digits --steps 0", 2, &["--steps", "from 1 on"]);
    let run = place.json("train digits --net perceptron --steps 30 --json -q");
    assert_eq!(run["steps"], 30);
    assert!(run["epochs"].as_f64().is_some_and(|epochs| epochs.fract() != 0.0), "{run}");
}

#[test]
fn what_is_asked_for_is_told_planned_and_kept() {
    let place = Place::new();
    let given = "--accumulate 2 --ema 0.99 --clip-norm 1.5 --class-weights balanced --freeze relu1 --patience 3 --bias-lr 16";
    let net = "--net mlp --widths 40,30";
    let planned = place.json(&format!("train digits {net} {given} --dry-run --json"));
    let recipe = &planned["config"]["recipe"];
    assert_eq!(
        (&recipe["accumulate"], &recipe["ema"], &recipe["clip_norm"]),
        (&2.into(), &0.99.into(), &1.5.into())
    );
    assert_eq!((&recipe["class_weights"], &recipe["freeze"]), (&"balanced".into(), &"relu1".into()));
    let memory = |planned: &Value, what: &str| planned["plan"]["memory"][what].as_u64().expect("bytes");
    let plain = place.json(&format!("train digits {net} --dry-run --json"));
    assert_eq!(memory(&planned, "average"), memory(&planned, "parameters"));
    assert_eq!(memory(&planned, "gradients"), memory(&planned, "parameters"));
    assert_eq!((memory(&plain, "average"), memory(&plain, "gradients")), (0, 0));
    let told = place.ok(&format!("train digits {net} {given} --epochs 2 --out run")).stderr;
    for part in [
        "2 × 64 images",
        "decay 0.99",
        "norm 1.5 at most",
        "classes count the same",
        "frozen up to 'relu1'",
        "biases 16 times as fast",
        "3 epochs",
    ] {
        assert!(told.contains(part), "no '{part}' in\n{told}");
    }
    for option in [
        "--ema 0.9",
        "--bias-lr 2",
        "--whiten conv1",
        "--accumulate 4",
        "--clip-norm 1",
        "--freeze relu2",
        "--patience 1",
        "--sizes 8",
        "--steps 9",
    ] {
        let name = option.split(' ').next().expect("a name");
        place.refused(&format!("train --resume run {option}"), 2, &[name, "leave it out"]);
    }
    assert!(text(&place.path("run/report.html")).contains("class_weights"));
}

#[test]
fn a_model_is_trained_on_and_what_is_frozen_is_named() {
    let place = Place::new();
    place.ok("train digits --epochs 1 --out first -q");
    let done = place.ok("train digits --from first --epochs 1 --freeze relu1 --out second");
    for part in ["first/model.safetensors", "frozen up to 'relu1'"] {
        assert!(done.stderr.contains(part), "no '{part}' in\n{}", done.stderr);
    }
    place.refused("train digits --net mlp --whiten fc1 --dry-run", 2, &["--whiten fc1", "convolution"]);
    place.refused("train digits --bias-lr 0", 2, &["--bias-lr"]);
    let net = "train digits --net digits --whiten conv1 --freeze conv1 --epochs 1 --out third";
    assert!(place.ok(net).stderr.contains("filters of 'conv1' from the images"));
    place.refused("train digits --from first --net mlp", 2, &["--from", "--net"]);
    place.refused("train digits --from first --freeze relu11 --dry-run", 2, &["relu11", "did you mean"]);
    place.refused("train digits --from missing", 2, &["missing", "no such file"]);
    assert!(text(&place.path("second/config.toml")).contains("[from]"));
}

#[test]
fn a_repeated_run_can_be_prolonged() {
    let place = Place::new();
    place.ok("train digits --net perceptron --epochs 1 --out first -q");
    place.ok("train --repeat first --out second -q");
    place.ok("train --resume second --epochs 2 -q");
    place.ok("train --resume first --epochs 2 -q");
    assert_eq!(text(&place.path("second/metrics.jsonl")).lines().count(), 2);
}

#[test]
fn a_run_goes_on_without_the_model_that_it_began_with() {
    let place = Place::new();
    place.ok("train digits --epochs 1 --out first -q");
    place.ok("train digits --from first --epochs 1 --out second -q");
    std::fs::remove_dir_all(place.path("first")).unwrap();
    place.ok("train --resume second --epochs 2 -q");
    assert_eq!(text(&place.path("second/metrics.jsonl")).lines().count(), 2);
    place.refused("train --repeat second", 2, &["first"]);
}

#[test]
fn a_recipe_of_a_few_steps_does_not_end_a_run_that_has_time() {
    let place = Place::new();
    place.ok("train digits --net perceptron --epochs 1 --batch 1000 --out first -q");
    let timed = place.json("train digits --from first --batch 1000 --time-budget 2s --out second --json -q");
    assert!(timed["steps"].as_u64() > Some(2), "{timed}");
}

#[test]
fn why_nothing_is_left_to_do_is_told() {
    let place = Place::new();
    let net = "train digits --net perceptron --batch 500 -q";
    for (length, told) in [
        ("--epochs 1", "give a larger --epochs"),
        ("--steps 4", "all steps of the run are done"),
        ("--time-budget 1s", "the time of the run is over"),
        ("--lr 1e-30 --patience 1 --epochs 50", "as none was better"),
    ] {
        let out = length.split(' ').next().unwrap().trim_start_matches('-');
        place.ok(&format!("{net} {length} --out {out}"));
        let done = place.ok(&format!("train --resume {out}"));
        assert!(done.stderr.contains(told), "no '{told}' in\n{}", done.stderr);
        assert_eq!(done.stderr.contains(&format!("--from {out}")), out != "epochs", "{}", done.stderr);
    }
}

#[test]
fn a_run_on_other_images_is_not_repeated() {
    let place = Place::new();
    let picture = |level: u8| [b"P5 2 2 255\n".to_vec(), vec![level, 9, 9, level]].concat();
    for i in 0..20 {
        place.write(&format!("set/{}/{i}.pgm", ["a", "b"][i % 2]), picture(10 * i as u8));
    }
    place.ok("train set --net perceptron --epochs 1 --out first -q");
    place.ok("train --repeat first --out second -q");
    place.write("set/a/0.pgm", picture(255));
    place.write("set/b/1.pgm", picture(254));
    place.refused("train --repeat first --out third", 3, &["no longer holds the images", "first"]);
    // Nothing of it is known before its first epoch is over.
    std::fs::create_dir(place.path("young")).unwrap();
    std::fs::copy(place.path("first/config.toml"), place.path("young/config.toml")).unwrap();
    place.refused("train --repeat young", 2, &["no epoch in its metrics.jsonl"]);
}

#[test]
fn a_network_is_known_by_its_name_beside_a_folder_that_has_it() {
    let place = Place::new();
    std::fs::create_dir(place.path("mnist")).unwrap();
    assert!(place.ok("plan mnist --batch 8").stdout.starts_with("mnist: "));
    place.refused("plan ./mnist", 2, &["no run folder"]);
}

#[test]
fn what_is_not_empty_is_refused_before_the_data_are_read() {
    let place = Place::new();
    place.write("full/x.txt", "mine");
    place.refused("train missing --out full", 2, &["full is not empty"]);
    place.refused("train missing --out full --dry-run", 2, &["missing"]);
}

#[test]
fn a_rate_is_found_and_its_curve_is_written() {
    let place = Place::new();
    let found = place.json("train digits --net mlp --widths 32 --find-lr --json -q");
    let (suggested, lowest) = (found["suggested"].as_f64(), found["lowest"].as_f64());
    assert!(suggested > Some(1e-4) && suggested < lowest && lowest < Some(10.0), "{suggested:?} {lowest:?}");
    let page = text(&place.path(found["page"].as_str().expect("a path")));
    assert!(page.contains("<svg") && page.contains("suggested"));
    assert!(place.path("runs/digits-rates-1/rates.json").is_file());
    assert!(!place.path("runs/digits-1").exists(), "nothing was trained");
    let said = place.ok("train digits --net mlp --widths 32 --find-lr --out here -q").stdout;
    assert!(said.contains("--lr ") && said.contains("here/rates.html"), "{said}");
    place.refused("train digits --find-lr --resume runs/x", 2, &["--find-lr"]);
    place.refused("train digits --net mlp --find-lr --out here", 2, &["here is not empty"]);
    // Before the data are read.
    place.refused("train missing --net lenet5 --find-lr", 2, &["diagonal-lm"]);
    place.refused("train missing --optimizer diagonal-lm --find-lr", 2, &["diagonal-lm"]);
}
