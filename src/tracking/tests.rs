use super::*;

const SIZE: (u32, u32) = (800, 600);

fn detection(x: f32, y: f32, score: f32) -> Detection {
    Detection {
        class: 0,
        score,
        bbox: BBox::from_xywh([x, y, 40.0, 100.0]),
    }
}

/// Walks `n` frames at 10 a second; each frame's detections by its index.
fn follow(config: TrackerConfig, n: usize, frame: impl Fn(usize) -> Vec<Detection>) -> Tracker {
    let mut tracker = Tracker::new(config);
    for i in 0..n {
        tracker.update(i as f64 / 10.0, SIZE, &frame(i));
    }
    tracker
}

/// See `tests/data/tracking/make_golden.py`.
#[test]
fn the_tracks_are_those_of_the_reference() {
    #[derive(serde::Deserialize)]
    struct Golden {
        lost_frames: u32,
        frames: Vec<Frame>,
    }
    #[derive(serde::Deserialize)]
    struct Frame {
        detections: Vec<[f32; 5]>,
        tracks: Vec<(u64, f32, f32, f32, f32)>,
    }
    let golden: Golden =
        serde_json::from_str(include_str!("../../tests/data/tracking/vtest.json")).unwrap();
    // one step a frame; the reference lets go one frame later than it says
    let mut tracker = Tracker::new(TrackerConfig {
        lost_s: f64::from(golden.lost_frames) + 1.5,
        relink_s: 0.0,
        reach: 0.0,
        step_s: 1.0,
        ..TrackerConfig::default()
    });
    let mut boxes = 0;
    for (i, frame) in golden.frames.iter().enumerate() {
        let detections: Vec<Detection> = frame
            .detections
            .iter()
            .map(|&[x, y, w, h, score]| Detection {
                class: 0,
                score,
                bbox: BBox::from_xywh([x, y, w, h]),
            })
            .collect();
        tracker.update(i as f64, SIZE, &detections);
        let mut ours: Vec<&Track> = tracker
            .tracks()
            .iter()
            .filter(|t| t.confirmed && !t.is_lost())
            .collect();
        ours.sort_by_key(|t| t.id);
        let mut theirs = frame.tracks.clone();
        theirs.sort_by_key(|t| t.0);
        let ids = |i: &[u64]| format!("{i:?}");
        assert_eq!(
            ids(&ours.iter().map(|t| t.id).collect::<Vec<_>>()),
            ids(&theirs.iter().map(|t| t.0).collect::<Vec<_>>()),
            "frame {i}"
        );
        for (our, &(_, x1, y1, x2, y2)) in ours.iter().zip(&theirs) {
            let iou = our.bbox.iou(BBox::new(x1, y1, x2, y2));
            assert!(iou > 0.995, "frame {i}, track {}: {iou}", our.id);
            boxes += 1;
        }
    }
    assert!(boxes > 500, "{boxes}");
}

#[test]
fn a_walker_keeps_the_track_through_missed_and_doubtful_frames() {
    let tracker = follow(TrackerConfig::default(), 40, |i| match i {
        10..14 => vec![],
        20..24 => vec![detection(10.0 + 4.0 * i as f32, 50.0, 0.15)],
        _ => vec![detection(10.0 + 4.0 * i as f32, 50.0, 0.8)],
    });
    assert_eq!(tracker.tracks().len(), 1);
    let track = &tracker.tracks()[0];
    assert_eq!((track.id, track.hits), (1, 36));
    assert!(
        (track.bbox.center().0 - 186.0).abs() < 3.0,
        "{:?}",
        track.bbox
    );
}

#[test]
fn two_who_cross_keep_their_tracks() {
    let at = |i: usize| (10.0 + 8.0 * i as f32, 400.0 - 8.0 * i as f32);
    let mut tracker = Tracker::new(TrackerConfig::default());
    let mut ends = Vec::new();
    for i in 0..48 {
        let (a, b) = at(i);
        let seen = [detection(a, 50.0, 0.8), detection(b, 62.0, 0.8)];
        // nearly one on the other: only the nearer of the two is found
        let shown = if (a - b).abs() < 14.0 {
            &seen[1..]
        } else {
            &seen[..]
        };
        ends = tracker.update(i as f64 / 10.0, SIZE, shown);
    }
    assert_eq!(ends.len(), 2);
    let track_of = |detection| {
        ends.iter()
            .find(|s| s.detection == detection)
            .map(|s| s.track)
    };
    assert_eq!((track_of(0), track_of(1)), (Some(1), Some(2)));
}

