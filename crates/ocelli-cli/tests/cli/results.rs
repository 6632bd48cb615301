//! What commands print and write.

use ocelli_kernels::{Element, Isa, Precision};
use serde_json::Value;

use crate::support::{Place, keys, text};

#[test]
fn train_prints_its_result_as_the_json_that_is_promised() {
    let place = Place::new();
    let result = place.json("train digits --net perceptron --epochs 2 --seed 3 --json");
    let promised = [
        "schema",
        "run",
        "model",
        "net",
        "parameters",
        "epochs",
        "seed",
        "train",
        "val",
        "seconds",
        "images_per_second",
        "peak_memory_bytes",
        "weights_sha256",
    ];
    for key in promised {
        assert!(keys(&result).contains(&key), "no {key} in {result}");
    }
    assert_eq!((&result["schema"], &result["epochs"], &result["seed"]), (&1.into(), &2.into(), &3.into()));
    assert_eq!((&result["net"], &result["parameters"]), (&"perceptron".into(), &650.into()));
    for key in ["loss", "top1"] {
        assert!(result["train"][key].is_f64() && result["val"][key].is_f64(), "{result}");
    }
    let top1 = result["val"]["top1"].as_f64().expect("a number");
    assert!((0.5..=1.0).contains(&top1) && result["val"]["top5"].as_f64() >= Some(top1), "{result}");
    assert_eq!(result["weights_sha256"].as_str().map(str::len), Some(64));
    for file in ["config.toml", "metrics.jsonl", "model.safetensors", "report.html", "last.ckpt"] {
        assert!(place.path("runs/digits-1").join(file).is_file(), "{file}");
    }
    assert_eq!(text(&place.path("runs/digits-1/metrics.jsonl")).lines().count(), 2);
}

#[test]
fn events_come_one_a_line_and_the_last_is_the_result() {
    let place = Place::new();
    let done = place.ok("train digits --net perceptron --epochs 2 --json-lines -q");
    let events: Vec<Value> =
        done.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!(events[0]["event"], "start");
    assert_eq!((of("epoch"), of("checkpoint")), (2, 2), "{}", done.stdout);
    let end = events.last().expect("events");
    assert_eq!(
        (&end["event"], &end["schema"], &end["net"]),
        (&"end".into(), &1.into(), &"perceptron".into())
    );
    assert_eq!(done.stderr, "");
}

#[test]
fn a_run_is_never_overwritten() {
    let place = Place::new();
    let train = "train digits --net perceptron --epochs 1 -q";
    place.ok(train);
    place.ok(train);
    place.ok(&format!("{train} --out mine"));
    assert!(place.path("runs/digits-2/model.safetensors").is_file());
    let before = std::fs::read(place.path("mine/model.safetensors")).expect("a model");
    place.refused(&format!("{train} --out mine"), 2, &["mine", "not empty", "--resume mine"]);
    assert_eq!(std::fs::read(place.path("mine/model.safetensors")).expect("a model"), before);
}

#[test]
fn what_is_given_wins_over_the_recipe() {
    let place = Place::new();
    let given =
        "--batch 50 --lr 0.125 --schedule step:3:0.5 --optimizer adam --weight-decay 0.25 --loss hinge";
    let planned = place.json(&format!("train digits --epochs 7 --augment distort {given} --dry-run --json"));
    let recipe = &planned["config"]["recipe"];
    assert_eq!(
        (&recipe["epochs"], &recipe["batch"], &recipe["rate"]),
        (&7.into(), &50.into(), &0.125.into())
    );
    assert_eq!(
        recipe["schedule"]["curve"],
        serde_json::json!({ "kind": "step", "every": 3.0, "factor": 0.5 })
    );
    assert_eq!(
        (&recipe["optimizer"]["kind"], &recipe["optimizer"]["weight_decay"]),
        (&"adam".into(), &0.25.into())
    );
    assert_eq!((&recipe["loss"]["kind"], &recipe["augmentation"]), (&"hinge".into(), &"distort".into()));
    assert!(!place.path("runs").exists(), "a dry run writes nothing");
}

