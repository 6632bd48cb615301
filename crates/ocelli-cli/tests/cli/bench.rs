//! What `bench` prints. How fast things are is no test's business.

use serde_json::Value;

use crate::support::{Place, keys};

const QUICK: &str = "--seconds 0.001 --threads 2";

#[test]
fn a_network_is_measured_into_the_json_that_is_promised() {
    let place = Place::new();
    let net = place.json(&format!(
        "bench net lenet --input 1x28x28 --classes 7 --batch 4 --precision f32 {QUICK} --json"
    ));
    let promised = [
        "schema",
        "net",
        "train_images_per_second",
        "infer_images_per_second",
        "latency_seconds",
        "peak_memory_bytes",
        "isa",
    ];
    for key in promised {
        assert!(keys(&net).contains(&key), "no {key} in {net}");
    }
    let expected = serde_json::json!({
        "schema": 1, "net": "lenet", "input": [1, 28, 28], "classes": 7, "batch": 4, "precision": "f32", "threads": 2,
        "parameters": 61_451,
    });
    for key in keys(&expected) {
        assert_eq!(net[key], expected[key], "{key}");
    }
    for phase in ["train", "infer", "latency"] {
        assert!(net[phase]["repeats"].as_u64() >= Some(3), "{net}");
    }
    let (train, seconds) = (&net["train_images_per_second"], &net["train"]["seconds"]);
    let images = train.as_f64().zip(seconds.as_f64()).map(|(rate, seconds)| rate * seconds);
    assert!(images.is_some_and(|images| (images - 4.0).abs() < 1e-6), "{net}");
    // Forward, to the weights of five layers, and to the inputs of four.
    let macs = |phase: &str| net[phase]["macs"].as_u64().expect("a number");
    assert_eq!((macs("infer"), macs("train") < 3 * macs("infer")), (4 * macs("latency"), true));
}

#[test]
fn a_network_is_measured_in_the_precision_that_is_asked_for() {
    let place = Place::new();
    let words = format!("bench net lenet --batch 4 --precision bf16 {QUICK}");
    let net = place.json(&format!("{words} --json"));
    assert_eq!((&net["precision"], net["isa"].is_string()), (&"bf16".into(), true), "{net}");
    // Instruction sets without such a unit say so.
    let done = crate::support::run(place.command(&words).env("OCELLI_ISA", "portable"));
    assert!(done.stdout.contains("portable bf16"), "{}", done.stdout);
    assert!(done.stderr.contains("computed in f32"), "{}", done.stderr);
}

#[test]
fn one_phase_alone_leaves_the_others_out() {
    let place = Place::new();
    let net = place.json(&format!("bench net perceptron --batch 3 --only infer {QUICK} --json"));
    for key in ["train", "latency", "train_images_per_second", "latency_seconds", "peak_memory_bytes"] {
        assert_eq!(net[key], Value::Null, "{key}");
    }
    assert!(net["infer_images_per_second"].is_f64());
    let text = place.ok(&format!("bench net perceptron --batch 3 --only latency {QUICK}")).stdout;
    assert!(text.contains("latency") && !text.contains("train"), "{text}");
}

#[test]
fn a_profile_accounts_for_every_step_that_runs() {
    let place = Place::new();
    let net = place.json(&format!("bench net lenet --batch 8 --profile {QUICK} --json"));
    let steps = |phase: &str| net[phase]["profile"]["steps"].as_array().cloned().unwrap_or_default();
    let count = |phase: &str, op: &str, pass: &str| {
        steps(phase).iter().filter(|step| step["op"] == op && step["pass"] == pass).count()
    };
    assert_eq!(
        [count("train", "conv2d", "forward"), count("train", "conv2d", "to parameters")],
        [2, 2],
        "{net}"
    );
    // The first layer's input is the picture, whose gradient nobody wants.
    assert_eq!([count("train", "conv2d", "to input"), count("train", "update", "update")], [1, 1]);
    assert_eq!([count("infer", "conv2d", "forward"), count("infer", "conv2d", "to parameters")], [2, 0]);
    assert!(steps("infer").iter().all(|step| step["op"] != "loss"), "inference has no loss");
    for phase in ["train", "infer", "latency"] {
        let profile = &net[phase]["profile"];
        let number = |value: &Value| value.as_f64().expect("a number");
        let of = |step: &Value| number(&step["seconds"]) + number(&step["barrier_seconds"]);
        let inside: f64 = steps(phase).iter().map(of).sum();
        let (total, outside) = (number(&profile["seconds"]), number(&profile["outside_seconds"]));
        assert!((inside + outside - total).abs() < 1e-9 && outside >= 0.0, "{phase}: {profile}");
        let macs: u64 = steps(phase).iter().map(|step| step["macs"].as_u64().unwrap_or(0)).sum();
        assert_eq!(Some(macs), net[phase]["macs"].as_u64(), "{phase}");
    }
    let text = place.ok(&format!("bench net lenet --batch 8 --only train --profile {QUICK}")).stdout;
    for part in ["to parameters", "barrier", "GFLOP/s", "conv2", "update"] {
        assert!(text.contains(part), "no '{part}' in\n{text}");
    }
}

