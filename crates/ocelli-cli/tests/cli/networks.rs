//! `plan` and `check`: the networks that have a name, and network files.

use ocelli::arch::ARCHITECTURES;

use crate::support::Place;

/// Whether a network's layers have long names, as torchvision's have.
fn is_wide(net: &str) -> bool {
    ["alexnet", "vgg", "resnet", "mobilenet", "dragonfly"].iter().any(|family| net.starts_with(family))
}

#[test]
fn every_named_network_has_a_plan() {
    let place = Place::new();
    for net in ARCHITECTURES {
        let columns = if is_wide(net.name) { 120 } else { 80 };
        let done = place.ok(&format!("plan {} --threads 2", net.name));
        assert!(done.stdout.starts_with(net.name) && done.stdout.contains("total"), "{}", done.stdout);
        assert!(done.stdout.lines().all(|line| line.chars().count() <= columns), "{}", done.stdout);
        assert_eq!(done.stderr, "");
    }
}

#[test]
fn every_named_network_survives_its_network_file() {
    let place = Place::new();
    for net in ARCHITECTURES {
        let file = place.ok(&format!("plan {} --toml", net.name)).stdout;
        place.write("net.toml", &file);
        assert_eq!(place.ok("plan net.toml --toml").stdout, file);
        let (named, read) = (
            place.json(&format!("plan {} --json --batch 3", net.name)),
            place.json("plan net.toml --json --batch 3"),
        );
        for key in ["net", "input", "batch", "layers", "parameters", "flops", "parts", "barriers"] {
            assert_eq!(named[key], read[key], "{} {key}", net.name);
        }
    }
}

#[test]
fn plans_follow_input_classes_widths_and_data() {
    let place = Place::new();
    let plan = place.json("plan mlp --input 3x4x4 --classes 5 --widths 7 --batch 2 --json");
    assert_eq!(plan["parameters"], 48 * 7 + 7 + 7 * 5 + 5);
    assert_eq!((&plan["batch"], &plan["input"]), (&2.into(), &serde_json::json!([3, 4, 4])));
    let plan = place.json("plan mlp --data digits --json");
    assert_eq!(
        (&plan["input"], &plan["memory"]["data"]),
        (&serde_json::json!([1, 8, 8]), &(1797 * 64).into())
    );
    place.refused("plan lenet --data digits --input 1x8x8", 2, &["--input", "--data"]);
}

#[test]
fn plans_of_photographs_say_which_shortcut_a_block_adds() {
    let place = Place::new();
    let plan = "plan resnet18 --input 3x128x128 --classes 100 --batch 8";
    let shown = place.ok(plan).stdout;
    let row = |name: &str| shown.lines().find(|line| line.starts_with(name)).unwrap().trim_end();
    assert!(shown.starts_with("resnet18: 11,227,812 parameters"), "{shown}");
    assert!(row("layer1.1.add").ends_with("+ layer1.0.relu2"), "{shown}");
    assert!(row("layer2.0.downsample.0").ends_with(" layer1.1.relu2"), "{shown}");
    assert!(row("layer2.0.add").ends_with("+ layer2.0.bn2"), "{shown}");
    place.refused("plan alexnet --input 3x32x32", 2, &["at least 63×63", "32×32", "--net resnet18"]);
}

#[test]
fn runs_and_models_have_the_plan_of_their_network() {
    let place = Place::new();
    place.ok("train digits --net perceptron --epochs 1 --batch 17 --out run -q");
    for model in ["run", "run/model.safetensors"] {
        let plan = place.json(&format!("plan {model} --json"));
        assert_eq!((&plan["batch"], &plan["parameters"]), (&17.into(), &650.into()), "{model}");
    }
    place.refused("plan run --classes 3", 2, &["--classes"]);
}

#[test]
fn gradients_of_a_network_agree_with_differences() {
    let place = Place::new();
    let done = place.ok("check digits --elements 3");
    assert!(done.stdout.contains("norm1") && done.stdout.contains("passed"), "{}", done.stdout);
    let checked = place.json("check perceptron --input 1x3x3 --classes 4 --elements 5 --seed 2 --json");
    assert_eq!((&checked["schema"], &checked["passed"]), (&1.into(), &true.into()), "{checked}");
    assert!(checked["largest_error"].as_f64() < Some(1e-6), "{checked}");
}

#[test]
fn images_choose_their_network_where_none_or_auto_is_asked_for() {
    let place = Place::new();
    for net in ["", "--net auto"] {
        let run = place.json(&format!("train digits {net} --dry-run --json"));
        assert_eq!(run["config"]["net"], "digits", "{net}");
    }
    place.refused("train digits --net auto --widths 5", 2, &["--widths", "--net mlp"]);
}
