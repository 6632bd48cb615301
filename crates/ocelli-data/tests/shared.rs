//! Real pictures, where they lie beside the repository.

use std::path::{Path, PathBuf};

use ocelli_data::{Dataset, OpenOptions, Picture, Validation, class_counts, decode, open};

/// A folder of shared data beside or above the repository, or a message that the test was skipped.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn shared(name: &str) -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = above.map(|folder| folder.join("shared/data").join(name)).find(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: there is no ../shared/data/{name}");
    }
    found
}

fn read(set: &dyn Dataset, i: usize) -> Picture {
    let mut picture = Picture::default();
    set.read(i, &mut picture).unwrap();
    picture
}

#[test]
fn miniplaces_opens_as_it_lies_there() {
    let Some(folder) = shared("miniplaces") else { return };
    let splits = open(&folder, &OpenOptions::default()).unwrap();
    assert_eq!((splits.name.as_str(), &splits.val_is), ("miniplaces", &Validation::Val));
    assert_eq!((class_counts(&*splits.train), class_counts(&*splits.val)), (vec![300; 100], vec![30; 100]));
    assert_eq!((splits.train.image_shape(), splits.val.image_shape()), ([3, 128, 128], [3, 128, 128]));
    let classes = splits.train.classes();
    assert_eq!((classes[0].as_str(), classes[1].as_str()), ("a/abbey", "a/airport_terminal"));
    assert!(classes.contains(&"b/bakery/shop".to_owned()));
    assert!(
        splits.val.name_of(0).ends_with("dev.tar.xz:train/a/abbey/00000903.jpg"),
        "{}",
        splits.val.name_of(0)
    );
    assert_eq!(read(&*splits.train, 29_999).shape(), [3, 128, 128]);
}

#[test]
fn cifar10_as_jpeg_opens_as_it_lies_there() {
    let Some(folder) = shared("cifar10-jpeg") else { return };
    let splits = open(&folder, &OpenOptions::default()).unwrap();
    assert_eq!((class_counts(&*splits.train), class_counts(&*splits.val)), (vec![5000; 10], vec![1000; 10]));
    assert_eq!((splits.val_is, splits.train.image_shape()), (Validation::Test, [3, 32, 32]));
    assert_eq!(splits.train.classes()[..2], ["airplane", "automobile"]);
}

#[test]
fn photographs_decode() {
    let Some(folder) = shared("photos") else { return };
    let shapes =
        [("astronaut.png", [3, 512, 512]), ("camera.png", [1, 512, 512]), ("rocket.jpg", [3, 427, 640])];
    for (name, shape) in shapes {
        assert_eq!(decode(&folder.join(name)).unwrap().shape(), shape, "{name}");
    }
}
