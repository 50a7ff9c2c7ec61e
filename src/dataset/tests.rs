//! The same labels in three formats, and labels that are wrong.

use std::fs;
use std::path::Path;

use super::*;
use crate::eval::report::Weight;

fn set(name: &Path, split: Option<&str>) -> Result<LabelledSet, DatasetError> {
    open(Open {
        name: name.to_str().unwrap(),
        photos: None,
        split,
        data: None,
        // every photo of these tests
        size_of: &|_| Some((200, 100)),
    })
}

fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Class name, box and crowd of every box.
fn boxes(set: &LabelledSet) -> Vec<(String, [f64; 4], bool)> {
    let name = |id| {
        let class = set.truth.classes.iter().find(|c| c.id == id);
        class.map_or("?".to_owned(), |c| c.name.clone())
    };
    let boxes = set.truth.boxes.iter();
    boxes.map(|b| (name(b.class), b.bbox, b.crowd)).collect()
}

fn expected() -> Vec<(String, [f64; 4], bool)> {
    vec![
        ("helmet".into(), [20.0, 10.0, 60.0, 40.0], false),
        ("person".into(), [0.0, 0.0, 100.0, 100.0], false),
    ]
}

#[test]
fn coco() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        "val.json",
        r#"{"images": [{"id": 7, "file_name": "a.jpg", "width": 200, "height": 100}],
            "annotations": [
              {"id": 1, "image_id": 7, "category_id": 3, "bbox": [20, 10, 60, 40], "area": 9.5},
              {"id": 2, "image_id": 7.0, "category_id": 1, "bbox": [0, 0, 100, 100], "iscrowd": 0}],
            "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "helmet"}]}"#,
    );
    write(root.path(), "val/a.jpg", "");
    let set = set(&root.path().join("val.json"), None).unwrap();
    assert_eq!(boxes(&set), expected());
    let areas: Vec<f64> = set.truth.boxes.iter().map(|b| b.area).collect();
    assert_eq!(areas, [9.5, 10_000.0]);
    assert_eq!(set.photos_dir, root.path().join("val"));
    assert_eq!((set.format, set.sha256.len()), ("coco", 64));
}

#[test]
fn an_area_that_is_none_is_the_box_s_and_a_class_id_counts_once() {
    let root = tempfile::tempdir().unwrap();
    let text = r#"{"images": [{"id": 7, "file_name": "a.jpg", "width": 200, "height": 100}],
        "annotations": [
          {"id": 1, "image_id": 7, "category_id": 1, "bbox": [20, 10, 60, 40], "area": -5}],
        "categories": [{"id": 1, "name": "person"}, {"id": 1, "name": "helmet"}]}"#;
    write(root.path(), "val.json", &format!("\u{feff}{text}"));
    let mut set = set(&root.path().join("val.json"), None).unwrap();
    assert_eq!(set.truth.boxes[0].area, 2400.0);
    let found = check_labels(&mut set.truth);
    assert_eq!(set.truth.classes.len(), 1);
    assert!(
        found.iter().any(|f| f.code == "class_id_twice"),
        "{found:?}"
    );
}

#[test]
fn yaml_aliases_are_refused_before_they_are_copied() {
    let root = tempfile::tempdir().unwrap();
    let mut bomb = "a0: &a0 [x, x]\n".to_owned();
    for i in 1..40 {
        bomb += &format!("a{i}: &a{i} [*a{0}, *a{0}, *a{0}, *a{0}]\n", i - 1);
    }
    write(root.path(), "data.yaml", &(bomb + "names: [a]\nval: v\n"));
    let error = set(&root.path().join("data.yaml"), None).unwrap_err();
    assert!(error.to_string().contains("aliases"), "{error}");
}

