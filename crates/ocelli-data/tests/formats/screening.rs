//! The look at every image: what is left out, what is replaced, what is kept decoded.

use image::{ImageFormat, RgbImage};
use ocelli_data::{CacheLimit, OpenOptions, Picture, Preprocess, open};

use crate::support::{Place, contents, encode, png};

/// Twenty pictures of two classes.
fn twenty() -> Place {
    let names: Vec<String> = (0..20).map(|i| format!("{}/{i:02}.png", ["a", "b"][i % 2])).collect();
    Place::with(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn options(most_unreadable: f64) -> OpenOptions {
    OpenOptions { most_unreadable, ..OpenOptions::default() }
}

#[test]
fn a_tenth_of_unreadable_pictures_is_too_much_unless_it_is_allowed() {
    let place = twenty();
    place.write("a/00.png", "no picture");
    place.write("b/01.png", &png(1)[..40]);
    let Err(error) = open(place.path(), &options(0.05)) else { panic!("opened") };
    let said = error.to_string();
    assert!(said.contains("at most 5 % of pictures that cannot be read, found 2 of 20, such as: "), "{said}");
    assert!(
        said.contains("a/00.png: it is no picture") && said.contains("b/01.png: it ends too early"),
        "{said}"
    );
    let splits = open(place.path(), &options(0.1)).unwrap();
    let found = &splits.found.train;
    assert_eq!((splits.train.len() + splits.val.len(), found.unreadable.count), (18, 2));
    let warnings = splits.found.warnings();
    assert!(
        warnings[0].starts_with("2 pictures to train on cannot be read and are left out")
            && warnings[0].contains("a/00.png"),
        "{warnings:?}"
    );
}

/// A PNG whose header is whole and whose pixels are not.
fn damaged_inside(value: u8) -> Vec<u8> {
    let mut bytes = png(value);
    let data = bytes.windows(4).position(|chunk| chunk == b"IDAT").unwrap();
    bytes[data + 8] ^= 0xff;
    bytes
}

#[test]
fn damage_that_only_decoding_shows_is_replaced_by_the_next_of_the_class() {
    let place = twenty();
    place.write("a/04.png", damaged_inside(4));
    let splits = open(place.path(), &options(0.1)).unwrap();
    let set = [&splits.train, &splits.val]
        .into_iter()
        .find(|set| (0..set.len()).any(|i| set.name_of(i).ends_with("04.png")))
        .unwrap();
    let damaged = (0..set.len()).find(|&i| set.name_of(i).ends_with("04.png")).unwrap();
    let (mut here, mut next) = (Picture::default(), Picture::default());
    set.read(damaged, &mut here).unwrap();
    let of_class = |&i: &usize| set.label(i) == set.label(damaged);
    let other = (damaged + 1..set.len()).chain(0..damaged).find(of_class).unwrap();
    set.read(other, &mut next).unwrap();
    assert_eq!(here, next);
    let replaced = set.replaced();
    assert_eq!(replaced.count, 1);
    assert!(replaced.first[0].contains("a/04.png: it is damaged"), "{replaced:?}");
    // However often it is read, it is one picture.
    set.read(damaged, &mut here).unwrap();
    assert_eq!(set.replaced().count, 1);
    let damaged = splits.decode_all().unwrap();
    assert_eq!(damaged.iter().map(|damaged| damaged.count).sum::<usize>(), 1);
}

#[test]
fn the_parts_of_one_set_share_what_may_be_unreadable() {
    let names: Vec<String> = (0..40).map(|i| format!("{}/{i:02}.png", ["a", "b"][i % 2])).collect();
    let place = Place::with(&names.iter().map(String::as_str).collect::<Vec<_>>());
    // Two of forty, one of them among the four that are held out: a quarter of these.
    let held = place.open().val.name_of(0);
    let held = std::path::Path::new(&held).strip_prefix(place.path()).unwrap().to_str().unwrap().to_owned();
    let kept = names.iter().find(|name| **name != held && name.starts_with(&held[..1])).unwrap();
    place.write(&held, damaged_inside(7));
    place.write(kept, damaged_inside(9));
    let splits = open(place.path(), &options(0.05)).unwrap();
    let count = |splits: &ocelli_data::Splits| splits.decode_all().unwrap().map(|damaged| damaged.count);
    assert_eq!(count(&splits), [1, 1]);
    let mut picture = Picture::default();
    let all = |set: &dyn ocelli_data::Dataset, picture: &mut Picture| -> Vec<String> {
        (0..set.len()).filter_map(|i| set.read(i, picture).err()).map(|e| e.to_string()).collect()
    };
    assert_eq!(all(&*splits.val, &mut picture), [""; 0]);
    assert_eq!(all(&*splits.train, &mut picture), [""; 0]);
    // A third one is too many, wherever it is found.
    let third =
        names.iter().find(|name| ![&held, kept].contains(name) && name.starts_with(&held[..1])).unwrap();
    place.write(third, damaged_inside(11));
    let splits = open(place.path(), &options(0.05)).unwrap();
    let errors = [all(&*splits.val, &mut picture), all(&*splits.train, &mut picture)].concat();
    assert!(errors.iter().any(|error| error.contains("found 3 of 40")), "{errors:?}");
}

/// Pictures on a disk that does not answer for one of them.
struct Failing(std::sync::Arc<dyn ocelli_data::Dataset>);

impl ocelli_data::Dataset for Failing {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn classes(&self) -> &[String] {
        self.0.classes()
    }

    fn image_shape(&self) -> [usize; 3] {
        self.0.image_shape()
    }

    fn label(&self, i: usize) -> u32 {
        self.0.label(i)
    }

    fn read(&self, i: usize, picture: &mut Picture) -> Result<(), ocelli_data::DataError> {
        match i {
            1 => Err(ocelli_data::DataError::Io {
                path: "disk".into(),
                action: "read",
                source: std::io::Error::from_raw_os_error(5),
            }),
            _ => self.0.read(i, picture),
        }
    }

    fn name_of(&self, i: usize) -> String {
        self.0.name_of(i)
    }

    fn decodes(&self) -> bool {
        true
    }
}

#[test]
fn a_disk_that_does_not_answer_is_no_picture_that_can_be_decoded() {
    let place = twenty();
    let splits = place.open();
    let failing = std::sync::Arc::new(Failing(splits.train.clone()));
    let splits = ocelli_data::Splits { train: failing, ..splits };
    let error = splits.decode_all().unwrap_err();
    assert_eq!(error.kind(), ocelli_data::ErrorKind::Io, "{error}");
}

#[test]
fn too_much_damage_is_an_error_when_it_shows() {
    let place = twenty();
    for i in [2, 4, 6, 8] {
        place.write(&format!("a/{i:02}.png"), damaged_inside(i));
    }
    let splits = open(place.path(), &options(0.1)).unwrap();
    let mut picture = Picture::default();
    let errors: Vec<String> = (0..splits.train.len())
        .filter_map(|i| splits.train.read(i, &mut picture).err())
        .map(|e| e.to_string())
        .collect();
    assert!(errors.iter().any(|e| e.contains("at most 10 % of pictures that cannot be read")), "{errors:?}");
}

#[test]
fn copies_are_found_within_and_across_splits_and_against_their_class() {
    let place = Place::with(&[
        "train/a/1.png",
        "train/a/2.png",
        "train/b/3.png",
        "train/b/4.png",
        "val/a/5.png",
        "val/b/6.png",
    ]);
    place.write("train/a/2.png", png(0));
    place.write("train/b/4.png", png(0));
    place.write("val/b/6.png", png(2));
    let found = place.open().found;
    assert_eq!((found.train.copies.count, found.val.copies.count, found.in_both.count), (2, 0, 1));
    assert_eq!(found.train.contradictions.count, 1);
    assert!(
        found.in_both.first[0].contains("val/b/6.png is ")
            && found.in_both.first[0].ends_with("train/b/3.png")
    );
    let warnings = found.warnings();
    assert!(
        warnings.iter().any(|w| w.starts_with("1 image to validate on is a copy of a training image")),
        "{warnings:?}"
    );
    assert!(
        warnings.iter().any(|w| w.contains("train/b/4.png (b) is") && w.ends_with("1.png (a)")),
        "{warnings:?}"
    );
}

#[test]
fn large_files_that_begin_alike_are_no_copies() {
    let place = Place::with(&["a/1.png", "b/2.png", "b/3.png"]);
    let mut image = RgbImage::new(64, 64);
    for name in ["a/4.bmp", "b/5.bmp"] {
        // BMP begins with the last row; only the first one differs.
        image.put_pixel(0, 0, image::Rgb([name.len() as u8, u8::from(name == "a/4.bmp"), 9]));
        place.write(name, encode(image.clone(), ImageFormat::Bmp));
    }
    let found = place.open().found;
    assert_eq!((found.train.copies.count, found.in_both.count), (0, 0));
    place.write("b/6.bmp", std::fs::read(place.join("a/4.bmp")).unwrap());
    let found = place.open().found;
    assert_eq!(found.train.copies.count + found.in_both.count, 1);
}

#[test]
fn sizes_are_told_and_settle_what_a_network_takes() {
    let place = Place::with(&[]);
    for (i, (w, h)) in [(300, 200), (400, 400), (500, 375), (90, 120), (1000, 700)].into_iter().enumerate() {
        let image = image::GrayImage::from_pixel(w, h, image::Luma([i as u8]));
        place.write(&format!("train/{}/{i}.png", i % 2), encode(image, ImageFormat::Png));
    }
    place.write("val/1/9.png", png(9));
    let splits = place.open();
    assert_eq!(splits.found.train.sizes.unwrap().to_string(), "120×90 to 700×1000, median 400×400");
    // The median of the shorter sides is 375; all training pictures are grey.
    assert_eq!((splits.train.image_shape(), splits.val.image_shape()), ([1, 224, 224], [1, 224, 224]));
    let preprocess = Preprocess::fit(&*splits.train).unwrap();
    assert_eq!((preprocess.channels, preprocess.size), (1, [224, 224]));
}

#[test]
fn pictures_that_are_kept_decoded_are_those_that_fit_and_change_nothing() {
    let place = twenty();
    let (plain, mut cached) = (place.open(), place.open());
    let one = (4 * 3 * 3 + size_of::<Picture>()) as u64;
    let plan = cached.plan_cache(CacheLimit::Bytes(5 * one + 1));
    assert_eq!((plan.images, plan.bytes), ([5, 0], 5 * one));
    assert_eq!(cached.plan_cache(CacheLimit::Off).bytes, 0);
    assert_eq!(cached.plan_cache(CacheLimit::Bytes(u64::MAX)).images, [plain.train.len(), plain.val.len()]);
    let before = cached.memory();
    cached.keep_decoded(&plan).unwrap();
    assert_eq!(
        cached.train.memory() + cached.val.memory() - plain.train.memory() - plain.val.memory(),
        5 * one
    );
    assert!(cached.memory() > before);
    assert_eq!(contents(&*cached.train), contents(&*plain.train));
    assert_eq!(Preprocess::fit(&*cached.train).unwrap(), Preprocess::fit(&*plain.train).unwrap());
    // The first five need no files any more.
    std::fs::remove_dir_all(place.join("a")).unwrap();
    let mut picture = Picture::default();
    let readable: Vec<bool> = (0..6).map(|i| cached.train.read(i, &mut picture).is_ok()).collect();
    assert_eq!(readable, [true, true, true, true, true, false]);
}

#[test]
fn what_is_left_out_is_the_same_whatever_is_kept_decoded() {
    let place = twenty();
    place.write("a/06.png", damaged_inside(6));
    let (plain, mut cached) =
        (open(place.path(), &options(0.2)).unwrap(), open(place.path(), &options(0.2)).unwrap());
    let plan = cached.plan_cache(CacheLimit::Bytes(1 << 20));
    cached.keep_decoded(&plan).unwrap();
    assert_eq!(contents(&*plain.train), contents(&*cached.train));
    assert_eq!(plain.train.replaced(), cached.train.replaced());
}

#[test]
fn a_damaged_picture_that_is_alone_in_its_class_is_left_out() {
    let place = twenty();
    place.write("train/a/1.png", png(100));
    for i in 0..20 {
        std::fs::rename(
            place.join(&format!("{}/{i:02}.png", ["a", "b"][i % 2])),
            place.join(&format!("{i}.png")),
        )
        .unwrap();
        place.write(&format!("train/{}/{i}.png", ["a", "b"][i % 2]), png(i as u8));
        place.write(&format!("val/a/{i}.png"), png(50 + i as u8));
    }
    place.write("val/b/alone.png", damaged_inside(90));
    let splits = open(place.path(), &options(0.1)).unwrap();
    assert_eq!((splits.val.len(), splits.found.val.unreadable.count), (20, 1));
    assert!(splits.found.val.unreadable.first[0].contains("alone.png"), "{:?}", splits.found.val.unreadable);
    assert_eq!(contents(&*splits.val).len(), 20);
}

#[test]
fn decoding_takes_more_where_the_format_keeps_more() {
    let place = twenty();
    let small = open(place.path(), &options(0.1)).unwrap().decoding_bytes();
    let deep = image::ImageBuffer::from_pixel(4, 3, image::Rgb([9u16, 10, 200]));
    place.write("a/deep.png", encode(deep, ImageFormat::Png));
    let large = open(place.path(), &options(0.1)).unwrap().decoding_bytes();
    assert_eq!((small, large), (4 * 3 * (3 + 1), 4 * 3 * (3 + 6 + 1)));
}
