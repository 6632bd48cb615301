//! Submissions to a challenge: made, scored and ranked.

use crate::support::{Place, columns, text, write_columns};

/// A place with a model that tells six lit columns apart, and a list of pictures of them.
fn trained() -> Place {
    let place = Place::new();
    let labels: Vec<u8> = (0..120).map(|i| i % 6).collect();
    write_columns(&place, "columns", &labels);
    place.ok("train columns --net perceptron --epochs 20 --batch 8 --lr 0.1 --out run -q");
    let mut list = String::new();
    for (name, label) in [("c", 2u8), ("a", 0), ("b", 5)] {
        place.write(&format!("data/val/{name}.pgm"), [b"P5 8 8 255\n".to_vec(), columns(&[label])].concat());
        list += &format!("val/{name}.pgm {label}\n");
    }
    place.write("data/val.txt", list);
    place
}

#[test]
fn a_submission_is_made_and_scored() {
    let place = trained();
    place.ok("predict run data/val.txt --submission mine.txt");
    let lines: Vec<String> = text(&place.path("mine.txt")).lines().map(str::to_string).collect();
    let heads: Vec<&str> = lines.iter().map(|line| &line[..11]).collect();
    assert_eq!(heads, ["val/a.pgm 0", "val/b.pgm 5", "val/c.pgm 2"]);
    assert!(lines.iter().all(|line| line.split_whitespace().count() == 6), "{lines:?}");
    let done = place.ok("eval --submission mine.txt data/val.txt");
    assert!(done.stdout.contains("images   3\nerror@1  0.00 %\n"), "{}", done.stdout);
    place.write("poor.txt", "val/a.pgm 1 2 3 4 5\nval/b.pgm 1 2 3 4 5\nval/c.pgm 2 1 3 4 5\n");
    let scored = place.json("eval --submission poor.txt data/val.txt --json");
    assert_eq!((&scored["schema"], &scored["images"]), (&1.into(), &3.into()));
    let errors: Vec<f64> =
        scored["error"].as_array().unwrap().iter().map(|e| (e.as_f64().unwrap() * 3.0).round()).collect();
    assert_eq!(errors, [2.0, 2.0, 2.0, 2.0, 1.0]);
}

#[test]
fn categories_number_the_classes() {
    let place = trained();
    place.write("data/categories.txt", "/5 10\n/4 11\n/3 12\n/2 13\n/1 14\n/0 15\n");
    let done = place.ok("predict run data/val.txt --submission mine.txt");
    assert!(done.stderr.contains("6 of data/categories.txt"), "{}", done.stderr);
    assert!(text(&place.path("mine.txt")).starts_with("val/a.pgm 15 "));
    place.write("data/val.txt", "val/a.pgm /0\nval/b.pgm 10\nval/c.pgm 13\n");
    assert!(place.ok("eval --submission mine.txt data/val.txt").stdout.contains("error@1  0.00 %"));
    std::fs::rename(place.path("data/categories.txt"), place.path("data/classes.txt")).unwrap();
    assert!(place.ok("eval --submission mine.txt data/val.txt").stdout.contains("error@1  0.00 %"));
    place.write("few.txt", "0 0\n1 1\n2 2\n3 3\n4 4\n");
    let few = "predict run data/val.txt --submission x.txt --categories few.txt";
    place.refused(few, 2, &["class '5' of the model has no number in few.txt"]);
}

#[test]
fn lists_begin_in_their_folder_or_in_the_root() {
    let place = trained();
    std::fs::rename(place.path("data/val.txt"), place.path("val.txt")).unwrap();
    place.refused("predict run val.txt --submission x.txt", 3, &["val/c.pgm", "--root"]);
    assert!(!place.path("x.txt").exists());
    place.ok("predict run val.txt --root data --submission x.txt");
    let done = place.ok("predict run val.txt --root data --top 1");
    assert!(done.stdout.starts_with("data/val/c.pgm\t2\t"), "{}", done.stdout);
    place.refused("predict run data/val/c.pgm --root data", 2, &["--root", "list"]);
    std::fs::remove_file(place.path("data/val/b.pgm")).unwrap();
    place.refused("predict run val.txt --root data --submission y.txt", 3, &["1 of 3 pictures", "val/b.pgm"]);
    assert!(!place.path("y.txt").exists());
}

#[test]
fn what_is_no_submission_is_refused() {
    let place = trained();
    place.write("short.txt", "val/a.pgm 1 2 3 4 5\n");
    place.refused("eval --submission short.txt data/val.txt", 3, &["2 of the 3 pictures", "'val/b.pgm'"]);
    place.write("four.txt", "val/a.pgm 1 2 3 4\n");
    place.refused("eval --submission four.txt data/val.txt", 3, &["four.txt:1", "4 labels"]);
    place.refused("eval --submission nowhere.txt data/val.txt", 2, &["nowhere.txt", "check the name"]);
    place.refused("eval run --submission four.txt data/val.txt", 2, &["LIST alone"]);
    place.refused("eval run columns --categories x.txt", 2, &["--submission"]);
    place.refused("eval --submission four.txt --all data/val.txt", 2, &["--all"]);
    place.refused("predict run data/val.txt data/val.txt --submission x.txt", 2, &["one LIST"]);
    place.refused("predict run data/val.txt --categories x.txt", 2, &["--submission"]);
    let labels: Vec<u8> = (0..40).map(|i| i % 4).collect();
    write_columns(&place, "four", &labels);
    place.ok("train four --net perceptron --epochs 1 --out small -q");
    place.refused("predict small data/val.txt --submission x.txt", 2, &["knows 4 classes"]);
}

#[test]
fn a_name_may_begin_like_another_one() {
    let place = trained();
    place.write("names.txt", "photo 0\nphoto 2 1\nother 4\nmore 4\n");
    place.write("answers.txt", "photo 0 1 2 3 4\nphoto 2 0 1 2 3 4\nother 4 0 1 2 3\nmore 4 0 1 2 3\n");
    let done = place.ok("eval --submission answers.txt names.txt --json");
    let score: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&score["error"][0], &score["error"][1]), (&0.25.into(), &0.0.into()), "{score}");
}

#[test]
fn a_leaderboard_ranks_a_folder() {
    let place = trained();
    place.write("all/good.txt", "val/a.pgm 0 2 3 4 5\nval/b.pgm 5 2 3 4 1\nval/c.pgm 0 1 3 4 2\n");
    place.write("all/poor.txt", "val/a.pgm 1 2 3 4 5\nval/b.pgm 1 2 3 4 5\nval/c.pgm 2 1 3 4 5\n");
    let done = place.ok("eval --leaderboard all data/val.txt --report board.html");
    let rows: Vec<Vec<&str>> = done.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1][..4], ["1", "good", "0.00", "%"], "{}", done.stdout);
    assert_eq!(rows[2][..4], ["2", "poor", "33.33", "%"], "{}", done.stdout);
    let page = text(&place.path("board.html"));
    assert!(page.contains("<b>good</b>") && !page.contains("Not ranked"));
    place.write("all/bad.txt", "val/a.pgm 1\n");
    let done = place.run("eval --leaderboard all data/val.txt --json");
    let board: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        (done.code, &board["standings"][0]["name"], &board["refused"][0]["name"]),
        (3, &"good".into(), &"bad".into())
    );
    assert!(done.stderr.contains("1 of 3 files not ranked"), "{}", done.stderr);
    std::fs::create_dir(place.path("empty")).unwrap();
    place.refused("eval --leaderboard empty data/val.txt", 3, &["no submissions"]);
}