#[test]
fn yolo() {
    for names in [
        "names: [person, helmet]",
        "names:\n  0: person\n  1: helmet",
    ] {
        let root = tempfile::tempdir().unwrap();
        let yaml = format!("train: ../train/images\nval: ../valid/images\nnc: 2\n{names}\n");
        write(root.path(), "data.yaml", &yaml);
        write(root.path(), "train/images/t.jpg", "");
        write(root.path(), "valid/images/a.jpg", "");
        write(root.path(), "valid/images/b.png", "");
        write(
            root.path(),
            "valid/labels/a.txt",
            "1 0.25 0.3 0.3 0.4\n0 0.25 0.5 0.5 1\nnot a row\n",
        );
        for name in [root.path().to_owned(), root.path().join("data.yaml")] {
            let set = set(&name, None).unwrap();
            let round = |v: f64| (v * 1e9).round() / 1e9;
            let rounded = boxes(&set)
                .into_iter()
                .map(|(c, b, w)| (c, b.map(round), w));
            assert_eq!(rounded.collect::<Vec<_>>(), expected());
            assert_eq!(set.truth.photos.len(), 2);
            assert_eq!(set.split.as_deref(), Some("val"));
            assert_eq!(set.other_splits[0].0, "train");
            let codes: Vec<&str> = set.findings.iter().map(|f| f.code.as_str()).collect();
            assert_eq!(codes, ["no_label_file", "bad_label_line"]);
        }
        let error = set(&root.path().join("data.yaml"), Some("test")).unwrap_err();
        assert!(
            error.to_string().contains("it has [\"val\", \"train\"]"),
            "{error}"
        );
    }
}

#[test]
fn a_data_yaml_that_leads_nowhere_says_so() {
    let root = tempfile::tempdir().unwrap();
    let refused = |text: &str| {
        write(root.path(), "data.yaml", text);
        set(root.path(), None).unwrap_err().to_string()
    };
    for (text, says) in [
        ("names: [head]\n", "val: path/to/images"),
        ("names: [head]\nval: [a, b]\n", "one folder"),
        ("names: [head]\nval: nowhere\n", "`val` leads to"),
        ("names: [head]\nval: data.yaml\n", "text files"),
        ("names: {0: head, x: y}\nval: .\n", "`names`"),
        ("names: [head\nval: .\n", "no YAML"),
        ("", "`names`"),
    ] {
        let error = refused(text);
        assert!(error.contains(says), "{text:?}: {error}");
    }
}

#[test]
fn pascal_voc() {
    let root = tempfile::tempdir().unwrap();
    let object = |name: &str, [x1, y1, x2, y2]: [i32; 4], difficult: i32| {
        format!(
            "<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{x1}</xmin>\
             <ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        )
    };
    let xml = |objects: &str| {
        format!(
            "<annotation><filename>elsewhere.jpg</filename><size><width>200</width>\
             <height>100</height><depth>3</depth></size>{objects}</annotation>"
        )
    };
    // 1-based and inclusive
    let a = object("helmet", [21, 11, 80, 50], 0) + &object("person", [1, 1, 100, 100], 0);
    write(root.path(), "Annotations/a.xml", &xml(&a));
    write(
        root.path(),
        "Annotations/b.xml",
        &xml(&object("person", [1, 1, 9, 9], 1)),
    );
    write(root.path(), "JPEGImages/a.jpg", "");
    write(root.path(), "ImageSets/Main/val.txt", "a\n");
    let val = set(root.path(), Some("val")).unwrap();
    assert_eq!(boxes(&val), expected());
    // the photo that lies there, not the one on the labeller's disk
    assert_eq!(val.truth.photos[0].file, "a.jpg");
    let refused = |split: &str| {
        let error = set(root.path(), Some(split)).unwrap_err();
        error.to_string()
    };
    assert!(refused("test").contains("[\"val\"]"));
    // nobody named one: not all of them at once
    let usual = set(root.path(), None).unwrap();
    assert_eq!(usual.split.as_deref(), Some("val"));
    assert_eq!((usual.truth, usual.other_splits), (val.truth, Vec::new()));

    write(root.path(), "ImageSets/Main/train.txt", "b 1\nc -1\n");
    let train = set(root.path(), Some("train")).unwrap();
    assert_eq!(
        boxes(&train),
        [("person".into(), [0.0, 0.0, 9.0, 9.0], true)]
    );
    assert_eq!(train.other_splits[0].1, root.path().join("JPEGImages"));
    assert_eq!(train.findings[0].code, "listed_without_labels");
    assert_eq!(train.findings[0].examples, ["c"]);

    std::fs::remove_dir_all(root.path().join("ImageSets")).unwrap();
    let all = set(root.path(), None).unwrap();
    assert_eq!((all.truth.photos.len(), all.split), (2, None));
    assert!(refused("val").contains("leave --split out"));
}

#[test]
fn a_pascal_voc_list_that_names_nobody_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let xml = "<annotation><filename>a.jpg</filename><size><width>20</width><height>10</height>\
               <depth>3</depth></size></annotation>";
    write(root.path(), "Annotations/a.xml", xml);
    write(root.path(), "ImageSets/Main/val.txt", "\n");
    let error = set(root.path(), None).unwrap_err().to_string();
    assert!(error.contains("lists no photos"), "{error}");
}

