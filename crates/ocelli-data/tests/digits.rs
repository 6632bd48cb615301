//! The data set that is built in, and how images are held out of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use ocelli_data::{
    Dataset, ErrorKind, MemoryDataset, Normalise, OpenOptions, Picture, Preprocess, Splits, Validation,
    class_counts, hold_out, idx, open, open_parts,
};

/// As scikit-learn documents its digits.
const PER_CLASS: [usize; 10] = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180];

fn digits(seed: u64) -> Splits {
    open("digits", &OpenOptions { seed, val: None, ..OpenOptions::default() }).unwrap()
}

fn images(set: &dyn Dataset) -> BTreeSet<String> {
    (0..set.len()).map(|i| set.name_of(i)).collect()
}

#[test]
fn a_folder_of_the_same_name_is_told_apart_by_a_slash() {
    assert!(open_parts("digits").is_ok());
    assert_eq!(open_parts("digits/").map(|parts| parts.train.len()).unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn digits_are_those_of_scikit_learn() {
    let all = open_parts("digits").unwrap().train;
    assert_eq!((all.len(), all.image_shape()), (1797, [1, 8, 8]));
    assert_eq!(class_counts(&*all), PER_CLASS);
    let mut picture = Picture::default();
    all.read(0, &mut picture).unwrap();
    let first: [[u32; 8]; 8] = [
        [0, 0, 5, 13, 9, 1, 0, 0],
        [0, 0, 13, 15, 10, 15, 5, 0],
        [0, 3, 15, 2, 0, 11, 8, 0],
        [0, 4, 12, 0, 0, 8, 8, 0],
        [0, 5, 8, 0, 0, 9, 8, 0],
        [0, 4, 11, 0, 1, 12, 7, 0],
        [0, 2, 14, 5, 10, 12, 0, 0],
        [0, 0, 6, 13, 10, 0, 0, 0],
    ];
    let scaled: Vec<u8> =
        first.iter().flatten().map(|&ink| (f64::from(ink) * 255.0 / 16.0).round() as u8).collect();
    assert_eq!(picture.pixels, scaled);
    assert_eq!((all.label(0), all.label(1796)), (0, 8));
}

#[test]
fn ink_adds_up_to_what_scikit_learn_has() {
    let digits = open_parts("digits").unwrap().train;
    let mut picture = Picture::default();
    let mut ink = 0u64;
    for i in 0..digits.len() {
        digits.read(i, &mut picture).unwrap();
        ink += picture.pixels.iter().map(|&p| (f64::from(p) * 16.0 / 255.0).round() as u64).sum::<u64>();
    }
    assert_eq!(ink, 561_718);
}

#[test]
fn a_fifth_of_every_class_is_held_out() {
    let splits = digits(1);
    assert_eq!((splits.train.len(), splits.val.len()), (1438, 359));
    assert_eq!(splits.val_is, Validation::HeldOut { share: 0.2, seed: 1 });
    for (held, all) in class_counts(&*splits.val).into_iter().zip(PER_CLASS) {
        assert!((held as f64 - all as f64 * 0.2).abs() < 1.0, "{held} of {all}");
    }
}

#[test]
fn the_images_that_are_trained_on_validate_nothing() {
    let Err(error) =
        open("digits", &OpenOptions { seed: 0, val: Some("digits".into()), ..OpenOptions::default() })
    else {
        panic!("opened the same data twice")
    };
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("leave --val out"), "{error}");
}

#[test]
fn splits_without_validation_images_or_without_training_images_of_a_class_are_refused() {
    let set = |labels: &[u32]| -> Arc<dyn Dataset> {
        let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
        let pixels = vec![0; labels.len()];
        Arc::new(MemoryDataset::new("set", [1, 1, 1], pixels, labels.to_vec(), classes).unwrap())
    };
    let splits = |train: &[u32], val: &[u32]| Splits::new("set", set(train), set(val), Validation::Test);
    assert!(splits(&[0, 1], &[0]).check().is_ok());
    for (splits, part) in [(splits(&[0, 1], &[]), "--val"), (splits(&[0, 1], &[0, 2]), "class \"c\"")] {
        let error = splits.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadData);
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn splits_are_disjoint_complete_and_chosen_by_seed() {
    let (a, again, b) = (digits(1), digits(1), digits(2));
    let (train, val) = (images(&*a.train), images(&*a.val));
    assert!(train.is_disjoint(&val));
    assert_eq!(train.len() + val.len(), 1797);
    assert_eq!(val, images(&*again.val));
    assert_ne!(val, images(&*b.val));
}

#[test]
fn rare_classes_give_one_image_and_keep_one() {
    let labels = [vec![0; 50], vec![1; 2], vec![2; 1]].concat();
    let classes = ["a", "b", "c", "d"].map(String::from).to_vec();
    let set = MemoryDataset::new("set", [1, 1, 1], vec![0; 53], labels, classes).unwrap();
    let (train, held) = hold_out(&(Arc::new(set) as Arc<dyn Dataset>), 0.1, 7);
    assert_eq!(class_counts(&train), [45, 1, 1, 0]);
    assert_eq!(class_counts(&held), [5, 1, 0, 0]);
}

#[test]
fn another_data_set_can_be_given_to_validate_on() {
    let folder = tempfile::tempdir().unwrap();
    idx::write_pair(folder.path(), "val", &*digits(0).val, false).unwrap();
    let path = folder.path().join("val-images-idx3-ubyte");
    let options = OpenOptions { seed: 0, val: Some(path.clone()), ..OpenOptions::default() };
    let splits = open("digits", &options).unwrap();
    assert_eq!((splits.train.len(), splits.val.len()), (1797, 359));
    assert_eq!(splits.val_is, Validation::Given(path));
}

#[test]
fn mean_and_deviation_are_those_of_the_training_pixels() {
    let train = digits(3).train;
    let Normalise::MeanStd { mean, std } = Preprocess::fit(&*train).unwrap().normalise else {
        panic!("fit gives a mean and a deviation")
    };
    let (mut values, mut picture) = (Vec::new(), Picture::default());
    for i in 0..train.len() {
        train.read(i, &mut picture).unwrap();
        values.extend(picture.pixels.iter().map(|&p| f64::from(p) / 255.0));
    }
    let want = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|v| (v - want).powi(2)).sum::<f64>() / values.len() as f64;
    assert!((f64::from(mean[0]) - want).abs() < 1e-6, "{mean:?}, not {want}");
    assert!((f64::from(std[0]) - variance.sqrt()).abs() < 1e-6, "{std:?}, not {}", variance.sqrt());
}

#[test]
fn the_summary_lists_every_class() {
    let text = digits(1).summary().to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "digits: 10 classes, images of 1×8×8");
    assert_eq!(
        lines[1],
        "1438 to train on, 359 to validate on (20 % of every class held out, at least one image of two, seed 1)"
    );
    assert_eq!(lines.len(), 13);
    assert_eq!(lines[3].split_whitespace().collect::<Vec<_>>(), ["0", "142", "36"]);
}
