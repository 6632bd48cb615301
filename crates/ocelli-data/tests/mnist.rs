//! MNIST, where it lies beside the repository.

use std::path::{Path, PathBuf};

use ocelli_data::{OpenOptions, Picture, Validation, class_counts, open};

/// The folder of the data set beside or above the repository, or a message that the test was skipped.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn mnist() -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = above.map(|folder| folder.join("shared/data/mnist")).find(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("skipped: there is no ../shared/data/mnist");
    }
    found
}

#[test]
fn mnist_has_its_known_images_and_labels() {
    let Some(folder) = mnist() else { return };
    let splits = open(&folder, &OpenOptions::default()).unwrap();
    assert_eq!((splits.train.len(), splits.val.len()), (60_000, 10_000));
    assert_eq!((splits.train.image_shape(), &splits.val_is), ([1, 28, 28], &Validation::Test));
    assert_eq!(class_counts(&*splits.train), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    assert_eq!(class_counts(&*splits.val), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    let mut picture = Picture::default();
    splits.train.read(0, &mut picture).unwrap();
    assert_eq!(splits.train.label(0), 5);
    assert_eq!(
        picture.pixels[5 * 28 + 12..5 * 28 + 24],
        [3, 18, 18, 18, 126, 136, 175, 26, 166, 255, 247, 127]
    );
}