#[test]
fn a_dry_run_shows_configuration_layers_and_memory() {
    let place = Place::new();
    let done = place.ok("train digits --net mlp --widths 20,12 --dry-run");
    for part in ["359 to validate on", "rate = 0.05", "relu2", "activations", "total"] {
        assert!(done.stdout.contains(part), "no '{part}' in\n{}", done.stdout);
    }
    assert!(std::fs::read_dir(place.path(".")).expect("the folder").next().is_none());
}

#[test]
fn the_first_batch_is_shown_and_nothing_is_trained() {
    let place = Place::new();
    let shown =
        place.json("train digits --augment elastic --mixup 0.2 --batch 9 --show-batch batch.png --json");
    assert_eq!((&shown["schema"], &shown["augmentation"]), (&1.into(), &"elastic".into()));
    let images = shown["images"].as_array().expect("images");
    assert_eq!(images.len(), 9);
    assert!(images.iter().all(|i| i["index"].is_u64() && i["class"].is_string() && i["name"].is_string()));
    assert!(images.iter().any(|i| i["mixed"]["share"].is_f64()), "{shown}");
    let png = std::fs::read(place.path("batch.png")).expect("a picture");
    assert!(png.starts_with(b"\x89PNG") && !place.path("runs").exists());
    place.ok("train digits --augment elastic --mixup 0.2 --batch 9 --show-batch again.png");
    assert!(std::fs::read(place.path("again.png")).expect("a picture") == png, "the same every time");
    place.refused("train digits --show-batch batch.jpg", 2, &["batch.jpg", ".png"]);
    place.refused("train digits --show-batch no/where.png", 4, &["where.png"]);
}

#[test]
fn variations_are_part_of_the_recipe() {
    let place = Place::new();
    let dry = place.json("train digits --augment auto --cutmix 1 --erase 0.25 --dry-run --json");
    let recipe = &dry["config"]["recipe"];
    // Small images in grey.
    assert_eq!(recipe["augmentation"], "light");
    assert_eq!((&recipe["overrides"]["cutmix"], &recipe["overrides"]["erase"]), (&1.0.into(), &0.25.into()));
    assert!(recipe["overrides"].get("mixup").is_none(), "{recipe}");
    let plain = place.json("train digits --dry-run --json");
    assert!(plain["config"]["recipe"].get("overrides").is_none());
    let cropped = place.json("train digits --crop-area 0.5,1 --dry-run --json");
    assert_eq!(cropped["config"]["preprocess"]["fit"]["crop"]["share"], 0.875);
    place.refused("train digits --loss hinge --mixup 0.2", 2, &["hinge", "--mixup 0"]);
    place.refused("train digits --erase 2", 2, &["from 0 to 1"]);
    let help = place.ok("train --help").stdout;
    assert!(help.contains("crop-flip") && help.contains("--crop-area"), "{help}");
}

#[test]
fn mixed_images_train_to_the_same_bits_for_any_number_of_threads_and_when_resumed() {
    let place = Place::new();
    let words = "train digits --epochs 2 --augment light --mixup 0.3 --cutmix 1 --erase 0.2 --json";
    let whole = place.json(&format!("{words} --threads 1"));
    let again = place.json(&format!("{words} --threads 2"));
    assert_eq!(whole["weights_sha256"], again["weights_sha256"]);
    let one = place.json(&format!("{} --out part", words.replace("--epochs 2", "--epochs 1")));
    assert_ne!(one["weights_sha256"], whole["weights_sha256"]);
    let plain = place.json("train digits --epochs 2 --augment light --erase 0.2 --json");
    assert_ne!(plain["weights_sha256"], whole["weights_sha256"]);
    place.refused("train --resume part --epochs 2 --mixup 0.1", 2, &["--mixup"]);
}

#[test]
fn threads_change_no_bit() {
    let place = Place::new();
    let weights = |threads: u32| {
        let result = place.json(&format!("train digits --epochs 1 --threads {threads} --json -q"));
        result["weights_sha256"].as_str().expect("a digest").to_string()
    };
    let one = weights(1);
    assert_eq!([weights(2), weights(8)], [one.clone(), one]);
}

