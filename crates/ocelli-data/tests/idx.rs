//! IDX files: what is read, and that no damage goes through or takes the process down.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use ocelli_data::idx::{self, IdxType};
use ocelli_data::{
    DataError, Dataset, ErrorKind, MemoryDataset, OpenOptions, Picture, Validation, check_trainable,
    match_classes, open, open_parts,
};

fn file(kind: IdxType, dims: &[usize], bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    idx::write(&mut out, kind, dims, bytes).unwrap();
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// Six images of 2×3 whose pixels count up, of the classes 0, 1, 2.
fn six() -> (Vec<u8>, Vec<u8>) {
    let pixels: Vec<u8> = (0..36).collect();
    (file(IdxType::U8, &[6, 2, 3], &pixels), file(IdxType::U8, &[6], &[0, 1, 2, 2, 1, 0]))
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn refused(files: &[(&str, &[u8])]) -> DataError {
    match open_parts(folder(files).path()) {
        Ok(_) => panic!("damaged files were opened"),
        Err(error) => error,
    }
}

fn pair_refused(images: &[u8], labels: &[u8]) -> String {
    let error = refused(&[("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)]);
    assert_eq!(error.kind(), ErrorKind::BadData, "{error}");
    error.to_string()
}

#[test]
fn images_and_labels_are_read_plain_and_in_gzip() {
    let (images, labels) = six();
    for (images, labels) in [(images.clone(), labels.clone()), (gzip(&images), gzip(&labels))] {
        let folder = folder(&[("a-images-idx3-ubyte", &images), ("a-labels-idx1-ubyte.gz", &labels)]);
        let parts = open_parts(folder.path()).unwrap();
        assert!(parts.test.is_none());
        let all = parts.train;
        assert_eq!((all.len(), all.image_shape()), (6, [1, 2, 3]));
        assert_eq!(all.classes(), ["0", "1", "2"]);
        assert_eq!((0..6).map(|i| all.label(i)).collect::<Vec<_>>(), [0, 1, 2, 2, 1, 0]);
        let mut picture = Picture::default();
        all.read(4, &mut picture).unwrap();
        assert_eq!(picture.pixels, [24, 25, 26, 27, 28, 29]);
        assert!(all.name_of(4).ends_with("a-images-idx3-ubyte image 4"), "{}", all.name_of(4));
    }
}

#[test]
fn a_folder_with_both_splits_validates_on_its_test_images() {
    let (images, labels) = six();
    let two = (file(IdxType::U8, &[2, 2, 3], &[9; 12]), file(IdxType::U8, &[2], &[3, 0]));
    let folder = folder(&[
        ("emnist-x-train-images-idx3-ubyte", &images),
        ("emnist-x-train-labels-idx1-ubyte", &labels),
        ("emnist-x-test-images-idx3-ubyte", &two.0),
        ("emnist-x-test-labels-idx1-ubyte", &two.1),
    ]);
    let splits = open(folder.path(), &OpenOptions::default()).unwrap();
    assert_eq!((splits.train.len(), splits.val.len()), (6, 2));
    assert_eq!(splits.val_is, Validation::Test);
    // Class 3 is in the test images alone.
    assert_eq!(splits.train.classes(), splits.val.classes());
    assert_eq!(splits.train.classes().len(), 4);
    // One file names its pair alone.
    let one = open_parts(folder.path().join("emnist-x-test-images-idx3-ubyte")).unwrap();
    assert_eq!((one.train.len(), one.test.is_some()), (2, false));
}

#[test]
fn labels_may_leave_gaps_and_be_wider_than_a_byte() {
    let images = file(IdxType::U8, &[2, 1, 1], &[5, 6]);
    let labels = file(IdxType::I32, &[2], &[0, 0, 1, 44, 0, 0, 0, 7]);
    let folder = folder(&[("images-idx3-ubyte", &images), ("labels-idx1-ubyte", &labels)]);
    let all = open_parts(folder.path()).unwrap().train;
    assert_eq!((all.label(0), all.label(1), all.classes().len()), (300, 7, 301));
}

#[test]
fn wrong_contents_are_refused_by_name_with_what_was_expected() {
    let (images, labels) = six();
    let message = pair_refused(&images, &file(IdxType::U8, &[5], &[0; 5]));
    assert!(
        message.contains("images-idx3-ubyte: expected 5 images, as the file of labels has, found 6"),
        "{message}"
    );
    let message = pair_refused(&images, &file(IdxType::I32, &[6], &[0xff; 24]));
    assert!(message.contains("labels from 0 to 65534, found label -1 of image 0"), "{message}");
    let message = pair_refused(&images, &file(IdxType::I32, &[6], &[0, 1, 0, 0].repeat(6)));
    assert!(message.contains("found label 65536 of image 0"), "{message}");
    let message = pair_refused(&labels, &labels);
    assert!(message.contains("expected three dimensions"), "{message}");
    let message = pair_refused(&images, &images);
    assert!(message.contains("expected labels: one dimension"), "{message}");
    let message = pair_refused(&file(IdxType::I8, &[6, 2, 3], &[0; 36]), &labels);
    assert!(message.contains("expected pixels of one unsigned byte"), "{message}");
    let message = pair_refused(&file(IdxType::U8, &[0, 2, 3], &[]), &file(IdxType::U8, &[0], &[]));
    assert!(message.contains("expected at least one image"), "{message}");
    let message = pair_refused(&file(IdxType::U8, &[6, 0, 3], &[]), &labels);
    assert!(message.contains("expected at least one image"), "{message}");
    let message = pair_refused(b"\x89PNG\r\n\x1a\n", &labels);
    assert!(message.contains("expected an IDX header"), "{message}");
}

#[test]
fn a_missing_file_of_labels_is_named() {
    let error = refused(&[("train-images-idx3-ubyte.gz", &gzip(&six().0))]);
    assert!(error.to_string().contains("train-labels-idx1-ubyte"), "{error}");
}

#[test]
fn every_truncation_is_refused() {
    for bytes in [six().0, six().1, gzip(&six().0), gzip(&six().1)] {
        for length in 0..bytes.len() {
            let error = idx::parse("cut", &bytes[..length]).expect_err("a truncated file was read");
            assert_eq!(error.kind(), ErrorKind::BadData, "{length} bytes: {error}");
        }
        idx::parse("whole", &bytes).unwrap();
    }
}

#[test]
fn every_flipped_bit_of_a_header_is_refused_and_none_panics() {
    let (images, labels) = six();
    for (whole, header) in [(images, 16), (labels, 8)] {
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let same_size = bit / 8 == 2 && bytes[2] == IdxType::I8 as u8;
            assert_eq!(idx::parse("flipped", &bytes).is_ok(), bit / 8 >= header || same_size, "bit {bit}");
        }
        let packed = gzip(&whole);
        for bit in 0..packed.len() * 8 {
            let mut bytes = packed.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = idx::parse("flipped", &bytes) {
                // Some bits mean nothing here: the time in gzip's header, the rest of a last byte.
                assert_eq!(read.bytes, whole[header..], "bit {bit}");
            }
        }
    }
}

#[test]
fn bytes_that_follow_are_refused() {
    let mut bytes = six().0;
    bytes.push(0);
    for bytes in [gzip(&bytes), bytes] {
        assert_eq!(idx::parse("long", &bytes).unwrap_err().kind(), ErrorKind::BadData);
    }
}

#[test]
fn sizes_that_the_file_cannot_hold_take_no_memory() {
    let huge = [0, 0, 8, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(idx::parse("huge", &huge).unwrap_err().kind(), ErrorKind::BadData);
    assert_eq!(idx::parse("huge", &gzip(&huge)).unwrap_err().kind(), ErrorKind::BadData);
    // A bomb unpacks to more than its header says, and is not unpacked further than that.
    let mut bomb = file(IdxType::U8, &[1, 1, 4], &[0; 4]);
    bomb.extend(vec![0; 1 << 24]);
    let message = idx::parse("bomb", &gzip(&bomb)).unwrap_err().to_string();
    assert!(message.contains("expected 4 bytes of values, as its header says, found more"), "{message}");
}

#[test]
fn what_is_not_there_or_not_known_is_a_usage_error_that_lists_formats() {
    let Err(error) = open_parts("no/such/thing") else { panic!("opened nothing") };
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("no/such/thing: no such file or folder"), "{error}");
    assert!(error.to_string().contains("\"digits\"") && error.to_string().contains("IDX"), "{error}");
    let error = refused(&[("notes.txt", b"hello")]);
    assert_eq!(error.kind(), ErrorKind::BadData);
    assert!(error.to_string().contains("no known data; it has notes.txt"), "{error}");
    assert!(refused(&[]).to_string().contains("the folder is empty"));
}

#[test]
fn a_set_of_one_class_is_no_training_set() {
    let classes = |n: usize| (0..n).map(|k| k.to_string()).collect::<Vec<_>>();
    let set = |labels: &[u32]| {
        MemoryDataset::new("set", [1, 1, 1], vec![0; labels.len()], labels.to_vec(), classes(3)).unwrap()
    };
    check_trainable(&set(&[1, 2])).unwrap();
    let message = check_trainable(&set(&[2, 2])).unwrap_err().to_string();
    assert!(message.contains("one class, \"2\": nothing to tell apart"), "{message}");
    assert_eq!(check_trainable(&set(&[])).unwrap_err().kind(), ErrorKind::BadData);
}

#[test]
fn another_set_to_validate_on_is_matched_by_class_name() {
    let names = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
    let val =
        MemoryDataset::new("val", [1, 1, 1], vec![0; 3], vec![0, 1, 0], names(&["dog", "cat"])).unwrap();
    let val = std::sync::Arc::new(val);
    let matched = match_classes(val.clone(), &names(&["bird", "cat", "dog"])).unwrap();
    assert_eq!((0..3).map(|i| matched.label(i)).collect::<Vec<_>>(), [2, 1, 2]);
    assert_eq!(matched.classes().len(), 3);
    let Err(error) = match_classes(val, &names(&["bird", "dog"])) else { panic!("cats are unknown") };
    assert!(
        error.to_string().contains("val image 1") && error.to_string().contains("class \"cat\""),
        "{error}"
    );
}

#[test]
fn what_is_written_is_read_again() {
    let digits = open("digits", &OpenOptions::default()).unwrap();
    for gzip in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        idx::write_pair(folder.path(), "train", &*digits.train, gzip).unwrap();
        idx::write_pair(folder.path(), "t10k", &*digits.val, gzip).unwrap();
        let again = open(folder.path(), &OpenOptions::default()).unwrap();
        for (a, b) in [(&digits.train, &again.train), (&digits.val, &again.val)] {
            assert_eq!(contents(&**a), contents(&**b));
        }
        assert_eq!(Path::new(&again.name), folder.path().file_name().unwrap());
    }
}

fn contents(set: &dyn Dataset) -> Vec<(u32, Picture)> {
    let read = |i| {
        let mut picture = Picture::default();
        set.read(i, &mut picture).unwrap();
        (set.label(i), picture)
    };
    (0..set.len()).map(read).collect()
}
