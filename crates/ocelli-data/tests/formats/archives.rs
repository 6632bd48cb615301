//! Tar archives.

use ocelli_data::{OpenOptions, Validation, class_counts, open, open_parts};

use crate::support::{Place, contents, gzip, header, png, tar};

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
    let said = place.refused("train-{000000..000002}.tar");
    assert!(said.contains("train-000002.tar: cannot open: "), "{said}");
}

#[test]
fn more_archives_than_a_process_may_open_are_read() {
    let place = Place::with(&[]);
    for i in 0..300u32 {
        let class = ["a", "b"][i as usize % 2];
        place.write(&format!("{i:03}.tar"), tar(&[(&format!("{class}/{i}.png"), &png(i as u8))]));
    }
    let parts = open_parts(place.join("{000..299}.tar")).unwrap();
    let mut found: Vec<u8> = contents(&*parts.train).into_iter().map(|(value, _)| value).collect();
    let mut written: Vec<u8> = (0..300u32).map(|i| i as u8).collect();
    found.sort_unstable();
    written.sort_unstable();
    assert_eq!(found, written);
    #[cfg(target_os = "linux")]
    assert!(std::fs::read_dir("/proc/self/fd").unwrap().count() < 300);
}

#[test]
fn of_files_of_the_same_name_the_last_one_counts() {
    let place = Place::with(&[]);
    let appended =
        [("a/1.png", &png(1)[..]), ("b/2.png", &png(2)), ("a/1.png", &png(7)), ("a/3.png", &png(3))];
    place.write("set.tar", tar(&appended));
    assert_eq!(contents(&*open_parts(place.join("set.tar")).unwrap().train), [(7, "a"), (3, "a"), (2, "b")]);
    // A sample stays together.
    let sample =
        [("1.png", &png(1)[..]), ("1.cls", b"0"), ("2.png", &png(2)), ("2.cls", b"1"), ("1.png", &png(9))];
    place.write("samples/train-0.tar", tar(&sample));
    assert_eq!(contents(&*open_parts(place.join("samples")).unwrap().train), [(9, "0"), (2, "1")]);
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
    let apart = [("01.png", &png(1)[..]), ("02.png", &png(2)), ("01.cls", b"2"), ("02.cls", b"1")];
    place.write("train-0.tar", tar(&apart));
    let said = place.refused("");
    assert!(said.contains("found ") && said.contains("train-0.tar:01.cls elsewhere"), "{said}");
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
    // The second stream holds another archive, which is found only where both are unpacked.
    place.write("two.tar.xz", [BLOCKS, BLOCKS].concat());
    let said = place.refused("two.tar.xz");
    assert!(said.contains("something after its end, such as another archive"), "{said}");
}

#[test]
fn archives_one_after_another_in_a_file_are_refused_and_padding_is_not() {
    let place = Place::with(&[]);
    place.write("two.tar", [two_classes(), two_classes()].concat());
    let said = place.refused("two.tar");
    assert!(said.contains("two.tar: expected one tar archive") && said.contains("tar -A"), "{said}");
    place.write("padded.tar", [two_classes(), vec![0; 20 * 512]].concat());
    assert_eq!(open_parts(place.join("padded.tar")).unwrap().train.len(), 2);
}

#[test]
fn further_names_of_a_file_are_that_file() {
    let place = Place::with(&[]);
    let mut builder = tar::Builder::new(Vec::new());
    let mut file =
        |name: &str, bytes: &[u8]| builder.append(&header(name, bytes.len() as u64), bytes).unwrap();
    file("raw/x.bin", &png(3));
    file("a/1.png", &png(1));
    for (name, target) in
        [("b/2.png", "./a/1.png"), ("a/3.png", "raw/x.bin"), ("b/4.png", "b/2.png"), ("b/5.png", "none.png")]
    {
        let mut header = header(name, 0);
        header.set_entry_type(tar::EntryType::Link);
        header.set_link_name(target).unwrap();
        header.set_cksum();
        builder.append(&header, &b""[..]).unwrap();
    }
    place.write("set.tar", builder.into_inner().unwrap());
    let parts = open_parts(place.join("set.tar")).unwrap();
    assert_eq!(contents(&*parts.train), [(1, "a"), (1, "b"), (1, "b")]);
    assert!(parts.notes[0].starts_with("3 entries are no pictures in class folders"), "{:?}", parts.notes);
}

