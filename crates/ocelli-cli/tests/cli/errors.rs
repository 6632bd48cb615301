//! Bad input of every kind: what is said, and the exit code.

use crate::support::{Place, run, text, write_columns};

#[test]
fn wrong_words_get_a_suggestion() {
    let place = Place::new();
    place.refused("trian digits", 2, &["'train'"]);
    place.refused("train digits --epoch 3", 2, &["'--epochs'"]);
    place.refused("train digits --net lenett", 2, &["'lenet'", "perceptron, mlp"]);
    place.refused("plan lenett", 2, &["'lenet'"]);
    place.refused("plan nets/mine", 2, &["nets/mine"]);
    place.refused("train digits --optimizer adamm", 2, &["'adam'"]);
    place.refused("train digits --schedule step", 2, &["step:10"]);
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    let place = Place::new();
    let cases = [
        ("--epochs 0", "from 1"),
        ("--epochs -1", "from 1"),
        ("--seed -1", "from 0"),
        ("--checkpoint-every -1", "from 0"),
        ("--schedule cosine:3", "END is the last rate"),
        ("--net mlp --widths 1000000000", "--widths"),
        ("--label-smoothing 1", "such as 0.1"),
        ("--batch 0", "from 1"),
        ("--threads 0", "one per core"),
        ("--lr nan", "above 0"),
        ("--lr 0", "above 0"),
        ("--lr -0.1", "above 0"),
        ("--momentum 1", "below 1"),
        ("--label-smoothing 2", "below 1"),
        ("--checkpoint-every -3", "from 0"),
        ("--net mlp --widths 30,0", "from 1"),
        ("--precision f16", "f32"),
    ];
    for (option, part) in cases {
        place.refused(&format!("train digits {option}"), 2, &[part]);
    }
    place.refused("plan lenet --input 28x28", 2, &["1x28x28"]);
    assert!(!place.path("runs").exists());
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let place = Place::new();
    place.refused("train digits --optimizer adam --momentum 0.5", 2, &["--momentum", "sgd"]);
    place.refused("train digits --net lenet --widths 20", 2, &["--widths", "lenet"]);
    place.refused("train digits --net any.toml --widths 20", 2, &["--widths", "network file"]);
    place.refused("train digits --json --json-lines", 2, &["--json-lines"]);
    place.refused("train digits -q -v", 2, &["--verbose"]);
    place.refused("plan lenet --json --toml", 2, &["--toml"]);
}

#[test]
fn data_that_are_none_are_refused() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).expect("a folder");
    place.write("text.txt", "no data set");
    place.refused("train nowhere", 2, &["nowhere", "digits"]);
    place.write("other/notes.txt", "no data set");
    place.refused("train empty", 3, &["the folder is empty", "IDX"]);
    place.refused("train other", 3, &["no known data", "notes.txt"]);
    place.refused("train text.txt", 3, &["text.txt"]);
    place.refused("train digits --val nowhere", 2, &["nowhere"]);
    place.refused("train digits --val digits", 2, &["leave --val out"]);
    assert!(!place.path("runs").exists(), "what was refused leaves no run");
}

#[test]
fn classes_without_images_to_learn_or_to_measure_are_refused_or_told() {
    use crate::support::{columns, idx};
    let place = Place::new();
    write_columns(&place, "single", &[0, 1, 2]);
    place.refused("train single", 3, &["images to validate on", "--val"]);
    write_columns(&place, "unseen", &[0, 1, 0, 1]);
    place.write("unseen/t10k-images-idx3-ubyte", idx(&[1, 8, 8], &columns(&[2])));
    place.write("unseen/t10k-labels-idx1-ubyte", idx(&[1], &[2]));
    place.refused("train unseen", 3, &["class \"2\""]);
    write_columns(&place, "gaps", &[0, 9, 0, 9, 0, 9]);
    let said = place.ok("train gaps --net perceptron --epochs 1").stderr;
    assert!(said.contains("8 of 10 classes have no image, such as \"1\""), "{said}");
    assert!(said.contains("1 of each class held out"), "{said}");
}

