//! Folders of pictures.

use ocelli_data::{OpenOptions, Validation, class_counts, open};

use crate::support::{Place, contents};

#[test]
fn the_folders_at_the_top_are_classes_in_the_order_of_their_names() {
    let place = Place::with(&["dog/b.png", "dog/a.png", "Cat/1.PNG", "dog/10.png", "dog/9.png"]);
    place.write("dog/readme.txt", "woof");
    place.write(".git/x.png", "no picture");
    place.write("dog/.hidden.png", "no picture");
    let parts = place.parts();
    assert_eq!(parts.train.classes(), ["Cat", "dog"]);
    assert_eq!(contents(&*parts.train), [(2, "Cat"), (3, "dog"), (4, "dog"), (1, "dog"), (0, "dog")]);
    assert_eq!(parts.train.name_of(0), place.join("Cat/1.PNG").display().to_string());
    assert_eq!(parts.notes, ["1 entry is no picture in a class folder and not read: dog/readme.txt"]);
    assert_eq!(parts.train.image_shape(), [3, 3, 4]);
}

#[test]
fn folders_within_class_folders_belong_to_the_class() {
    let place = Place::with(&["a/1.png", "a/more/2.png", "b/x/y/3.png"]);
    assert_eq!(contents(&*place.parts().train), [(0, "a"), (1, "a"), (2, "b")]);
}

#[test]
fn where_no_picture_lies_in_a_folder_at_the_top_classes_are_whole_paths() {
    let place = Place::with(&["a/abbey/1.png", "a/apartment/outdoor/2.png", "b/bar/3.png"]);
    assert_eq!(contents(&*place.parts().train), [(0, "a/abbey"), (1, "a/apartment/outdoor"), (2, "b/bar")]);
}

#[test]
fn splits_are_found_and_matched_by_the_names_of_classes() {
    let place =
        Place::with(&["train/a/1.png", "train/b/2.png", "train/c/3.png", "val/c/4.png", "test/b/5.png"]);
    let splits = place.open();
    assert_eq!((contents(&*splits.val), &splits.val_is), (vec![(3, "c")], &Validation::Val));
    assert_eq!(splits.found.notes, ["its test split (images: 1) is left for ocelli eval"]);
    assert_eq!(contents(&*place.parts().for_evaluation()), [(4, "b")]);
    let place = Place::with(&["Training/a/1.png", "Training/b/2.png", "dev/b/3.png"]);
    assert_eq!(contents(&*place.open().val), [(2, "b")]);
}

#[test]
fn a_class_may_be_called_train() {
    let place = Place::with(&["train/1.png", "bus/2.png", "test/3.png"]);
    assert_eq!(place.parts().train.classes(), ["bus", "test", "train"]);
}

#[test]
fn a_folder_beside_splits_that_is_none_is_refused() {
    let place = Place::with(&["train/a/1.png", "train/b/2.png", "val/a/3.png", "samples/x/4.png"]);
    let said = place.refused("");
    assert!(said.contains("samples/x/4.png: ") && said.contains("folder \"samples\""), "{said}");
    // Without images to train on there is nothing to be taken for something else.
    let place = Place::with(&["val/a/1.png", "test/b/2.png", "other/c/3.png"]);
    assert_eq!(place.parts().train.classes(), ["other/c", "test/b", "val/a"]);
}

#[test]
fn a_split_alone_is_all_there_is() {
    let place = Place::with(&["test/a/1.png", "test/b/2.png"]);
    assert_eq!(contents(&*place.parts().for_evaluation()), [(0, "a"), (1, "b")]);
}

#[test]
fn a_list_of_classes_fixes_their_order_and_their_depth() {
    let place = Place::with(&["dog/1.png", "cat/2.png"]);
    place.write("classes.txt", "dog\nfox\ncat\n");
    let parts = place.parts();
    assert_eq!(parts.train.classes(), ["dog", "fox", "cat"]);
    assert_eq!(class_counts(&*parts.train), [1, 0, 1]);
    let place = Place::with(&["a/abbey/1.png", "a/2.png"]);
    place.write("categories.txt", "/a/abbey 1\n/a 0\n");
    assert_eq!(contents(&*place.parts().train), [(1, "a"), (0, "a/abbey")]);
    let place = Place::with(&["dog/1.png", "cow/2.png"]);
    place.write("classes.txt", "dog\ncat\n");
    let said = place.refused("");
    assert!(
        said.contains("cow/2.png: expected one of the 2 classes in") && said.contains("folder \"cow\""),
        "{said}"
    );
}

#[test]
fn a_validation_class_that_training_lacks_is_named() {
    let place = Place::with(&["train/a/1.png", "train/b/2.png", "val/a/3.png", "val/zebra/4.png"]);
    let said = place.refused("");
    assert!(said.contains("val/zebra/4.png: expected one of the 2 classes of the training images"), "{said}");
    assert!(said.contains("class \"zebra\""), "{said}");
}