#[test]
fn files_with_holes_are_passed_over_and_noted() {
    let place = Place::with(&[]);
    let mut builder = tar::Builder::new(Vec::new());
    // A GNU entry says the length with its holes, here a megabyte, of which 512 bytes are stored.
    let mut sparse = header("a/holes.png", 512);
    sparse.set_entry_type(tar::EntryType::GNUSparse);
    let gnu = sparse.as_gnu_mut().unwrap();
    gnu.sparse[0].offset.copy_from_slice(b"00000000000\0");
    gnu.sparse[0].numbytes.copy_from_slice(b"00000001000\0");
    gnu.realsize.copy_from_slice(b"00004000000\0");
    gnu.sparse[1].offset.copy_from_slice(b"00004000000\0");
    gnu.sparse[1].numbytes.copy_from_slice(b"00000000000\0");
    sparse.set_cksum();
    builder.append(&sparse, &[7; 512][..]).unwrap();
    // The pax format has the list of holes before the content.
    builder
        .append_pax_extensions([("GNU.sparse.major", &b"1"[..]), ("GNU.sparse.name", b"a/more.png")])
        .unwrap();
    builder.append(&header("a/GNUSparseFile.1/more.png", 4), &b"1\n0\n"[..]).unwrap();
    for (name, value) in [("a/1.png", 1), ("b/2.png", 2)] {
        builder.append(&header(name, png(value).len() as u64), &png(value)[..]).unwrap();
    }
    builder.append(&sparse, &[7; 512][..]).unwrap();
    place.write("set.tar", builder.into_inner().unwrap());
    let parts = open_parts(place.join("set.tar")).unwrap();
    assert_eq!(contents(&*parts.train), [(1, "a"), (2, "b")]);
    assert!(parts.notes[0].starts_with("3 entries are no pictures"), "{:?}", parts.notes);
}

#[test]
fn samples_end_with_their_archive_and_have_one_picture() {
    let place = Place::with(&[]);
    let sample = |value: u8| tar(&[("s.png", &png(value)), ("s.cls", b"0")]);
    place.write("train-0.tar", sample(1));
    place.write("train-1.tar", sample(2));
    assert_eq!(contents(&*place.parts().train), [(1, "0"), (2, "0")]);
    let depth = [
        ("s.cls", &b"0"[..]),
        ("s.depth.png", &png(9)),
        ("s.png", &png(4)),
        ("t.cls", b"1"),
        ("t.tif", b"II"),
    ];
    place.write("train-1.tar", tar(&depth));
    let parts = place.parts();
    assert_eq!(contents(&*parts.train), [(1, "0"), (4, "0")]);
    assert_eq!(parts.notes[0], "1 entry is neither a picture nor a label and not read: t.tif");
    assert_eq!(parts.notes[1], "1 sample has no picture and not read: t.cls");
    place.write("train-1.tar", tar(&[("s.cls", &b"0"[..]), ("s.gif", &png(9)), ("s.png", &png(4))]));
    let said = place.refused("");
    assert!(said.contains("train-1.tar:s.gif: expected one picture in a sample, found s.png too"), "{said}");
}

#[test]
fn an_archive_beside_itself_packed_is_read_once() {
    let place = Place::with(&[]);
    place.write("train.tar", two_classes());
    place.write("train.tar.gz", gzip(&two_classes()));
    assert_eq!(place.parts().train.len(), 2);
}

#[test]
fn an_archive_that_holds_both_splits_is_counted_once() {
    let place = Place::with(&[]);
    let pictures: Vec<Vec<u8>> = (0..4).map(png).collect();
    let filler = vec![1; 1 << 16];
    let files = [
        ("train/a/1.png", &pictures[0]),
        ("train/b/2.png", &pictures[1]),
        ("val/a/3.png", &pictures[2]),
        ("val/b/4.png", &pictures[3]),
        ("x.bin", &filler),
    ];
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    place.write("set.tar.gz", gzip(&tar(&files)));
    let splits = open(place.join("set.tar.gz"), &OpenOptions::default()).unwrap();
    assert!((1 << 16..3 << 15).contains(&splits.memory()), "{}", splits.memory());
}