#[test]
fn the_precision_belongs_to_the_run() {
    let place = Place::new();
    let trained = |words: &str| place.json(&format!("train digits --epochs 1 --json -q {words}"));
    let [exact, rounding] = ["--out exact", "--out rounding --precision bf16"].map(trained);
    let config = |run: &str| text(&place.path(run).join("config.toml"));
    assert!(
        config("exact").contains("precision = \"f32\"")
            && config("rounding").contains("precision = \"bf16\"")
    );
    let rounds = f32::kernels_of(Isa::detect(), Precision::Bf16).precision == Precision::Bf16;
    assert_eq!(exact["weights_sha256"] != rounding["weights_sha256"], rounds);
    assert_eq!(
        trained("--out again --precision bf16 --threads 3")["weights_sha256"],
        rounding["weights_sha256"]
    );
    place.refused("train --resume rounding --precision f32", 2, &["--precision", "leave it out"]);
    place.ok("train --resume rounding --epochs 2 -q");
    assert!(config("rounding").contains("precision = \"bf16\""));
}

#[test]
fn seeds_change_the_weights_and_instruction_sets_only_their_rounding() {
    let place = Place::new();
    let train = "train digits --net perceptron --epochs 1 --json -q";
    let first = place.json(train);
    let other = place.json(&format!("{train} --seed 1"));
    assert_ne!(first["weights_sha256"], other["weights_sha256"]);
    let mut portable = place.command(train);
    let done = crate::support::run(portable.env("OCELLI_ISA", "portable"));
    let portable: Value = serde_json::from_str(&done.stdout).expect("JSON");
    let loss = |result: &Value| result["train"]["loss"].as_f64().expect("a number");
    assert!((loss(&portable) - loss(&first)).abs() < 1e-3, "{portable} {first}");
}

#[test]
fn completions_and_manual_pages_know_every_verb() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.ok(&format!("completions {shell}")).stdout;
        assert!(script.contains("train") && script.contains("checkpoint-every"), "{shell}");
    }
    assert!(place.ok("man").stdout.starts_with(".TH ocelli 1 "));
    place.ok("man pages");
    for verb in [
        "train",
        "eval",
        "predict",
        "plan",
        "check",
        "explain",
        "explain-trace",
        "bench",
        "bench-net",
        "completions",
        "man",
    ] {
        assert!(place.path("pages").join(format!("ocelli-{verb}.1")).is_file(), "{verb}");
    }
}

#[test]
fn runs_are_held_against_each_other() {
    let place = Place::new();
    place.ok("train digits --net perceptron --epochs 2 --out a -q");
    place.ok("train digits --net mlp --widths 16 --epochs 3 --out b -q");
    let done = place.ok("compare a b --plot curves.svg --over epochs --reach 20");
    for told in ["perceptron", "mlp", "to 20.00 %", "best top-1", "images/s"] {
        assert!(done.stdout.contains(told), "no '{told}' in\n{}", done.stdout);
    }
    assert_eq!(done.stdout.lines().count(), 3);
    assert!(!done.stderr.contains("warning"), "{}", done.stderr);
    let drawn = text(&place.path("curves.svg"));
    assert!(drawn.contains("<svg") && drawn.contains("perceptron") && drawn.contains("epochs"));
    let told = place.json("compare a b --json");
    assert_eq!((&told["schema"], told["runs"][1]["epochs"].as_array().unwrap().len()), (&1.into(), 3));
    assert_eq!((&told["runs"][0]["net"], &told["reached"]), (&"perceptron".into(), &Value::Null));
    let told = place.json("compare a b --json --reach 0.01");
    assert_eq!(told["reached"][1], told["runs"][1]["epochs"][0]["seconds"]);
    assert_eq!(place.json("compare a b --json --reach 100")["reached"][0], Value::Null);
    place.ok("train digits --net perceptron --epochs 1 --seed 5 --out c -q");
    assert!(
        place.ok("compare a c").stderr.contains("not all of these runs were validated on the same images")
    );
    place.refused("compare a --plot curves.png", 2, &["--plot curves.png", ".svg"]);
    place.refused("compare none", 2, &["none is no run folder"]);
    place.refused("compare a --reach 0", 2, &["--reach", "such as 90"]);
    place.refused("compare", 2, &["<RUN>"]);
}
