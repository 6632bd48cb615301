//! Pictures in folders, lists and archives: what is trained on, what is told, what is refused.

use crate::support::{Place, keys};

/// A picture of 8×8 in which column `k` is lit, with noise that tells it from others.
fn column(k: usize, noise: usize) -> Vec<u8> {
    let pixel = |i: usize| if i % 8 == k { 255 } else { ((i + 1) * (noise + 3) % 251) as u8 };
    [b"P5 8 8 255\n".to_vec(), (0..64).map(pixel).collect()].concat()
}

/// Forty pictures of two classes below `folder`.
fn write_pictures(place: &Place, folder: &str) {
    for i in 0..40 {
        let class = ["left", "right"][i % 2];
        place.write(&format!("{folder}/{class}/{i:02}.pgm"), column(i % 2 * 7, i));
    }
}

const TRAIN: &str = "--net perceptron --epochs 2 --batch 8";

#[test]
fn a_folder_of_pictures_is_trained_on_measured_and_told_of() {
    let place = Place::new();
    write_pictures(&place, "pictures");
    place.write("pictures/notes.txt", "taken in May");
    let done = place.ok(&format!("train pictures {TRAIN} --out run"));
    for said in [
        "pictures: 40 grey images of 8×8, 2 classes",
        "36 to train on, 4 to validate on (2 of each class held out, seed 0)",
        "1 entry is no picture in a class folder and not read: notes.txt",
        "cache   40 pictures decoded, ",
    ] {
        assert!(done.stderr.contains(said), "no '{said}' in\n{}", done.stderr);
    }
    let evaluation = place.json("eval run pictures --json");
    assert_eq!(evaluation["images"], 4);
    let predicted = place.ok("predict run pictures/right/01.pgm").stdout;
    assert!(predicted.contains("right"), "{predicted}");
}

#[test]
fn memory_for_decoded_pictures_changes_no_bit() {
    let place = Place::new();
    write_pictures(&place, "pictures");
    let weights = |more: &str| {
        place.json(&format!("train pictures {TRAIN} {more} --json -q"))["weights_sha256"].clone()
    };
    let all = weights("");
    assert_eq!(
        [weights("--cache off"), weights("--cache 1KiB"), weights("--threads 1")],
        [all.clone(), all.clone(), all]
    );
}

#[test]
fn a_run_goes_on_with_the_list_and_root_that_it_was_begun_with() {
    let place = Place::new();
    write_pictures(&place, "pictures");
    let lines: Vec<String> =
        (0..40).map(|i| format!("{}/{i:02}.pgm {}", ["left", "right"][i % 2], i % 2)).collect();
    place.write("lists/all.txt", lines.join("\n"));
    place.refused(
        &format!("train lists/all.txt {TRAIN}"),
        3,
        &["all.txt: expected paths of files that exist", "--root"],
    );
    place.refused("train lists/all.txt --root nowhere", 2, &["--root nowhere: no such folder or archive"]);
    let two = place.json(&format!("train lists/all.txt --root pictures {TRAIN} --out a --json -q"));
    place.ok(&format!("train lists/all.txt --root pictures {TRAIN} --epochs 1 --out b -q")
        .replace("--epochs 2 ", ""));
    place.refused("train --resume b --root pictures", 2, &["--root cannot be given"]);
    let resumed = place.json("train --resume b --epochs 2 --json -q");
    assert_eq!(resumed["weights_sha256"], two["weights_sha256"]);
}

#[test]
fn unreadable_pictures_are_left_out_up_to_a_share() {
    let place = Place::new();
    write_pictures(&place, "pictures");
    for name in ["left/00", "left/02", "right/01", "right/03"] {
        place.write(&format!("pictures/{name}.pgm"), "no picture");
    }
    let expected =
        ["at most 5 % of pictures that cannot be read, found 4 of 40", "left/00.pgm: ", "--most-unreadable"];
    place.refused(&format!("train pictures {TRAIN}"), 3, &expected);
    let done = place.ok(&format!("train pictures {TRAIN} --most-unreadable 0.1"));
    let warned =
        "warning: 4 pictures to train on cannot be read and are left out, such as pictures/left/00.pgm: ";
    assert!(done.stderr.contains(warned), "{}", done.stderr);
    let shown = place.ok("data pictures").stdout;
    assert!(shown.contains("4 pictures cannot be read:\n  pictures/left/00.pgm: "), "{shown}");
}

#[test]
fn data_checks_every_picture_if_asked_to() {
    let place = Place::new();
    write_pictures(&place, "pictures");
    let done = place.ok("data pictures --check");
    assert!(done.stdout.ends_with("every picture can be decoded\n"), "{}", done.stdout);
    // The header is whole; pixels are missing.
    place.write("pictures/left/00.pgm", &column(0, 0)[..40]);
    let done = place.run("data pictures --check");
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(
        done.stdout.contains("1 picture cannot be read:\n  pictures/left/00.pgm: it ends too early"),
        "{}",
        done.stdout
    );
    write_pictures(&place, "copied");
    place.write("copied/right/copy.pgm", column(0, 0));
    let done = place.run("data copied --check");
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stdout.contains("is a copy of an image of another class"), "{}", done.stdout);
    assert!(done.stdout.ends_with("copies, named above, are what is wrong\n"), "{}", done.stdout);
    let report = place.json("data pictures --json");
    assert_eq!((&report["schema"], &report["name"]), (&1.into(), &"pictures".into()));
    assert!(keys(&report).contains(&"found") && report.get("damaged").is_none(), "{report}");
}