#[test]
fn losses_on_penalties_need_outputs_that_are_penalties() {
    let place = Place::new();
    for loss in ["penalty", "map"] {
        place.refused(&format!("train digits --loss {loss}"), 2, &["rbf", "lenet5"]);
    }
    let layers = r#"[{ op = "flatten" }, { name = "out", op = "rbf", classes = "classes" }]"#;
    place.write(
        "mine.toml",
        format!("ocelli-network = 1\nname = \"mine\"\ninput = [1, 8, 8]\nlayers = {layers}\n"),
    );
    place.refused("train digits --net mine.toml --dry-run", 2, &["cross-entropy", "'out'", "--loss map"]);
    place.ok("train digits --net mine.toml --loss map --dry-run");
}

#[test]
fn a_size_that_the_network_does_not_take_is_refused() {
    let place = Place::new();
    let layers = r#"[{ op = "flatten" }, { op = "linear", features = "classes" }]"#;
    place.write(
        "mine.toml",
        format!("ocelli-network = 1\nname = \"mine\"\ninput = [1, 8, 8]\nlayers = {layers}\n"),
    );
    place.refused("train digits --net mine.toml --size 16 --dry-run", 2, &["--size 16x16", "8x8"]);
    place.ok("train digits --net mine.toml --size 8 --dry-run");
    place.refused("train digits --net lenet5 --size 16 --dry-run", 2, &["--size 16x16", "32x32"]);
    place.ok("train digits --net lenet5 --size 32 --dry-run");
    place.ok("train digits --net lenet --size 28 --dry-run");
}

#[test]
fn networks_too_large_for_the_images_name_those_that_fit() {
    let place = Place::new();
    place.refused("train digits --net lenet", 2, &["5×5", "--net digits"]);
    place.refused("plan lenet --input 1x8x8", 2, &["--net digits"]);
}

/// Names of files that are no text: runs may have them, data and networks may not.
#[cfg(unix)]
#[test]
fn names_that_are_no_text_are_no_bug() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let odd = OsStr::from_bytes(b"r\xff");
    let train = "train digits --net perceptron --epochs 1 -q";
    let done = run(place.command(train).arg("--out").arg(odd));
    assert_eq!(done.code, 0, "{}", done.stderr);
    for words in ["train", "train digits --net"] {
        let done = run(place.command(words).arg(odd));
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stderr.contains(r"$'r\xff'"), "{}", done.stderr);
    }
    // A run notes these paths.
    for words in ["train digits --epochs 1 --out a --from", "train digits --epochs 1 --out b --root"] {
        let done = run(place.command(words).arg(odd));
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stderr.contains("is not UTF-8 text"), "{}", done.stderr);
    }
}

#[test]
fn data_that_are_damaged_or_teach_nothing_are_refused() {
    use crate::support::{columns, idx};
    let place = Place::new();
    write_columns(&place, "one-class", &[4; 20]);
    place.refused("train one-class", 3, &["one class", "\"4\""]);
    let labels: Vec<u8> = (0..20).map(|i| i % 2).collect();
    for name in ["short", "odd", "typed"] {
        write_columns(&place, name, &labels);
    }
    place.write("short/train-images-idx3-ubyte", &idx(&[20, 8, 8], &columns(&labels))[..1000]);
    place.refused("train short", 3, &["train-images-idx3-ubyte"]);
    place.write("odd/train-labels-idx1-ubyte", idx(&[19], &labels[..19]));
    place.refused("train odd", 3, &["19", "20"]);
    // Labels of type I16, one of them negative.
    let mut negative = vec![0, 0, 0x0B, 1, 0, 0, 0, 20];
    negative.extend((0..20i16).flat_map(|i| (i - 1).to_be_bytes()));
    place.write("typed/train-labels-idx1-ubyte", negative);
    place.refused("train typed", 3, &["label -1", "image 0"]);
    assert!(!place.path("runs").exists(), "what was refused leaves no run");
}

