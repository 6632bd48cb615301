//! The binary versions of CIFAR.

use ocelli_data::{Picture, Validation, open_parts};

use crate::support::Place;

/// A record whose pixel (y, x) is (y, x, label).
fn record(labels: &[u8]) -> Vec<u8> {
    let plane = |value: fn(usize, usize, u8) -> u8| (0..1024).map(move |i| (i / 32, i % 32, value));
    let label = *labels.last().unwrap();
    let planes = plane(|y, _, _| y as u8).chain(plane(|_, x, _| x as u8)).chain(plane(|_, _, label| label));
    labels.iter().copied().chain(planes.map(|(y, x, value)| value(y, x, label))).collect()
}

#[test]
fn cifar10_in_binary_opens_with_its_class_names() {
    let place = Place::with(&[]);
    place.write("data_batch_1.bin", [record(&[3]), record(&[9])].concat());
    place.write("data_batch_2.bin", record(&[0]));
    place.write("test_batch.bin", record(&[5]));
    place.write(
        "batches.meta.txt",
        "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n",
    );
    let splits = place.open();
    assert_eq!((splits.train.len(), splits.val.len(), &splits.val_is), (3, 1, &Validation::Test));
    assert_eq!(splits.train.classes()[splits.train.label(0) as usize], "cat");
    let mut picture = Picture::default();
    splits.train.read(1, &mut picture).unwrap();
    assert_eq!((picture.shape(), &picture.pixels[(2 * 32 + 7) * 3..][..3]), ([3, 32, 32], &[2, 7, 9][..]));
}

#[test]
fn cifar100_has_its_fine_labels() {
    let place = Place::with(&[]);
    place.write("train.bin", [record(&[1, 99]), record(&[19, 0])].concat());
    place.write("test.bin", record(&[4, 42]));
    let parts = place.parts();
    let labels = |set: &dyn ocelli_data::Dataset| (0..set.len()).map(|i| set.label(i)).collect::<Vec<_>>();
    assert_eq!((labels(&*parts.train), labels(&*parts.test.unwrap())), (vec![99, 0], vec![42]));
    assert_eq!(parts.train.classes().len(), 100);
}

#[test]
fn a_missing_file_of_several_is_named() {
    let place = Place::with(&[]);
    for file in ["data_batch_1.bin", "data_batch_2.bin", "data_batch_4.bin"] {
        place.write(file, record(&[3]));
    }
    let said = place.refused("");
    assert!(
        said.contains("expected data_batch_1.bin to data_batch_4.bin, found no data_batch_3.bin"),
        "{said}"
    );
}

#[test]
fn damaged_files_are_refused_by_name() {
    let place = Place::with(&[]);
    for (bytes, said) in [
        (
            record(&[3])[..3000].to_vec(),
            "expected records of 3073 bytes, 1 to 1000000, found a file of 3000 bytes",
        ),
        (Vec::new(), "a file of 0 bytes"),
        (record(&[10]), "label 10 of image 0"),
    ] {
        place.write("data_batch_1.bin", bytes);
        let refused = place.refused("");
        assert!(refused.contains("data_batch_1.bin: ") && refused.contains(said), "{refused}");
    }
    assert!(open_parts(place.join("none")).is_err());
}
