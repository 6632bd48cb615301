//! Tar archives.

use ocelli_data::{Validation, class_counts, open_parts};

use crate::support::{Place, contents, gzip, png, tar};

fn two_classes() -> Vec<u8> {
    tar(&[
        ("set/b/1.png", &png(1)),
        ("set/a/2.png", &png(2)),
        ("set/a/.x.png", b"no"),
        ("set/list.txt", b"x"),
    ])
}

#[test]
fn archives_hold_what_folders_would() {
    let place = Place::with(&[]);
    place.write("plain.tar", two_classes());
    place.write("packed.tar.gz", gzip(&two_classes()));
    for name in ["plain.tar", "packed.tar.gz"] {
        let parts = open_parts(place.join(name)).unwrap();
        assert_eq!(contents(&*parts.train), [(2, "a"), (1, "b")], "{name}");
        assert!(
            parts.train.name_of(0).ends_with(&format!("{name}:set/a/2.png")),
            "{}",
            parts.train.name_of(0)
        );
        assert_eq!(parts.notes.len(), 1, "{:?}", parts.notes);
    }
}

#[test]
fn an_archive_for_each_split_in_a_folder_is_a_data_set() {
    let place = Place::with(&[]);
    place.write("train.tar", tar(&[("train/a/1.png", &png(1)), ("train/b/2.png", &png(2))]));
    // The folder in an archive may be called otherwise; the archive's name counts.
    place.write("dev.tar.gz", gzip(&tar(&[("train/b/3.png", &png(3))])));
    place.write("objects.tar", tar(&[("x.xml", b"<x/>")]));
    let splits = place.open();
    assert_eq!(contents(&*splits.train), [(1, "a"), (2, "b")]);
    assert_eq!((contents(&*splits.val), &splits.val_is), (vec![(3, "b")], &Validation::Val));
}

#[test]
fn numbered_archives_are_read_one_after_another() {
    let place = Place::with(&[]);
    place.write("train-000001.tar", tar(&[("a/3.png", &png(3))]));
    place.write("train-000000.tar", tar(&[("a/1.png", &png(1)), ("b/2.png", &png(2))]));
    place.write("val-000000.tar", tar(&[("a/4.png", &png(4))]));
    let parts = place.parts();
    assert_eq!(contents(&*parts.train), [(1, "a"), (3, "a"), (2, "b")]);
    assert_eq!(contents(&*parts.val.unwrap()), [(4, "a")]);
    let some = open_parts(place.join("train-{000000..000001}.tar")).unwrap();
    assert_eq!(contents(&*some.train), [(1, "a"), (3, "a"), (2, "b")]);
    assert!(open_parts(place.join("train-{000000..000002}.tar")).is_err());
}

#[test]
fn samples_of_webdataset_have_their_labels_beside_them() {
    let place = Place::with(&[]);
    let shard = tar(&[
        ("s/01.png", &png(1)),
        ("s/01.cls", b"2\n"),
        ("s/02.cls", b"0"),
        ("s/02.png", &png(2)),
        ("s/02.json", b"{}"),
    ]);
    place.write("train-0.tar", &shard);
    assert_eq!(contents(&*place.parts().train), [(1, "2"), (2, "0")]);
    assert_eq!(class_counts(&*place.parts().train), [1, 0, 1]);
    place.write("classes.txt", "cat\ndog\nfox");
    assert_eq!(contents(&*place.parts().train), [(1, "fox"), (2, "cat")]);
    place.write("train-0.tar", tar(&[("01.png", &png(1)), ("01.cls", b"2"), ("02.png", &png(2))]));
    let said = place.refused("");
    assert!(said.contains("train-0.tar:02.png: expected a label in a .cls file"), "{said}");
}

