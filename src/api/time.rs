//! Times at the edge: UTC inside, the site's own time zone for people.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};

use super::problem::Problem;
use crate::ledger::photos::{Taken, TakenBy};
use crate::source::exif::CameraTime;

/// A time zone by its IANA name.
pub(super) fn zone(name: &str) -> Result<TimeZone, Problem> {
    TimeZone::get(name).map_err(|_| {
        Problem::invalid(
            format!("{name:?} is no time zone."),
            "Give a name of the IANA database, for example Asia/Shanghai or Europe/Berlin.",
        )
    })
}

/// A moment as a caller writes it: with an offset it is that moment; without one it is the
/// clock on the wall of the site. A wall time that a change of the clocks skips or repeats is
/// refused: guessing would put a photo an hour off.
pub(super) fn moment(text: &str, site: &TimeZone) -> Result<Timestamp, Problem> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let local: DateTime = text.parse().map_err(|_| {
        Problem::invalid(
            format!("{text:?} is no time."),
            "Write 2026-03-29T14:30:00+02:00, 2026-03-29T12:30:00Z, or 2026-03-29T14:30:00 for \
             the clock at the site.",
        )
    })?;
    let ambiguous = site.to_ambiguous_timestamp(local);
    let trouble = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { .. } => Some("is skipped by a change of the clocks"),
        AmbiguousOffset::Fold { .. } => Some("comes twice, by a change of the clocks,"),
    };
    if let Some(trouble) = trouble {
        return Err(Problem::invalid(
            format!("{text} {trouble} at the site."),
            "Give the time with its offset from UTC, for example 2026-10-25T02:30:00+01:00.",
        ));
    }
    ambiguous.unambiguous().map_err(|e| Problem::fault(&e))
}

/// How far a camera's clock may be ahead of ours.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What a camera says as a moment: by its own offset, else by the clock at the site. Nothing where
/// the clocks there skip or repeat that time, and of a time yet to come: that clock is wrong.
pub(super) fn by_camera(said: CameraTime, site: &TimeZone, now: Timestamp) -> Option<Taken> {
    let (at, by) = match said.offset {
        Some(offset) => (offset.to_timestamp(said.local).ok()?, TakenBy::Exif),
        None => {
            let at = site.to_ambiguous_timestamp(said.local).unambiguous().ok()?;
            (at, TakenBy::ExifSiteClock)
        }
    };
    let latest = now.saturating_add(CLOCK_SKEW).ok()?;
    (at <= latest).then_some(Taken { at, by })
}

/// For people at the site: `2026-03-29T14:30:00+02:00[Europe/Berlin]`.
pub(super) fn local(moment: Timestamp, site: &TimeZone) -> String {
    Zoned::new(moment, site.clone()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, name: &str) -> Result<String, String> {
        moment(text, &zone(name).unwrap())
            .map(|m| m.to_string())
            .map_err(|p| p.to_string())
    }

    #[test]
    fn a_wall_time_is_that_of_the_site() {
        for (text, name, utc) in [
            (
                "2026-01-15T12:00:00",
                "Asia/Shanghai",
                "2026-01-15T04:00:00Z",
            ),
            (
                "2026-01-15T12:00:00",
                "Europe/Berlin",
                "2026-01-15T11:00:00Z",
            ),
            (
                "2026-07-15T12:00:00",
                "Europe/Berlin",
                "2026-07-15T10:00:00Z",
            ),
            // the last and the first second around the change
            (
                "2026-03-29T01:59:59",
                "Europe/Berlin",
                "2026-03-29T00:59:59Z",
            ),
            (
                "2026-03-29T03:00:00",
                "Europe/Berlin",
                "2026-03-29T01:00:00Z",
            ),
            (
                "2026-10-25T01:59:59",
                "Europe/Berlin",
                "2026-10-24T23:59:59Z",
            ),
            (
                "2026-10-25T03:00:00",
                "Europe/Berlin",
                "2026-10-25T02:00:00Z",
            ),
            // an offset wins over the site
            (
                "2026-10-25T02:30:00+02:00",
                "Europe/Berlin",
                "2026-10-25T00:30:00Z",
            ),
            (
                "2026-10-25T02:30:00+01:00",
                "Europe/Berlin",
                "2026-10-25T01:30:00Z",
            ),
            (
                "2026-11-01T01:30:00-05:00",
                "America/New_York",
                "2026-11-01T06:30:00Z",
            ),
        ] {
            assert_eq!(at(text, name).as_deref(), Ok(utc), "{text} {name}");
        }
    }

    #[test]
    fn a_wall_time_that_is_skipped_or_comes_twice_is_refused() {
        assert!(
            at("2026-03-29T02:30:00", "Europe/Berlin")
                .unwrap_err()
                .contains("skipped")
        );
        assert!(
            at("2026-10-25T02:30:00", "Europe/Berlin")
                .unwrap_err()
                .contains("twice")
        );
        assert!(at("2026-03-08T02:30:00", "America/New_York").is_err());
        assert!(
            at("yesterday", "Europe/Berlin")
                .unwrap_err()
                .contains("no time")
        );
        assert!(zone("Mars/Olympus").is_err());
    }

    #[test]
    fn a_camera_is_believed_where_its_time_can_be() {
        let berlin = zone("Europe/Berlin").unwrap();
        let now: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
        let taken = |local: &str, hours: Option<i8>| {
            let said = CameraTime {
                local: local.parse().unwrap(),
                offset: hours.map(jiff::tz::offset),
            };
            by_camera(said, &berlin, now).map(|t| (t.at.to_string(), t.by))
        };
        let at = |text: &str, by| Some((text.to_owned(), by));
        assert_eq!(
            taken("2026-05-31T09:00:00", Some(8)),
            at("2026-05-31T01:00:00Z", TakenBy::Exif)
        );
        assert_eq!(
            taken("2026-05-31T09:00:00", None),
            at("2026-05-31T07:00:00Z", TakenBy::ExifSiteClock)
        );
        // skipped, twice, and yet to come
        assert_eq!(taken("2026-03-29T02:30:00", None), None);
        assert_eq!(taken("2025-10-26T02:30:00", None), None);
        assert_eq!(taken("2026-06-01T15:00:00", None), None);
    }

    #[test]
    fn a_moment_is_shown_by_the_clock_of_the_site() {
        let summer: Timestamp = "2026-07-15T10:00:00Z".parse().unwrap();
        let berlin = zone("Europe/Berlin").unwrap();
        assert_eq!(
            local(summer, &berlin),
            "2026-07-15T12:00:00+02:00[Europe/Berlin]"
        );
    }
}