#[test]
fn a_dry_run_says_what_was_found() {
    let place = Place::new();
    write_pictures(&place, "set/train");
    place.write("set/val/left/1.pgm", column(0, 0));
    place.write("set/val/right/2.pgm", column(7, 999));
    let dry = place.json(&format!("train set {TRAIN} --dry-run --json"));
    let found = &dry["data"]["found"];
    assert_eq!((&found["in_both"]["count"], &found["train"]["images"]), (&1.into(), &40.into()));
    assert_eq!(found["train"]["sizes"]["median"], serde_json::json!([8, 8]));
    let done = place.ok(&format!("train set {TRAIN} --size 16x12 --dry-run"));
    assert!(done.stderr.contains("1 image to validate on is a copy of a training image"), "{}", done.stderr);
    assert!(done.stdout.contains("16×12"), "{}", done.stdout);
    place.write("set/val/middle/3.pgm", column(3, 5));
    place.refused("train set", 3, &["set/val/middle/3.pgm", "one of the 2 classes of the training images"]);
}

#[test]
fn a_folder_of_anything_else_is_refused_with_what_it_holds() {
    let place = Place::new();
    place.write("empty/readme.md", "nothing here");
    place.refused(
        "train empty",
        3,
        &["holds no known data; it has readme.md", "a folder of pictures for each class"],
    );
    place.write("flat/1.pgm", column(1, 1));
    place.refused("train flat", 3, &["1 picture that lies in no folder of a class"]);
    place.write("one/only/1.pgm", column(1, 1));
    place.write("one/only/2.pgm", column(2, 1));
    place.refused("train one", 3, &["one class, \"only\": nothing to tell apart"]);
}

#[test]
fn data_that_changed_since_training_are_measured_with_a_warning() {
    let place = Place::new();
    write_pictures(&place, "pictures");
    place.ok(&format!("train pictures {TRAIN} --out run -q"));
    let before = place.ok("eval run pictures");
    assert!(before.stderr.contains("held out from training"), "{}", before.stderr);
    std::fs::remove_file(place.path("pictures/left/10.pgm")).unwrap();
    let after = place.ok("eval run pictures");
    for said in ["39 images of pictures: all", "warning: the model was trained on images that lay here"] {
        assert!(after.stderr.contains(said), "no '{said}' in\n{}", after.stderr);
    }
}

#[test]
fn a_picture_that_is_damaged_inside_does_not_hide_what_was_held_out() {
    let place = Place::new();
    write_pictures(&place, "pictures");
    place.ok("data digits --picture whole.png");
    let mut bytes = std::fs::read(place.path("whole.png")).unwrap();
    let data = bytes.windows(4).position(|chunk| chunk == b"IDAT").unwrap();
    bytes[data + 8] ^= 0xff;
    for class in ["left", "right"] {
        place.write(&format!("pictures/{class}/damaged.png"), &bytes);
    }
    // A class whose only picture is damaged is left out.
    place.write("pictures/alone/damaged.png", &bytes);
    place.ok(&format!("train pictures {TRAIN} --most-unreadable 0.2 --out run -q"));
    std::fs::rename(place.path("pictures"), place.path("moved")).unwrap();
    let done = place.run("eval run moved");
    assert!(done.stderr.contains("held out from training"), "{}", done.stderr);
}

#[test]
fn what_is_done_to_pictures_and_what_names_classes_is_told() {
    let place = Place::new();
    write_pictures(&place, "pictures");
    place.write("pictures/classes.txt", "right\nleft\n");
    let done = place.ok(&format!("train pictures {TRAIN} --size 4 --out run"));
    assert!(done.stderr.contains("40 grey images of 8×8, taken at 4×4, 2 classes"), "{}", done.stderr);
    assert!(!done.stderr.contains("classes.txt"), "{}", done.stderr);
    let done = place.ok("train pictures --from run --epochs 1 --out other");
    assert!(done.stderr.contains("of 8×8, taken at 4×4"), "{}", done.stderr);
}

#[test]
fn a_picture_to_try_a_model_on_is_written() {
    let place = Place::new();
    let done = place.ok("data digits --picture seven.png --class 7");
    assert!(done.stderr.contains("seven.png: ") && done.stderr.contains(", class 7"), "{}", done.stderr);
    place.ok("train digits --net perceptron --epochs 3 --out run -q");
    assert!(place.ok("predict run seven.png").stdout.starts_with("seven.png\t7\t"));
    place.refused("data digits --picture seven.jpg", 2, &["--picture seven.jpg", ".png"]);
    place.refused("data digits --picture a.png --class x", 2, &["--class x", "0, 1, 2"]);
    place.refused("data digits --picture none/a.png", 4, &["there is no folder none"]);
}

#[test]
fn what_cannot_end_well_does_not_begin() {
    let place = Place::new();
    write_pictures(&place, "pictures");
    place.ok(&format!("train pictures {TRAIN} --out run -q"));
    place.refused("train digits --sizes 4,8 --epochs 1 --dry-run", 2, &["--sizes", "4×4"]);
    for command in [
        "eval run pictures --report none/a.html",
        "predict run pictures/left/00.pgm --submission none/a.txt",
        "explain trace run pictures/left/00.pgm --out none/a.svg",
    ] {
        place.refused(command, 4, &["there is no folder none"]);
    }
    place.refused("train digits --out pictures", 2, &["pictures is not empty", "--out"]);
    for i in 0..4 {
        place.write(&format!("one/left/{i}.pgm"), column(0, i));
    }
    let told = place.ok("data one").stderr;
    assert!(told.contains("nothing can be trained on it") && told.contains("one class"), "{told}");
    std::fs::create_dir(place.path("empty")).unwrap();
    place.refused("lecture neuron --data empty", 2, &["empty", "mnist, cifar10, miniplaces, photos"]);
    place.write("file", "");
    place.refused("lecture neuron --out file", 4, &["file"]);
}