#[test]
fn names_that_lead_elsewhere_lead_nowhere() {
    let place = Place::with(&[]);
    place.write(
        "x/set.tar",
        tar(&[("../../etc/a/1.png", &png(1)), ("/b/2.png", &png(2)), ("./c/./3.png", &png(3))]),
    );
    let parts = open_parts(place.join("x/set.tar")).unwrap();
    assert_eq!(contents(&*parts.train), [(2, "b"), (3, "c")]);
    assert!(parts.notes[0].contains("../../etc/a/1.png"), "{:?}", parts.notes);
    assert_eq!(std::fs::read_dir(place.join("x")).unwrap().count(), 1);
}

#[test]
fn archives_that_were_cut_off_are_refused_at_every_length() {
    let place = Place::with(&[]);
    let whole = two_classes();
    for length in (1..whole.len() - 1024).step_by(97) {
        place.write("cut.tar", &whole[..length]);
        let said = place.refused("cut.tar");
        assert!(said.contains("cut.tar: expected a whole tar archive"), "{length}: {said}");
    }
    // Between two files, too.
    place.write("cut.tar", &whole[..1024]);
    assert!(place.refused("cut.tar").contains("no end mark: files may be missing"));
    let packed = gzip(&whole);
    for length in (10..packed.len() - 1).step_by(31) {
        place.write("cut.tar.gz", &packed[..length]);
        let said = place.refused("cut.tar.gz");
        assert!(
            said.contains("expected intact gzip, found the end of the file: it was cut off"),
            "{length}: {said}"
        );
    }
}

#[test]
fn damaged_archives_never_panic() {
    let place = Place::with(&[]);
    let whole = two_classes();
    for bit in (0..1536 * 8).step_by(5) {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        place.write("flipped.tar", &bytes);
        // Some flips only change pixels or names.
        let _ = open_parts(place.join("flipped.tar"));
    }
}

#[test]
fn an_archive_without_pictures_says_so() {
    let place = Place::with(&[]);
    place.write("a.tar", tar(&[("x.txt", b"hello")]));
    assert!(place.refused("a.tar").contains("found no pictures (jpg, png"), "{}", place.refused("a.tar"));
    place.write("b.tar", "this is no archive, though it is called like one".repeat(20));
    assert!(place.refused("b.tar").contains("expected a whole tar archive"), "{}", place.refused("b.tar"));
    place.write("empty.tar", "");
    assert!(place.refused("empty.tar").contains("no end mark"), "{}", place.refused("empty.tar"));
}

/// xz of one tar archive with `a/1.png` and `b/2.png` in blocks of 1 KiB, as `xz --block-size=1024 -6` writes it.
const BLOCKS: &[u8] = include_bytes!("blocks.tar.xz");

#[test]
fn xz_of_several_blocks_is_unpacked_and_damage_found() {
    let place = Place::with(&[]);
    place.write("set.tar.xz", BLOCKS);
    assert_eq!(contents(&*open_parts(place.join("set.tar.xz")).unwrap().train), [(7, "a"), (9, "b")]);
    for length in (6..BLOCKS.len()).step_by(7) {
        place.write("cut.tar.xz", &BLOCKS[..length]);
        let said = place.refused("cut.tar.xz");
        assert!(said.contains("expected intact xz"), "{length}: {said}");
    }
    for bit in (0..BLOCKS.len() * 8).step_by(11) {
        let mut bytes = BLOCKS.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        place.write("flipped.tar.xz", &bytes);
        // Every byte of xz is under a checksum; in the first six it is no xz at all.
        let said = place.refused("flipped.tar.xz");
        assert!(said.contains("expected intact xz") || said.contains("memory") || bit < 48, "{bit}: {said}");
    }
}

#[test]
fn several_streams_in_one_xz_file_are_read_one_after_another() {
    let place = Place::with(&[]);
    let first = open_parts({
        place.write("set.tar.xz", BLOCKS);
        place.join("set.tar.xz")
    });
    drop(first);
    // A tar archive ends at its end mark, whatever follows.
    place.write("two.tar.xz", [BLOCKS, BLOCKS].concat());
    assert_eq!(open_parts(place.join("two.tar.xz")).unwrap().train.len(), 2);
}
