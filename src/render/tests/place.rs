//! Labels never lie on one another and never leave the picture.

use super::numbers;
use crate::render::place::{Area, Desk};

#[test]
fn labels_keep_apart_and_inside() {
    let bounds = Area::new(0, 0, 640, 480);
    let mut next = numbers(7);
    let boxes: Vec<Area> = (0..200)
        .map(|_| {
            let (w, h) = (8 + (next() * 60.0) as i32, 8 + (next() * 60.0) as i32);
            Area::new((next() * 632.0) as i32, (next() * 472.0) as i32, w, h).cut(bounds)
        })
        .collect();
    let mut desk = Desk::new(bounds, boxes.clone());
    let mut placed: Vec<Area> = Vec::new();
    for &b in &boxes {
        let size = (24, 18);
        let spot = desk
            .beside(b, size, 8)
            .or_else(|| desk.around(b, size, 160));
        placed.extend(spot);
    }
    assert!(placed.len() > 150, "only {} found a place", placed.len());
    for (i, &a) in placed.iter().enumerate() {
        assert_eq!(a.cut(bounds), a);
        assert!(placed[..i].iter().all(|&b| !a.meets(b)), "{a:?}");
    }
}

#[test]
fn a_label_that_does_not_fit_finds_no_place() {
    let mut desk = Desk::new(Area::new(0, 0, 40, 20), Vec::new());
    let anchor = Area::new(10, 5, 10, 10);
    assert_eq!(desk.beside(anchor, (50, 10), i64::MAX), None);
    assert_eq!(desk.beside(anchor, (10, 30), i64::MAX), None);
    assert_eq!(desk.around(anchor, (50, 10), 500), None);
    assert!(desk.beside(anchor, (40, 5), i64::MAX).is_some());
}

#[test]
fn a_label_goes_where_it_hides_least() {
    let head = Area::new(50, 50, 20, 20);
    let neighbour = Area::new(45, 25, 30, 22);
    let mut desk = Desk::new(Area::new(0, 0, 200, 200), vec![head, neighbour]);
    let spot = desk.beside(head, (30, 12), 0).unwrap();
    assert!(!spot.meets(neighbour) && !spot.meets(head), "{spot:?}");
}
