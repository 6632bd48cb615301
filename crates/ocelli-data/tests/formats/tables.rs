//! Lists and CSV.

use ocelli_data::{OpenOptions, class_counts, open, open_parts};

use crate::support::{Place, contents, open_with_root, png, refused, tar};

#[test]
fn lists_have_a_path_and_a_label_on_each_line() {
    let place = Place::with(&["x/1.png", "x/2 and more.png", "3.png"]);
    place.write("set.txt", "# pictures\nx/1.png 2\r\n\nx/2 and more.png 0\n./3.png  2");
    let parts = open_parts(place.join("set.txt")).unwrap();
    assert_eq!(contents(&*parts.train), [(0, "2"), (1, "0"), (2, "2")]);
    // A number that no picture has is a class without images.
    assert_eq!((parts.name.as_str(), class_counts(&*parts.train)), ("set", vec![1, 0, 2]));
    place.write("classes.txt", "cat\ndog\nfox");
    assert_eq!(contents(&*open_parts(place.join("set.txt")).unwrap().train)[0], (0, "fox"));
    place.write("set.txt", "x/1.png 3\n");
    let said = place.refused("set.txt");
    assert!(said.contains("labels of the 3 classes in") && said.contains("label \"3\""), "{said}");
}

#[test]
fn labels_may_be_names() {
    let place = Place::with(&["1.png", "2.png", "3.png"]);
    place.write("set.lst", "1.png\tpolar bear\n2.png\tant\n3.png\tpolar bear\n");
    assert_eq!(
        contents(&*open_parts(place.join("set.lst")).unwrap().train),
        [(0, "polar bear"), (1, "ant"), (2, "polar bear")]
    );
}

#[test]
fn paths_are_relative_to_the_root_or_lie_in_an_archive() {
    let place = Place::with(&["pictures/a.png", "pictures/b.png"]);
    place.write("lists/set.txt", "a.png 0\nb.png 1\n");
    let said = place.refused("lists/set.txt");
    assert!(said.contains("expected paths of files that exist, found no a.png in"), "{said}");
    assert!(said.contains("--root"), "{said}");
    let opened = open_with_root(&place.join("lists/set.txt"), &place.join("pictures")).unwrap();
    assert_eq!(contents(&*opened.train), [(0, "0"), (1, "1")]);
    place.write("set.tar", tar(&[("b.png", &png(7)), ("c.png", &png(8)), ("a.png", &png(9))]));
    let opened = open_with_root(&place.join("lists/set.txt"), &place.join("set.tar")).unwrap();
    assert_eq!(contents(&*opened.train), [(9, "0"), (7, "1")]);
    // An archive beside the list that is called like it needs no naming.
    place.write("lists/set.tar", tar(&[("b.png", &png(5)), ("a.png", &png(6))]));
    assert_eq!(contents(&*open_parts(place.join("lists/set.txt")).unwrap().train), [(6, "0"), (5, "1")]);
    place.write("lists/set.txt", "a.png 0\nnone.png 1\n");
    let said = refused(open_with_root(&place.join("lists/set.txt"), &place.join("set.tar")));
    assert!(said.contains("found no none.png in"), "{said}");
}

#[test]
fn absent_files_of_a_list_are_unreadable_pictures() {
    let place = Place::with(&["1.png", "2.png", "3.png"]);
    place.write("set.txt", "1.png 0\n2.png 1\n3.png 1\ngone.png 0\n");
    let Err(error) = open(place.join("set.txt"), &OpenOptions::default()) else { panic!("opened") };
    let said = error.to_string();
    assert!(said.contains("expected at most 5 % of pictures that cannot be read, found 1 of 4"), "{said}");
    assert!(said.contains("gone.png: cannot read") && said.contains("--most-unreadable"), "{said}");
    let options = OpenOptions { most_unreadable: 0.25, ..OpenOptions::default() };
    let splits = open(place.join("set.txt"), &options).unwrap();
    assert_eq!((splits.train.len() + splits.val.len(), splits.found.train.unreadable.count), (3, 1));
}

