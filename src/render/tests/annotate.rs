//! Annotated pictures.

use image::{Rgb, RgbImage};

use super::{answer, candidate, detection, numbers, photo};
use crate::hazard::{Answer, Lang, Severity};
use crate::record::PhotoRecord;
use crate::render::palette::{DETECTION, PAPER, look};
use crate::render::{AnnotateOptions, annotate};

const GREY: Rgb<u8> = Rgb([128, 128, 128]);
const BARE: AnnotateOptions<'static> = AnnotateOptions::for_report(Lang::En);

fn grey(width: u32, height: u32) -> RgbImage {
    RgbImage::from_pixel(width, height, GREY)
}

fn full(lang: Lang) -> AnnotateOptions<'static> {
    AnnotateOptions::standalone(lang, "sitewarden 0.1.0 · site-nano 1.0.0")
}

/// A scene whose boxes scale with the picture.
fn scene(width: u32, height: u32) -> PhotoRecord {
    let (w, h) = (width as f32, height as f32);
    let mut record = photo(width, height);
    record.detections = vec![detection("helmet", [w * 0.1, h * 0.6, w * 0.2, h * 0.2])];
    record.candidates = vec![candidate([w * 0.5, h * 0.4, w * 0.2, h * 0.2])];
    record.answers = vec![answer("STO-01", Answer::CannotDetermine, "No stack.")];
    record
}

#[test]
fn the_picture_comes_out_at_the_documented_size() {
    let check = |(w, h): (u32, u32), expected: (u32, u32)| {
        let bare = annotate(&grey(w, h), &scene(w, h), &BARE);
        assert_eq!(bare.dimensions(), expected, "{w}x{h}");
        let with_strip = annotate(&grey(w, h), &scene(w, h), &full(Lang::Zh));
        assert_eq!(with_strip.width(), expected.0);
        assert!(with_strip.height() > expected.1 + 50);
    };
    check((1, 1), (480, 8));
    check((64, 64), (512, 512));
    check((200, 150), (960, 720));
    check((640, 480), (960, 720));
    check((4000, 3000), (4000, 3000));
    check((1, 2000), (480, 2000));
    check((2000, 1), (2000, 1));
}

#[test]
fn frames_lie_where_the_boxes_are() {
    let check = |(w, h): (u32, u32), (shown_w, shown_h): (f32, f32)| {
        let out = annotate(&grey(w, h), &scene(w, h), &BARE);
        let frame = look(Severity::General).frame;
        let left = (shown_w * 0.5) as u32;
        let row = (shown_h * 0.5) as u32;
        let near = |x: u32, color: Rgb<u8>| {
            (x.saturating_sub(30)..x).any(|x| *out.get_pixel(x, row) == color)
        };
        assert!(near(left, frame), "{w}x{h}: no frame left of x={left}");
        // what the frame holds stays as it was
        let (x, y) = (shown_w as u32 * 6 / 10, row);
        assert_eq!(*out.get_pixel(x, y), GREY);
        let row = (shown_h * 0.7) as u32;
        let left = (shown_w * 0.1) as u32;
        let found =
            (left.saturating_sub(10)..left).any(|x| *out.get_pixel(x, row) == DETECTION.frame);
        assert!(found, "{w}x{h}: no frame of the detection");
    };
    check((64, 64), (512.0, 512.0));
    check((640, 480), (960.0, 720.0));
    check((4000, 3000), (4000.0, 3000.0));
}

#[test]
fn boxes_are_in_pixels_of_the_original() {
    let record = scene(4000, 3000);
    let small = annotate(&grey(1000, 750), &record, &BARE);
    let same = annotate(&grey(1000, 750), &scene(1000, 750), &BARE);
    assert_eq!(small, same);
}

#[test]
fn a_picture_with_nothing_to_show_stays_as_it_was() {
    let picture = RgbImage::from_fn(1200, 900, |x, y| Rgb([x as u8, y as u8, 7]));
    assert_eq!(annotate(&picture, &photo(1200, 900), &BARE), picture);
    let with_strip = annotate(&picture, &photo(1200, 900), &full(Lang::En));
    let top = image::imageops::crop_imm(&with_strip, 0, 0, 1200, 900).to_image();
    assert_eq!(top, picture);
    assert_eq!(*with_strip.get_pixel(0, 899 + 5), PAPER);
}

#[test]
fn detections_can_be_left_out() {
    let mut record = scene(1200, 900);
    record.candidates.clear();
    let options = AnnotateOptions {
        detections: false,
        ..BARE
    };
    assert_eq!(
        annotate(&grey(1200, 900), &record, &options),
        grey(1200, 900)
    );
}

#[test]
fn a_label_is_drawn_in_the_language_asked_for() {
    let record = scene(1200, 900);
    let en = annotate(&grey(1200, 900), &record, &BARE);
    let zh = annotate(
        &grey(1200, 900),
        &record,
        &AnnotateOptions::for_report(Lang::Zh),
    );
    assert_ne!(en, zh);
}

#[test]
fn no_box_however_broken_stops_the_drawing() {
    let broken = [
        [f32::NAN, 0.0, 10.0, 10.0],
        [0.0, 0.0, f32::INFINITY, 10.0],
        [-1e30, -1e30, 2e30, 2e30],
        [1e30, 1e30, 1.0, 1.0],
        [50.0, 50.0, -10.0, 20.0],
        [50.0, 50.0, 0.0, 0.0],
        [-500.0, -500.0, 20.0, 20.0],
        [f32::MIN, f32::MIN, f32::MAX, f32::MAX],
    ];
    let mut record = photo(1000, 800);
    for bbox in broken {
        record.candidates.push(candidate(bbox));
        record.detections.push(detection("头\u{0}\n", bbox));
    }
    record.candidates[0].score = f32::NAN;
    record.candidates[1].name.en = "x".repeat(10_000);
    record.candidates[2].why.text = "字".repeat(10_000);
    record.candidates[3].code = String::new();
    for (w, h) in [(1000, 800), (1, 1), (3, 900), (0, 0), (0, 7)] {
        for lang in [Lang::En, Lang::Zh] {
            annotate(&grey(w, h), &record, &full(lang));
        }
    }
    (record.width, record.height) = (Some(0), None);
    annotate(&grey(1000, 800), &record, &full(Lang::En));
}

#[test]
fn a_crowd_stays_bounded() {
    let mut next = numbers(3);
    let mut record = photo(640, 480);
    for i in 0..200 {
        let bbox = [next() * 600.0, next() * 440.0, 30.0, 40.0];
        let mut c = candidate(bbox);
        c.why.text = format!("Head {i} is bare.");
        record.candidates.push(c);
        record.detections.push(detection("person", bbox));
    }
    let out = annotate(&grey(640, 480), &record, &full(Lang::En));
    assert_eq!(out.width(), 960);
    // the legend is no higher than the picture and says how many it left out
    assert!(out.height() < 720 * 2 + 150, "{}", out.height());
    // the footer is there: its ground, and text on it
    let last_rows = image::imageops::crop_imm(&out, 0, out.height() - 60, 960, 60).to_image();
    assert!(last_rows.pixels().any(|p| p.0[0] < 60));
    assert!(last_rows.pixels().filter(|p| **p == PAPER).count() > 960 * 30);
}

#[test]
fn the_same_record_gives_the_same_picture() {
    let record = scene(640, 480);
    let once = annotate(&grey(640, 480), &record, &full(Lang::Zh));
    assert_eq!(once, annotate(&grey(640, 480), &record, &full(Lang::Zh)));
}