#[test]
fn ceilings_are_measured_for_each_number_of_threads() {
    let place = Place::new();
    let peak = place.json(&format!("bench peak {QUICK} --json"));
    assert_eq!(peak["schema"], 1);
    let threads = |rows: &Value| -> Vec<u64> {
        rows.as_array().expect("rows").iter().filter_map(|row| row["threads"].as_u64()).collect()
    };
    let of = |unit: &str| -> Value {
        let rows = peak["compute"].as_array().expect("rows").iter();
        rows.filter(|row| row["unit"] == unit).cloned().collect()
    };
    assert_eq!(threads(&of("fma")), [1, 2]);
    let with_unit: &[u64] = if peak["isa"] == "amx" { &[1, 2] } else { &[] };
    assert_eq!(threads(&of("amx")), with_unit);
    let memory = peak["memory"].as_array().expect("rows");
    let patterns: Vec<&Value> =
        memory.iter().filter(|row| row["cache"].is_null()).map(|row| &row["pattern"]).collect();
    assert_eq!(patterns, ["read", "copy", "triad", "read", "copy", "triad"]);
    assert!(memory.iter().all(|row| row["gbytes"].as_f64().is_some_and(|x| x > 0.0)), "{peak}");
    let text = place.ok(&format!("bench peak {QUICK}")).stdout;
    assert!(text.contains("fma f32") && text.contains("memory"), "{text}");
}

#[test]
fn kernels_are_chosen_by_what_stands_in_their_line() {
    let place = Place::new();
    let found = place.json("bench kernels --filter lenet --seconds 0.001 --json");
    let kernels = found["kernels"].as_array().expect("kernels");
    assert!(kernels.iter().any(|kernel| kernel["kernel"] == "conv_backward_input"), "{found}");
    for kernel in kernels {
        assert!(kernel["shape"].as_str().is_some_and(|shape| shape.contains("lenet")), "{kernel}");
        assert!(kernel["share"].as_f64().is_some_and(|share| share > 0.0), "{kernel}");
    }
    let text = place.ok("bench kernels --filter average_pool_forward --seconds 0.001").stdout;
    assert!(text.contains("average_pool_forward") && !text.contains("conv"), "{text}");
    place.refused("bench kernels --filter warp", 2, &["--filter warp", "conv_forward", "gemm"]);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let place = Place::new();
    place.refused("bench net lenett", 2, &["lenett", "lenet"]);
    place.refused("bench net lenet --input 3x2x2", 2, &["lenet"]);
    for (words, part) in [
        ("bench", "net"),
        ("bench net", "NET"),
        ("bench net lenet --precision f16", "f16"),
        ("bench net lenet --only sleep", "sleep"),
        ("bench net lenet --batch 0", "from 1 on"),
        ("bench net lenet --seconds 0", "above 0"),
        ("bench peak --threads 0", "1024"),
    ] {
        let done = place.run(words);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{words}\n{}", done.stderr);
        assert!(done.stderr.contains(part), "{words}: no '{part}' in\n{}", done.stderr);
    }
}

#[test]
fn loading_is_measured_into_the_json_that_is_promised() {
    let place = Place::new();
    let data = place.json("bench data digits --augment light --batch 32 --threads 2 --seconds 0.001 --json");
    let expected = serde_json::json!({
        "schema": 1, "data": "digits", "images": 1797, "input": [1, 8, 8], "augment": "light", "batch": 32,
    });
    for key in keys(&expected) {
        assert_eq!(data[key], expected[key], "{key}");
    }
    for figures in [&data["read"], &data["prepare"], &data["load"][0], &data["load"][1]] {
        assert!(figures["images_per_second"].as_f64() > Some(0.0), "{data}");
    }
    assert_eq!((&data["load"][0]["threads"], &data["load"][1]["threads"]), (&1.into(), &2.into()));
    let text = place.ok("bench data digits --augment strong --size 16 --threads 1 --seconds 0.001").stdout;
    assert!(text.contains("1×16×16, augmentation strong") && text.contains("prepare"), "{text}");
    let refused = place.run("bench data digits --crop-area 0.9,0.1");
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("0.08,1"), "{}", refused.stderr);
}