#[test]
fn who_is_gone_for_long_comes_back_as_somebody_new() {
    let gone = |relink_s: f64| {
        let config = TrackerConfig {
            relink_s,
            ..TrackerConfig::default()
        };
        let tracker = follow(config, 60, |i| {
            if (10..50).contains(&i) {
                vec![]
            } else {
                vec![detection(50.0, 50.0, 0.8)]
            }
        });
        ids(&tracker)
    };
    assert_eq!(gone(0.0), [2]);
    assert_eq!(gone(3.5), [2]);
    assert_eq!(gone(6.0), [1], "in the very place");
}

fn ids(tracker: &Tracker) -> Vec<TrackId> {
    tracker.tracks().iter().map(|t| t.id).collect()
}

/// Walks at one height a second, is hidden for a second and a half, and comes out at `comes_out`.
fn hidden(others: &[Detection], comes_out: &[Detection]) -> Tracker {
    follow(TrackerConfig::default(), 40, |i| {
        let own = match i {
            0..20 => vec![detection(10.0 * i as f32, 50.0, 0.8)],
            20..35 => vec![],
            _ => comes_out.to_vec(),
        };
        [own, others.to_vec()].concat()
    })
}

#[test]
fn a_walker_who_was_hidden_goes_on_or_has_stopped_and_keeps_the_track() {
    // seen last at 190; walked on it would be 345
    for x in [190.0, 260.0, 345.0, 380.0] {
        let tracker = hidden(&[], &[detection(x, 50.0, 0.8)]);
        assert_eq!(ids(&tracker), [1], "{x}");
        let track = &tracker.tracks()[0];
        assert!((24..=25).contains(&track.hits), "{x}: {}", track.hits);
        assert_eq!((track.first_s, track.is_lost()), (0.0, false), "{x}");
    }
}

#[test]
fn who_cannot_have_come_from_there_is_somebody_new() {
    let taller = Detection {
        bbox: BBox::from_xywh([260.0, 0.0, 80.0, 200.0]),
        ..detection(0.0, 0.0, 0.8)
    };
    let other_class = Detection {
        class: 1,
        ..detection(260.0, 50.0, 0.8)
    };
    let behind = detection(60.0, 50.0, 0.8);
    let beside = detection(260.0, 180.0, 0.8);
    for new in [taller, other_class, behind, beside] {
        assert!(ids(&hidden(&[], &[new])).contains(&2), "{new:?}");
    }
}

#[test]
fn where_two_can_be_meant_nobody_is() {
    // two come out
    let two = [detection(300.0, 20.0, 0.8), detection(300.0, 85.0, 0.8)];
    let tracker = hidden(&[], &two);
    let followed: Vec<TrackId> = tracker
        .tracks()
        .iter()
        .filter(|t| !t.is_lost())
        .map(|t| t.id)
        .collect();
    assert_eq!(followed, [2, 3]);
    // two went in
    let tracker = follow(TrackerConfig::default(), 40, |i| match i {
        0..20 => vec![
            detection(10.0 * i as f32, 50.0, 0.8),
            detection(10.0 * i as f32, 125.0, 0.8),
        ],
        20..35 => vec![],
        _ => vec![detection(320.0, 88.0, 0.8)],
    });
    assert!(ids(&tracker).contains(&3), "{:?}", ids(&tracker));
}

#[test]
fn a_single_false_detection_is_no_track() {
    let mut tracker = follow(TrackerConfig::default(), 3, |_| vec![]);
    assert!(
        tracker
            .update(0.3, SIZE, &[detection(50.0, 50.0, 0.9)])
            .is_empty()
    );
    assert_eq!(tracker.tracks().len(), 1);
    assert!(tracker.update(0.4, SIZE, &[]).is_empty());
    assert!(tracker.tracks().is_empty());
}

#[test]
fn classes_are_never_mixed() {
    let other = Detection {
        class: 1,
        ..detection(50.0, 50.0, 0.9)
    };
    let tracker = follow(TrackerConfig::default(), 10, |_| {
        vec![detection(50.0, 50.0, 0.9), other]
    });
    let mut classes: Vec<usize> = tracker.tracks().iter().map(|t| t.class).collect();
    classes.sort_unstable();
    assert_eq!(classes, [0, 1]);
}

