//! What finished models are used for: `eval`, `predict`, and resuming with more epochs.

use serde_json::Value;

use crate::support::{Place, columns, idx, keys, run, write_columns};

/// A picture of class k as `write_columns` has them, in PGM.
fn picture(label: u8) -> Vec<u8> {
    [b"P5 8 8 255\n".to_vec(), columns(&[label])].concat()
}

/// A place with a model that tells lit columns apart.
fn trained() -> Place {
    let place = Place::new();
    let labels: Vec<u8> = (0..80).map(|i| i % 4).collect();
    write_columns(&place, "columns", &labels);
    place.ok("train columns --net perceptron --epochs 20 --batch 8 --lr 0.1 --out run -q");
    place
}

#[test]
fn eval_measures_what_was_held_out_unless_told_otherwise() {
    let place = Place::new();
    place.ok("train digits --net perceptron --epochs 1 --seed 5 --out run -q");
    let held_out = place.json("eval run digits --json");
    for key in ["schema", "images", "loss", "top1", "top5", "per_class", "seconds", "images_per_second"] {
        assert!(keys(&held_out).contains(&key), "no {key} in {held_out}");
    }
    for key in ["class", "images", "top1"] {
        assert!(keys(&held_out["per_class"][0]).contains(&key), "{held_out}");
    }
    let images = |result: &Value| result["images"].as_u64();
    assert_eq!(
        (images(&held_out), images(&place.json("eval run digits --json --all"))),
        (Some(359), Some(1797))
    );
    assert_eq!(held_out, {
        let mut again = place.json("eval run/model.safetensors digits --json --threads 1");
        (again["seconds"], again["images_per_second"]) =
            (held_out["seconds"].clone(), held_out["images_per_second"].clone());
        again
    });
}

#[test]
fn eval_agrees_with_the_validation_of_training() {
    let place = Place::new();
    let result = place.json("train digits --net perceptron --epochs 2 --out run --json");
    let measured = place.json("eval run digits --json");
    assert_eq!((&measured["loss"], &measured["top1"]), (&result["val"]["loss"], &result["val"]["top1"]));
}

#[test]
fn eval_takes_a_test_split_and_matches_classes_by_name() {
    let place = trained();
    // Only classes 1 and 3: labels 1 and 3 must stay what they are.
    write_columns(&place, "other", &[1, 3, 3, 1, 3]);
    let measured = place.json("eval run other --json");
    assert_eq!((&measured["images"], &measured["top1"]), (&5.into(), &1.0.into()), "{measured}");
    let labels = [2u8, 0];
    place.write("columns/t10k-images-idx3-ubyte", idx(&[2, 8, 8], &columns(&labels)));
    place.write("columns/t10k-labels-idx1-ubyte", idx(&[2], &labels));
    assert_eq!(place.json("eval run columns --json")["images"], 2);
    assert_eq!(place.json("eval run columns --json --all")["images"], 82);
    write_columns(&place, "strange", &[0, 9]);
    place.refused("eval run strange", 3, &["\"9\"", "same class names"]);
}

#[test]
fn eval_prints_classes_and_confusions() {
    let place = trained();
    let done = place.ok("eval run columns");
    for part in ["top-1   100.00 %", "ECE  ", "class  images", "rows: the true class"] {
        assert!(done.stdout.contains(part), "no '{part}' in\n{}", done.stdout);
    }
    assert!(done.stderr.contains("held out"), "{}", done.stderr);
}

#[test]
fn predict_names_classes_and_goes_on_after_a_bad_picture() {
    let place = trained();
    place.write("two.pgm", picture(2));
    place.write("three.pgm", picture(3));
    place.write("bad.pgm", "P5 8 8 255\nshort");
    let done = place.run("predict run two.pgm bad.pgm three.pgm nowhere.png --top 2");
    assert_eq!(done.code, 3, "{}", done.stderr);
    let firsts: Vec<Vec<&str>> =
        done.stdout.lines().step_by(2).map(|line| line.split('\t').collect()).collect();
    assert_eq!([&firsts[0][..2], &firsts[1][..2]], [["two.pgm", "2"], ["three.pgm", "3"]], "{}", done.stdout);
    assert_eq!(done.stdout.lines().count(), 4);
    for part in ["bad.pgm", "nowhere.png", "2 of 4 pictures"] {
        assert!(done.stderr.contains(part), "no '{part}' in\n{}", done.stderr);
    }
}

#[test]
fn one_mistake_has_one_exit_code() {
    let place = trained();
    place.write("bad.pgm", "hello");
    place.refused("predict run nowhere.png", 2, &["check the name"]);
    place.refused("predict run nowhere.png neither.png", 2, &["2 of 2 pictures"]);
    place.refused("predict run bad.pgm", 3, &["no picture"]);
}