#[test]
fn lines_that_cannot_be_meant_are_named() {
    let place = Place::with(&["1.png"]);
    for (text, said) in [
        ("1.png 0\n1.png\n", "set.txt, line 2: expected a path and a label, found no label"),
        ("1.png 0\n1.png 4000000000\n", "expected labels from 0 to 65534, found label 4000000000"),
        ("1.png \u{e9}\n1.png \u{ff}", ""),
    ] {
        place.write("set.txt", text);
        match open_parts(place.join("set.txt")) {
            Ok(_) => assert!(said.is_empty(), "{text}"),
            Err(error) => assert!(!said.is_empty() && error.to_string().contains(said), "{error}"),
        }
    }
    place.write("set.txt", b"1.png \xff\xfe\n");
    assert!(
        place.refused("set.txt").contains(r"line 1: expected a label that is UTF-8 text, found \xff\xfe")
    );
    place.write("notes.txt", "some text\n");
    assert!(place.refused("notes.txt").contains("no known kind of data"));
}

#[test]
fn csv_finds_its_columns_by_their_names() {
    let place = Place::with(&["a,b.png", "2.png", "3.png", "4.png"]);
    place.write("set.csv", "id,Label,File,split\n1,cat,\"a,b.png\",train\n2,\"dog, small\",2.png,train\n3,cat,3.png,val\n4,cat,4.png,test\n");
    let parts = open_parts(place.join("set.csv")).unwrap();
    assert_eq!(contents(&*parts.train), [(0, "cat"), (1, "dog, small")]);
    assert_eq!(
        (contents(&*parts.val.unwrap()), contents(&*parts.test.unwrap())),
        (vec![(2, "cat")], vec![(3, "cat")])
    );
    place.write("set.csv", "\u{feff}filename;class\n2.png;0\n3.png;1\n");
    assert_eq!(contents(&*open_parts(place.join("set.csv")).unwrap().train), [(1, "0"), (2, "1")]);
    place.write("set.tsv", "image\tcategory\n2.png\tx\n");
    assert_eq!(contents(&*open_parts(place.join("set.tsv")).unwrap().train), [(1, "x")]);
}

#[test]
fn csv_that_cannot_be_meant_is_refused_by_line() {
    let place = Place::with(&["1.png"]);
    let said = |text: &str| {
        place.write("set.csv", text);
        place.refused("set.csv")
    };
    let no_label = said("path,size\n1.png,3\n");
    assert!(no_label.contains("line 1: expected a column of labels, called label, class"), "{no_label}");
    assert!(no_label.contains("found the columns path, size"), "{no_label}");
    assert!(
        said("path,label\n1.png,a\n1.png\n")
            .contains("line 3: expected 2 fields, as the first line has, found 1")
    );
    assert!(said("path,label\n1.png,a\n,b\n").contains("line 3: expected a path and a label, found no path"));
    assert!(said("path,label\n").contains("a line for each picture, found none"));
    assert!(
        said("path,label,split\n1.png,a,spare\n")
            .contains("train, val or test in the column of splits, found \"spare\"")
    );
}

#[test]
fn a_quote_that_is_not_closed_is_refused_and_not_a_long_label() {
    let place = Place::with(&["1.png", "2.png", "3.png"]);
    place.write("set.csv", "path,label\n1.png,a\n2.png,\"b\n3.png,a\n");
    let said = place.refused("set.csv");
    assert!(said.contains("set.csv, line 3") && said.contains("a quote that is not closed?"), "{said}");
    place.write("set.tsv", "path\tlabel\n1.png\t\"a\n2.png\t\"b\n3.png\ta\n");
    assert!(place.refused("set.tsv").contains("a quote that is not closed?"));
}

#[test]
fn a_list_does_not_name_its_own_classes() {
    let place = Place::with(&["1.png", "2.png"]);
    place.write("labels.txt", "1.png 0\n2.png 1\n");
    assert_eq!(contents(&*open_parts(place.join("labels.txt")).unwrap().train), [(0, "0"), (1, "1")]);
    place.write("classes.txt", "cat\ndog\n");
    assert_eq!(contents(&*open_parts(place.join("labels.txt")).unwrap().train), [(0, "cat"), (1, "dog")]);
}

#[test]
fn numbers_that_are_names_of_classes_are_meant_as_names() {
    let place = Place::with(&["1.png", "2.png"]);
    place.write("classes.txt", "1\n2\n5\n");
    place.write("set.txt", "1.png 1\n2.png 2\n");
    assert_eq!(contents(&*open_parts(place.join("set.txt")).unwrap().train), [(0, "1"), (1, "2")]);
    place.write("classes.txt", "10\n20\n");
    place.write("set.txt", "1.png 10\n2.png 20\n");
    assert_eq!(contents(&*open_parts(place.join("set.txt")).unwrap().train), [(0, "10"), (1, "20")]);
}