#[test]
fn files_that_are_no_models_are_refused() {
    let place = Place::new();
    place.ok("train digits --net perceptron --epochs 1 --out run -q");
    let whole = std::fs::read(place.path("run/model.safetensors")).expect("a model");
    place.write("half.safetensors", &whole[..whole.len() / 2]);
    let mut flipped = whole.clone();
    *flipped.last_mut().expect("bytes") ^= 1;
    place.write("flipped.safetensors", flipped);
    place.write("text.safetensors", "this is no model");
    place.write("empty.safetensors", "");
    for name in ["half", "flipped", "text", "empty"] {
        let file = format!("{name}.safetensors");
        for command in
            [format!("eval {file} digits"), format!("predict {file} a.png"), format!("plan {file}")]
        {
            place.refused(&command, 3, &[&file]);
        }
    }
    place.refused("eval nowhere digits", 2, &["nowhere"]);
    std::fs::create_dir(place.path("folder")).expect("a folder");
    place.refused("eval folder digits", 2, &["no run folder"]);
}

#[test]
fn folders_that_cannot_be_made_are_refused() {
    let place = Place::new();
    place.write("file", "in the way");
    place.refused("train digits --epochs 1 --out file", 4, &["file", "--out"]);
    place.refused("train digits --epochs 1 --out file/run", 4, &["--out"]);
    place.write("runs", "in the way");
    place.refused("train digits --epochs 1", 4, &["runs", "--out"]);
    place.refused("man file", 4, &["file"]);
    assert_eq!(text(&place.path("file")), "in the way");
}

#[test]
fn resuming_needs_a_run_and_takes_no_other_recipe() {
    let place = Place::new();
    std::fs::create_dir(place.path("folder")).expect("a folder");
    place.refused("train --resume folder", 2, &["no run folder"]);
    place.refused("train --resume nowhere", 2, &["nowhere"]);
    place.refused(
        "train digits --resume folder --lr 0.5 --seed 2",
        2,
        &["DATA", "--lr", "--seed", "leave them out"],
    );
    place.refused("train", 2, &["<DATA>"]);
}

#[test]
fn training_that_diverges_names_the_layer() {
    let place = Place::new();
    place.refused(
        "train digits --net mlp --lr 1e9 --schedule constant",
        5,
        &["diverged", "layer 'fc", "--lr"],
    );
}

#[test]
fn network_files_that_do_not_fit_name_the_layer_and_both_shapes() {
    let place = Place::new();
    let file = |layers: &str| {
        format!("ocelli-network = 1\nname = \"mine\"\ninput = [1, 8, 8]\nlayers = [\n{layers}\n]\n")
    };
    place.write("large.toml", file("{ name = \"wide\", op = \"conv2d\", channels = 4, kernel = 9 },"));
    place.refused("train digits --net large.toml", 2, &["large.toml:5", "'wide'", "1×8×8", "9×9"]);
    place.refused("plan large.toml", 2, &["'wide'"]);
    let cycle =
        "{ name = \"a\", op = \"relu\", from = [\"b\"] },\n{ name = \"b\", op = \"relu\", from = [\"a\"] },";
    place.write("cycle.toml", file(cycle));
    place.refused("plan cycle.toml", 2, &["cycle", "a", "b"]);
    place.write("typo.toml", file("{ op = \"liner\", features = \"classes\" },"));
    place.refused("plan typo.toml", 2, &["typo.toml:5", "linear"]);
    place.write("outputs.toml", file("{ op = \"flatten\" }, { op = \"linear\", features = 7 },"));
    place.refused("train digits --net outputs.toml", 2, &["7", "10"]);
    place.refused("plan nowhere.toml", 2, &["nowhere.toml", "check the name"]);
    assert!(!place.path("runs").exists(), "what was refused leaves no run");
}

#[test]
fn unknown_instruction_sets_and_those_of_other_cpus_are_refused_with_those_there_are() {
    let place = Place::new();
    let foreign = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
    for (name, reason) in [("sse9", "no instruction set has this name"), (foreign, "this CPU cannot run it")]
    {
        let done = run(place.command("train digits --epochs 1").env("OCELLI_ISA", name));
        assert_eq!(done.code, 2, "{}", done.stderr);
        for part in [name, reason, "portable"] {
            assert!(done.stderr.contains(part), "{}", done.stderr);
        }
    }
}
