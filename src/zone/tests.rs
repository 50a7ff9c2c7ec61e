use super::*;

const FILE: &str = r#"
[[zone]]
name = "door 3"
kind = "exit"
polygon = [[0.1, 0.5], [0.4, 0.5], [0.4, 1.0], [0.1, 1.0]]
loitering_time = 120
objects = ["box"]
schedule = [{ days = ["fri"], from = "22:00", to = "06:00" }]
"#;

fn error(from: &str, to: &str) -> String {
    assert!(FILE.contains(from));
    Zones::parse(&FILE.replace(from, to))
        .unwrap_err()
        .to_string()
}

#[test]
fn a_file_is_read_and_its_mistakes_are_named() {
    let zones = Zones::parse(FILE).unwrap();
    assert_eq!(zones.zones[0].kind, ZoneKind::Exit);
    assert_eq!(zones.zones[0].inertia, 3);
    assert!(error("0.1, 0.5", "64, 0.5").contains("not pixels"));
    assert!(error("\"exit\"", "\"door\"").contains("exit"));
    assert!(error("22:00", "25:00").contains("HH:MM"));
    assert!(error("[0.4, 1.0], [0.1, 1.0]", "[0.7, 0.5]").contains("no area"));
    let crossed = error("[0.4, 1.0], [0.1, 1.0]", "[0.1, 1.0], [0.4, 0.9]");
    assert!(crossed.contains("crosses itself"), "{crossed}");
    let twice = format!("{FILE}{FILE}");
    assert!(
        Zones::parse(&twice)
            .unwrap_err()
            .to_string()
            .contains("two of this name")
    );
}

#[test]
fn an_object_is_where_its_feet_are() {
    let zone = &Zones::parse(FILE).unwrap().zones[0];
    let size = (1000, 1000);
    assert!(zone.holds(BBox::new(200.0, 0.0, 300.0, 600.0), size));
    assert!(!zone.holds(BBox::new(200.0, 0.0, 300.0, 400.0), size));
    assert!(!zone.holds(BBox::new(350.0, 500.0, 600.0, 900.0), size));
    assert!(zone.holds(BBox::new(200.0, 700.0, 300.0, 1000.0), size));
}

#[test]
fn a_night_shift_ends_on_the_next_day() {
    let zone = &Zones::parse(FILE).unwrap().zones[0];
    let at = |day, minute| zone.is_watched(Some(Moment { day, minute }));
    assert!(at(Day::Fri, 23 * 60));
    assert!(at(Day::Sat, 5 * 60));
    assert!(!at(Day::Fri, 5 * 60));
    assert!(!at(Day::Sat, 23 * 60));
}

#[test]
fn four_points_give_metres() {
    // a floor of 10 m x 20 m seen as a trapezium, by a homography of ours
    let see = |x: f64, y: f64| {
        [
            0.5 + (x - 5.0) * 0.08 / (1.0 + 0.1 * y),
            0.9 / (1.0 + 0.1 * y),
        ]
    };
    let metres = [[0.0, 0.0], [10.0, 0.0], [10.0, 20.0], [0.0, 20.0]];
    let picture = metres.map(|[x, y]| see(x, y));
    let ground = Ground::new(&GroundPoints { picture, metres }).unwrap();
    for (x, y) in [(5.0, 5.0), (1.0, 19.0), (8.5, 2.25), (-2.0, 30.0)] {
        let [u, v] = ground.metres(see(x, y)).unwrap();
        assert!((u - x).abs() < 1e-6 && (v - y).abs() < 1e-6, "{u} {v}");
    }
    assert_eq!(ground.metres([0.5, -0.1]), None, "above the horizon");
    let line = [[0.0, 0.0], [1.0, 1.0], [0.5, 0.5], [0.0, 1.0]];
    assert!(
        Ground::new(&GroundPoints {
            picture: line,
            metres
        })
        .is_err()
    );
}

#[test]
fn the_distance_to_a_stretch_is_to_its_nearest_point() {
    let d = |p| to_segment(p, [0.0, 0.0], [4.0, 0.0]);
    assert_eq!(d([2.0, 3.0]), 3.0);
    assert_eq!(d([7.0, 4.0]), 5.0);
}