#[test]
fn what_cannot_be_judged_by_is_taken_out_and_said() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        "bad.json",
        r#"{"images": [
              {"id": 1, "file_name": "NaN \" NaN.jpg", "width": 200, "height": 100},
              {"id": 1, "file_name": "again.jpg", "width": 200, "height": 100},
              {"id": 2, "file_name": "empty.jpg", "width": 200, "height": 100}],
            "annotations": [
              {"id": 1, "image_id": 1, "category_id": 1, "bbox": [NaN, 0, 10, 10]},
              {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, -Infinity, 10]},
              {"id": 3, "image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 0]},
              {"id": 4, "image_id": 9, "category_id": 1, "bbox": [0, 0, 10, 10]},
              {"id": 5, "image_id": 1, "category_id": 9, "bbox": [0, 0, 10, 10]},
              {"id": 6, "image_id": 1, "category_id": 1, "bbox": [190, 0, 20, 10]},
              {"id": 7, "image_id": 1, "category_id": 1, "bbox": [190, 0, 20, 10]},
              {"id": 8, "image_id": 1, "category_id": 1},
              {"id": 9, "image_id": 1, "category_id": 1, "bbox": [1e300, 0, 10, 10]}],
            "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]}"#,
    );
    let mut set = set(&root.path().join("bad.json"), None).unwrap();
    assert_eq!(set.truth.photos[0].file, "NaN \" NaN.jpg");
    let found = check_labels(&mut set.truth);
    let counts: Vec<(&str, usize)> = found.iter().map(|f| (f.code.as_str(), f.count)).collect();
    assert_eq!(
        counts,
        [
            ("photo_id_twice", 1),
            ("unknown_photo", 1),
            ("unknown_class", 1),
            ("box_not_a_number", 4),
            ("box_without_area", 1),
            ("box_outside", 2),
            ("box_twice", 1),
            ("class_without_box", 1),
            ("photo_without_box", 1),
        ]
    );
    let kept: Vec<u64> = set.truth.boxes.iter().map(|b| b.id).collect();
    assert_eq!(kept, [6, 7]);
}

#[test]
fn a_photo_with_more_boxes_than_anybody_labels_is_left_out() {
    let root = tempfile::tempdir().unwrap();
    let boxes: Vec<String> = (0..10_002)
        .map(|i| {
            let photo = 1 + i64::from(i == 10_001);
            format!(r#"{{"id": {i}, "image_id": {photo}, "category_id": 1, "bbox": [0, 0, 9, 9]}}"#)
        })
        .collect();
    let text = format!(
        r#"{{"images": [{{"id": 1, "file_name": "a.jpg"}}, {{"id": 2, "file_name": "b.jpg"}}],
            "annotations": [{}], "categories": [{{"id": 1, "name": "a"}}]}}"#,
        boxes.join(",")
    );
    write(root.path(), "crowd.json", &text);
    let mut set = set(&root.path().join("crowd.json"), None).unwrap();
    let found = check_labels(&mut set.truth);
    assert_eq!(found[0].code, "photo_with_too_many_boxes");
    assert_eq!(found[0].examples, ["a.jpg (10001 boxes)"]);
    assert_eq!((set.truth.photos.len(), set.truth.boxes.len()), (1, 1));
}