#[test]
fn folders_without_pictures_say_what_they_hold() {
    let place = Place::with(&[]);
    std::fs::create_dir(place.join("cats")).unwrap();
    let said = place.refused("");
    assert!(
        said.contains("holds no known data; it has cats")
            && said.contains("a folder of pictures for each class"),
        "{said}"
    );
    let place = Place::with(&["1.png", "2.png"]);
    let said = place.refused("");
    assert!(said.contains("2 pictures that lie in no folder of a class"), "{said}");
    assert!(said.contains("folder that is called like it"), "{said}");
}

#[test]
fn an_empty_class_folder_is_no_class() {
    let place = Place::with(&["a/1.png", "b/2.png"]);
    std::fs::create_dir(place.join("empty")).unwrap();
    assert_eq!(place.parts().train.classes(), ["a", "b"]);
    assert_eq!(place.parts().notes, ["1 entry is no picture in a class folder and not read: empty/"]);
}

#[test]
fn a_class_with_one_picture_is_trained_on_and_not_measured() {
    let place = Place::with(&["a/1.png", "b/2.png", "b/3.png"]);
    let splits = place.open();
    assert_eq!((class_counts(&*splits.train), class_counts(&*splits.val)), (vec![1, 1], vec![0, 1]));
    splits.check().unwrap();
    let place = Place::with(&["a/1.png", "b/2.png"]);
    let said = place.open().check().unwrap_err().to_string();
    assert!(said.contains("images to validate on") && said.contains("--val"), "{said}");
}

#[test]
fn another_size_can_be_asked_for() {
    let place = Place::with(&["a/1.png", "b/2.png", "b/3.png"]);
    let options = OpenOptions { size: Some([32, 48]), ..OpenOptions::default() };
    let splits = open(place.path(), &options).unwrap();
    assert_eq!((splits.train.image_shape(), splits.val.image_shape()), ([3, 32, 48], [3, 32, 48]));
}

#[cfg(unix)]
#[test]
fn links_are_followed_unless_they_lead_in_circles() {
    use std::os::unix::fs::symlink;
    let place = Place::with(&["real/a/1.png", "real/b/2.png"]);
    std::fs::create_dir(place.join("set")).unwrap();
    symlink(place.join("real/a"), place.join("set/x")).unwrap();
    symlink(place.join("real/b"), place.join("set/y")).unwrap();
    let open = |name: &str| ocelli_data::open_parts(place.join(name));
    assert_eq!(contents(&*open("set").unwrap().train), [(0, "x"), (1, "y")]);
    symlink(place.join("real"), place.join("real/a/up")).unwrap();
    let said = place.refused("real");
    assert!(said.contains("real/a/up") && said.contains("in a circle; remove the link"), "{said}");
    // Two folders that lead to each other: neither lies in the other.
    let place = Place::with(&["a/1.png", "b/2.png"]);
    symlink(place.join("b"), place.join("a/to_b")).unwrap();
    symlink(place.join("a"), place.join("b/to_a")).unwrap();
    assert!(place.refused("").contains("in a circle"));
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_are_read_unless_they_are_those_of_classes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let place = Place::with(&["a/1.png", "b/2.png"]);
    std::fs::rename(place.join("a/1.png"), place.join("a").join(OsStr::from_bytes(b"\xe9t\xe9.png")))
        .unwrap();
    assert_eq!(contents(&*place.parts().train), [(0, "a"), (1, "b")]);
    std::fs::rename(place.join("a"), place.path().join(OsStr::from_bytes(b"\xe9t\xe9"))).unwrap();
    let said = place.refused("");
    assert!(said.contains(r#""\xe9t\xe9"; rename the folder"#), "{said}");
}

#[test]
fn many_pictures_open_at_once() {
    let names: Vec<String> = (0..2000).map(|i| format!("c{}/{i}.png", i % 7)).collect();
    let place = Place::with(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let splits = place.open();
    assert_eq!(splits.train.len() + splits.val.len(), 2000);
    // Names, numbers and labels: a few dozen bytes each.
    assert!(splits.memory() < 2000 * 64, "{}", splits.memory());
}

#[test]
fn a_folder_that_is_called_like_an_idx_file_is_none() {
    let place = Place::with(&["train-images-idx3-ubyte/a/1.png", "train-images-idx3-ubyte/a/2.png"]);
    assert_eq!(place.parts().train.len(), 2);
}

#[test]
fn many_other_files_do_not_hide_the_pictures() {
    let place = Place::with(&["train/a/1.png", "train/b/2.png"]);
    place.write("notes/0.xml", "");
    for i in 1..20_100 {
        std::fs::hard_link(place.join("notes/0.xml"), place.join(&format!("notes/{i}.xml"))).unwrap();
    }
    assert_eq!(place.parts().train.len(), 2);
}