#[test]
fn dark_digits_on_white_paper_are_told_and_can_be_inverted() {
    let place = trained();
    let mut paper = b"P5 8 8 255\n".to_vec();
    paper.extend((0..64).map(|i| if i % 8 == 2 { 0 } else { 255 }));
    place.write("a\tb.pgm", &paper);
    let file = |words: &str| run(place.command(words).arg("a\tb.pgm"));
    let said = file("predict run --top 1").stderr;
    assert!(said.contains("--invert"), "{said}");
    let done = file("predict run --top 1 --invert");
    assert_eq!(done.stderr, "");
    assert!(done.stdout.starts_with("a\\tb.pgm\t2\t"), "{}", done.stdout);
}

#[test]
fn predict_prints_json_with_probabilities_that_add_up() {
    let place = trained();
    place.write("one.pgm", picture(1));
    let answer = place.json("predict run one.pgm --json");
    assert_eq!(answer["predictions"][0]["classes"][0]["class"], "1");
    let probabilities = answer["predictions"][0]["classes"].as_array().expect("classes");
    let sum: f64 = probabilities.iter().map(|guess| guess["probability"].as_f64().expect("a number")).sum();
    assert!(probabilities.len() == 4 && (sum - 1.0).abs() < 1e-5, "{answer}");
    assert_eq!(answer["unreadable"], serde_json::json!([]));
}

#[test]
fn a_finished_run_goes_on_with_more_epochs_and_refuses_fewer() {
    let place = trained();
    let more = place.json("train --resume run --epochs 22 --json");
    assert_eq!(more["epochs"], 22);
    place.refused("train --resume run --epochs 21", 2, &["22", "--epochs"]);
    let again = place.json("train --resume run --json");
    assert_eq!(again["weights_sha256"], more["weights_sha256"]);
}

#[test]
fn several_models_answer_together_in_several_views() {
    let place = trained();
    place.ok("train columns --net mlp --epochs 20 --batch 8 --seed 0 --out other -q");
    place.write("two.pgm", picture(2));
    let alone = place.json("eval run columns --json");
    let both = place.json("eval run other/model.safetensors columns --views flip --json");
    assert_eq!(both["images"], alone["images"]);
    assert!(
        both["calibration_error"].as_f64().is_some()
            && both["calibration"].as_array().is_some_and(|b| b.len() == 15)
    );
    let done = place.ok("predict run other/model.safetensors two.pgm --top 1");
    assert!(done.stdout.starts_with("two.pgm\t2\t"), "{}", done.stdout);
    let labels: Vec<u8> = (0..80).map(|i| i % 3).collect();
    write_columns(&place, "three", &labels);
    place.ok("train three --net perceptron --epochs 1 --out three-run -q");
    place.refused("eval run three-run columns", 2, &["model 1 has '3', and model 2 has not"]);
    place.refused("eval run", 2, &["MODEL... DATA"]);
    place.refused("predict run", 2, &["nothing to look at"]);
    place.refused("eval run columns --views ten", 2, &["ten-crop"]);
}

#[test]
fn folders_are_searched_and_lists_followed() {
    let place = trained();
    for (name, label) in
        [("album/b/2.pgm", 2), ("album/1.PGM", 1), ("album/b/c/3.pgm", 3), ("album/.no.pgm", 0)]
    {
        place.write(name, picture(label));
    }
    place.write("album/notes.txt", "no picture");
    let done = place.ok("predict run album --top 1");
    let found: Vec<Vec<&str>> = done.stdout.lines().map(|line| line.split('\t').take(2).collect()).collect();
    assert_eq!(found, [["album/1.PGM", "1"], ["album/b/2.pgm", "2"], ["album/b/c/3.pgm", "3"]]);
    assert!(done.stderr.contains("3 pictures in album; 1 file called like no picture"), "{}", done.stderr);
    place.write("list.txt", "album/b/2.pgm 7\nalbum/1.PGM\n");
    let done = place.ok("predict run list.txt --top 1 -q");
    place.write("list.csv", "label,path\n7,album/b/2.pgm\n,album/1.PGM\n");
    assert_eq!(place.ok("predict run list.csv --top 1 -q").stdout, done.stdout);
    assert!(
        done.stdout.starts_with("album/b/2.pgm\t2\t") && done.stdout.contains("\nalbum/1.PGM\t1\t"),
        "{}",
        done.stdout
    );
    std::fs::create_dir(place.path("empty")).expect("a folder");
    place.refused("predict run empty", 3, &["there is no picture in it"]);
    place.write("empty.txt", "\n");
    place.refused("predict run empty.txt", 3, &["the list is empty"]);
}

#[test]
fn an_evaluation_has_a_page() {
    let place = trained();
    place.ok("eval run columns --report page.html");
    let page = crate::support::text(&place.path("page.html"));
    for part in [
        "<h1>run</h1>",
        "Ocelli evaluation",
        "held out from training",
        "id=\"calibration\"",
        "id=\"samples\"",
    ] {
        assert!(page.contains(part), "no '{part}'");
    }
    place.refused("eval run columns --report nowhere/page.html", 4, &["nowhere"]);
}