#[test]
fn photos_are_checked_against_their_labels() {
    let sizes = [
        ("good.jpg", (200, 100), (200, 100)),
        ("turned.jpg", (200, 100), (100, 200)),
        ("other.jpg", (200, 100), (400, 200)),
        ("unknown.jpg", (0, 0), (400, 200)),
    ];
    let sizes = sizes.map(|(f, d, o)| (f.to_owned(), d, o));
    let unreadable = vec![("b.jpg".to_owned(), "cut short".to_owned())];
    let found = check_photos(vec!["a.jpg".to_owned()], unreadable, sizes.into_iter());
    let codes: Vec<(&str, Weight)> = found.iter().map(|f| (f.code.as_str(), f.weight)).collect();
    assert_eq!(
        codes,
        [
            ("photo_missing", Weight::Error),
            ("photo_unreadable", Weight::Error),
            ("photo_turned", Weight::Warning),
            ("photo_other_size", Weight::Warning),
        ]
    );
}

#[test]
fn duplicates_are_told_apart_by_where_they_lie() {
    let named = |names: &[(&str, u128)]| -> Vec<(String, u128)> {
        names.iter().map(|(n, h)| ((*n).to_owned(), *h)).collect()
    };
    let far = |i: u32| (u128::MAX / 3) ^ (0xffff_ffff << (32 * i));
    let found = check_duplicates(
        &named(&[("a", far(0)), ("b", far(1)), ("c", far(0) ^ 1)]),
        &named(&[
            ("train: x", far(1)),
            ("train: y", far(2)),
            ("train: z", far(2)),
        ]),
    );
    let found: Vec<(&str, &[String])> = found
        .iter()
        .map(|f| (f.code.as_str(), &f.examples[..]))
        .collect();
    assert_eq!(
        found,
        [
            ("duplicate_across_splits", &["b = train: x".to_owned()][..]),
            ("duplicate_within_split", &["a = c".to_owned()][..]),
        ]
    );
}

#[test]
fn refusals_say_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        "none.json",
        r#"{"images": [], "annotations": [], "categories": []}"#,
    );
    write(
        root.path(),
        "text.json",
        r#"{"images": [{"id": "one", "file_name": "a.jpg"}], "annotations": [], "categories": []}"#,
    );
    write(root.path(), "list.json", "[]");
    write(root.path(), "no-names/data.yaml", "val: images\n");
    fs::create_dir(root.path().join("folder")).unwrap();
    for (file, says) in [
        ("none.json", "lists no photos"),
        ("text.json", "whole numbers from 0"),
        ("list.json", "it needs `images`"),
        ("no-names", "has no `names`"),
        ("folder", "for COCO name the JSON file"),
        ("nowhere", "give a COCO JSON file"),
    ] {
        let error = set(&root.path().join(file), None).unwrap_err().to_string();
        assert!(error.contains(says), "{file}: {error}");
    }
}

#[test]
fn predictions_that_are_no_numbers_are_refused_by_their_row() {
    let root = tempfile::tempdir().unwrap();
    let good = r#"{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}"#;
    let file = root.path().join("p.json");
    for (bad, says) in [
        (good.replace("0.5", "NaN"), "entry 1 of the list"),
        (good.replace("0.5", "1.5"), "entry 1 of the list"),
        (good.replace("0.5", "87"), "percent: divide by 100"),
        (good.replace("0.5", "-2.5"), "logits: apply the sigmoid"),
        (good.replace("[1, 2", "[1, Infinity"), "entry 1 of the list"),
        (good.replace("[1, 2", "[1e300, 2"), "in pixels of a photo"),
        (good.replace("3, 4]", "-3, 4]"), "in pixels of a photo"),
        (good.replace("[1, 2", "[1"), "is no COCO results file"),
        (
            good.replace("\"image_id\": 1", "\"image_id\": -1"),
            "whole number from 0",
        ),
    ] {
        fs::write(&file, format!("[{good}, {bad}]")).unwrap();
        let error = read_predictions(&file).unwrap_err().to_string();
        assert!(error.contains(says), "{bad}: {error}");
    }
    fs::write(&file, format!("[{good}]")).unwrap();
    assert_eq!(
        read_predictions(&file).unwrap().0[0].bbox,
        [1.0, 2.0, 3.0, 4.0]
    );
}