#[test]
fn a_clock_that_jumps_back_and_impossible_boxes_do_no_harm() {
    let mut tracker = follow(TrackerConfig::default(), 5, |_| {
        vec![detection(50.0, 50.0, 0.9)]
    });
    let broken = Detection {
        bbox: BBox::new(f32::NAN, 0.0, 10.0, 10.0),
        ..detection(0.0, 0.0, 0.9)
    };
    let seen = tracker.update(-100.0, SIZE, &[broken, detection(51.0, 50.0, 0.9)]);
    assert_eq!(
        seen,
        [Sighting {
            track: 1,
            detection: 1
        }]
    );
    assert!(tracker.tracks()[0].bbox.is_valid());
}

proptest::proptest! {
    /// Whatever is detected: no panic, no detection in two tracks, no track with two detections.
    #[test]
    fn every_detection_has_one_track_at_most(
        frames in proptest::collection::vec(
            proptest::collection::vec((0f32..500.0, 0f32..300.0, 0f32..1.0, 0usize..3), 0..12),
            1..20,
        )
    ) {
        let mut tracker = Tracker::new(TrackerConfig::default());
        for (i, frame) in frames.iter().enumerate() {
            let detections: Vec<Detection> = frame
                .iter()
                .map(|&(x, y, score, class)| Detection { class, ..detection(x, y, score) })
                .collect();
            let seen = tracker.update(i as f64 / 5.0, SIZE, &detections);
            let mut tracks: Vec<TrackId> = seen.iter().map(|s| s.track).collect();
            let mut used: Vec<usize> = seen.iter().map(|s| s.detection).collect();
            tracks.sort_unstable();
            tracks.dedup();
            used.sort_unstable();
            used.dedup();
            proptest::prop_assert_eq!(tracks.len(), seen.len());
            proptest::prop_assert_eq!(used.len(), seen.len());
        }
    }
}

#[test]
fn a_walker_who_leaves_their_own_box_between_two_frames_is_followed() {
    let walk = |reach: f32| {
        let mut tracker = Tracker::new(TrackerConfig {
            reach,
            relink_s: 0.0,
            ..TrackerConfig::default()
        });
        let mut seen = 0;
        for i in 0..20 {
            // a height a second at five frames a second, boxes of 0.3 heights
            let bbox = BBox::from_xywh([600.0 - 22.0 * i as f32, 100.0, 30.0, 100.0]);
            let walker = Detection {
                bbox,
                ..detection(0.0, 0.0, 0.8)
            };
            // the first frame is another's
            let frame = if i == 0 { vec![] } else { vec![walker] };
            seen += tracker.update(i as f64 / 5.0, SIZE, &frame).len();
        }
        (seen, ids(&tracker).len())
    };
    assert_eq!(walk(1.0), (18, 1));
    assert_eq!(walk(0.0).0, 0, "what boxes that do not grow lose");
}

#[test]
fn who_left_at_the_edge_is_not_who_comes_in_there() {
    let tracker = follow(TrackerConfig::default(), 60, |i| match i {
        0..20 => vec![detection(560.0 + 10.0 * i as f32, 50.0, 0.8)],
        20..45 => vec![],
        _ => vec![detection(1200.0 - 10.0 * i as f32, 50.0, 0.8)],
    });
    let followed = tracker.tracks().iter().filter(|t| !t.is_lost());
    assert_eq!(followed.map(|t| t.id).collect::<Vec<_>>(), [2]);
}

#[test]
fn who_is_not_looked_at_is_not_missed() {
    let people = [detection(50.0, 50.0, 0.9), detection(400.0, 50.0, 0.9)];
    let part = |d: &Detection| {
        let b = d.bbox;
        BBox::new(b.x1 - 50.0, b.y1 - 50.0, b.x2 + 50.0, b.y2 + 50.0)
    };
    let mut tracker = Tracker::new(TrackerConfig::default());
    tracker.update(0.0, SIZE, &people);
    for i in 1..10 {
        let at = f64::from(i) / 5.0;
        let seen = tracker.update_part(at, SIZE, Some(part(&people[0])), &people[..1]);
        assert_eq!(seen.len(), 1);
    }
    assert!(tracker.tracks().iter().all(|t| !t.is_lost()));
    // looked at, and not there
    tracker.update_part(2.0, SIZE, Some(part(&people[1])), &[]);
    let lost: Vec<_> = tracker.tracks().iter().map(|t| t.is_lost()).collect();
    assert_eq!(lost, [false, true]);
}
