//! Zones: parts of a camera's view that a person has drawn, and the ground in metres.
//!
//! Coordinates are relative (0 to 1), so that they outlive a changed resolution. An object stands in
//! a zone when the middle of its lower edge does. Names of settings are those of Frigate.

mod ground;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use self::ground::to_segment;
pub use self::ground::{Ground, GroundPoints};
use crate::geometry::BBox;

/// What a zone is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ZoneKind {
    /// Where protective equipment is worn.
    WorkArea,
    /// Before an exit door.
    Exit,
    /// An aisle between goods.
    Aisle,
    /// Before an extinguisher, a hydrant, a panel.
    KeepClear,
    /// Where fire engines drive.
    FireLane,
    /// Where work is done at height.
    Height,
    /// Where goods belong.
    Storage,
}

impl ZoneKind {
    /// Its name in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WorkArea => "work_area",
            Self::Exit => "exit",
            Self::Aisle => "aisle",
            Self::KeepClear => "keep_clear",
            Self::FireLane => "fire_lane",
            Self::Height => "height",
            Self::Storage => "storage",
        }
    }
}

impl ZoneKind {
    /// What it is called in Chinese.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::WorkArea => "作业区",
            Self::Exit => "安全出口",
            Self::Aisle => "通道",
            Self::KeepClear => "禁止堆放区",
            Self::FireLane => "消防车道",
            Self::Height => "高处作业区",
            Self::Storage => "堆放区",
        }
    }
}

/// When a zone is watched, in the local time of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// `mon`, `tue`, …; every day when absent.
    #[serde(default)]
    pub days: Vec<Day>,
    /// From this time on, `HH:MM`.
    pub from: String,
    /// Until before this time, `HH:MM`; one before `from` is the next day's.
    pub to: String,
}

/// A day of the week.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the days of the week")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    /// From Monday as 0.
    pub fn from_monday_zero(n: i8) -> Self {
        const DAYS: [Day; 7] = [
            Day::Mon,
            Day::Tue,
            Day::Wed,
            Day::Thu,
            Day::Fri,
            Day::Sat,
            Day::Sun,
        ];
        DAYS[n.rem_euclid(7) as usize]
    }
}

/// Local time of the week, as far as schedules go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Day.
    pub day: Day,
    /// Minutes since midnight.
    pub minute: u16,
}

/// A part of the view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// What people call it; unique within the file.
    pub name: String,
    /// What it is for.
    pub kind: ZoneKind,
    /// Corners `[x, y]`, 0 to 1 of the picture's width and height.
    pub polygon: Vec<[f32; 2]>,
    /// Frames in a row that an object must be inside before it counts.
    #[serde(default = "default_inertia")]
    pub inertia: u32,
    /// Seconds that something must stay, instead of the hazard's own.
    #[serde(default)]
    pub loitering_time: Option<f64>,
    /// Only these classes of the model count; all that the hazard names when empty.
    #[serde(default)]
    pub objects: Vec<String>,
    /// Lowest score of a frame that counts, 0 to 1, instead of the hazard's own.
    #[serde(default)]
    pub min_score: Option<f32>,
    /// Lowest median of the score history for a finding, 0 to 1.
    #[serde(default)]
    pub threshold: Option<f32>,
    /// When it is watched; always when empty.
    #[serde(default)]
    pub schedule: Vec<Schedule>,
    /// Hazard codes that are looked for here, instead of those that come with the kind.
    #[serde(default)]
    pub hazards: Vec<String>,
    /// A picture of the whole view with this zone clean. Without one the first frames that show
    /// nothing are learned, and followed as the light changes.
    #[serde(default)]
    pub reference: Option<std::path::PathBuf>,
}

fn default_inertia() -> u32 {
    3
}

/// All that is drawn into one view.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Zones {
    /// The zones.
    #[serde(default, rename = "zone")]
    pub zones: Vec<Zone>,
    /// Four known points on the ground.
    #[serde(default)]
    pub ground: Option<GroundPoints>,
}

/// What is wrong with a file of zones, with what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// No TOML, an unknown key, a missing one.
    #[error("{0}")]
    Outline(String),
    /// One field of one zone.
    #[error("zone `{zone}`, `{field}`: {problem}")]
    Field {
        /// Name.
        zone: String,
        /// Field.
        field: &'static str,
        /// What to do.
        problem: String,
    },
    /// The ground points.
    #[error("ground: {0}")]
    Ground(String),
}

impl Zones {
    /// Reads the text of a zones file.
    ///
    /// # Errors
    /// With the zone, the field and what to do.
    pub fn parse(text: &str) -> Result<Self, ZoneError> {
        let zones: Self = toml::from_str(text)
            .map_err(|e| ZoneError::Outline(e.to_string().trim_end().to_owned()))?;
        zones.check()?;
        Ok(zones)
    }

    /// Zones that did not come from [`Self::parse`] may be wrong.
    ///
    /// # Errors
    /// With the zone, the field and what to do.
    pub fn check(&self) -> Result<(), ZoneError> {
        for (i, zone) in self.zones.iter().enumerate() {
            zone.check()?;
            if self.zones[..i].iter().any(|z| z.name == zone.name) {
                return Err(zone.wrong("name", "there are two of this name; rename one"));
            }
        }
        self.ground()?;
        Ok(())
    }

    /// Whether nothing is drawn.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty() && self.ground.is_none()
    }

    /// The way from the picture to metres, where four points are given.
    ///
    /// # Errors
    /// When the four points do not span the ground.
    pub fn ground(&self) -> Result<Option<Ground>, ZoneError> {
        let ground = self.ground.as_ref().map(Ground::new);
        ground.transpose().map_err(ZoneError::Ground)
    }
}

impl Zone {
    /// The whole picture.
    pub fn whole(kind: ZoneKind) -> Self {
        Self {
            name: "(whole picture)".into(),
            kind,
            polygon: vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]],
            inertia: default_inertia(),
            loitering_time: None,
            objects: Vec::new(),
            min_score: None,
            threshold: None,
            schedule: Vec::new(),
            hazards: Vec::new(),
            reference: None,
        }
    }

    fn wrong(&self, field: &'static str, problem: impl Into<String>) -> ZoneError {
        ZoneError::Field {
            zone: self.name.clone(),
            field,
            problem: problem.into(),
        }
    }

    fn check(&self) -> Result<(), ZoneError> {
        if self.name.trim().is_empty() {
            return Err(self.wrong("name", "is empty; people must be able to tell zones apart"));
        }
        if self.polygon.len() < 3 {
            return Err(self.wrong(
                "polygon",
                "has less than three corners; give at least three",
            ));
        }
        let outside = |v: &f32| !(0.0..=1.0).contains(v);
        if self.polygon.iter().flatten().any(outside) {
            return Err(self.wrong(
                "polygon",
                "corners are relative: give numbers from 0 to 1, not pixels",
            ));
        }
        if crosses_itself(&self.polygon) {
            return Err(self.wrong(
                "polygon",
                "crosses itself; list the corners in the order of the outline",
            ));
        }
        if area(&self.polygon) < 1e-5 {
            return Err(self.wrong("polygon", "has no area; list the corners in their order"));
        }
        for (field, v) in [("min_score", self.min_score), ("threshold", self.threshold)] {
            if v.is_some_and(|v| outside(&v)) {
                return Err(self.wrong(field, "give a number from 0 to 1"));
            }
        }
        if self
            .loitering_time
            .is_some_and(|s| !(0.0..=86_400.0).contains(&s))
        {
            return Err(self.wrong("loitering_time", "give seconds from 0 to 86400"));
        }
        for schedule in &self.schedule {
            if minute(&schedule.from).is_none() || minute(&schedule.to).is_none() {
                return Err(self.wrong("schedule", "give from and to as HH:MM, for example 08:00"));
            }
        }
        Ok(())
    }

    /// Whether a point, relative to the picture, lies inside.
    pub fn contains(&self, [x, y]: [f32; 2]) -> bool {
        let mut inside = false;
        let mut j = self.polygon.len() - 1;
        for i in 0..self.polygon.len() {
            let ([xi, yi], [xj, yj]) = (self.polygon[i], self.polygon[j]);
            if (yi > y) != (yj > y) && x < (xj - xi) * (y - yi) / (yj - yi) + xi {
                inside = !inside;
            }
            j = i;
        }
        inside
    }

    /// Whether an object stands inside: the middle of its lower edge.
    pub fn holds(&self, bbox: BBox, (width, height): (u32, u32)) -> bool {
        let (x, y) = bbox.bottom_center();
        // a box cut by the lower edge of the picture still stands in what reaches that edge
        self.contains([
            (x / width as f32).clamp(0.0, 0.9999),
            (y / height as f32).clamp(0.0, 0.9999),
        ])
    }

    /// The smallest box around it, in pixels of a picture of this size.
    pub fn bbox(&self, (width, height): (u32, u32)) -> BBox {
        let mut b = BBox::new(f32::MAX, f32::MAX, f32::MIN, f32::MIN);
        for [x, y] in &self.polygon {
            let (x, y) = (x * width as f32, y * height as f32);
            b = BBox::new(b.x1.min(x), b.y1.min(y), b.x2.max(x), b.y2.max(y));
        }
        b
    }

    /// Whether objects of this class count here.
    pub fn takes(&self, label: &str) -> bool {
        self.objects.is_empty() || self.objects.iter().any(|o| o.eq_ignore_ascii_case(label))
    }

    /// Whether it is watched now. Without a clock it is.
    pub fn is_watched(&self, now: Option<Moment>) -> bool {
        let Some(now) = now else { return true };
        self.schedule.is_empty() || self.schedule.iter().any(|s| s.holds(now))
    }
}

impl Schedule {
    fn holds(&self, now: Moment) -> bool {
        let (Some(from), Some(to)) = (minute(&self.from), minute(&self.to)) else {
            return false;
        };
        let day = |d: Day| self.days.is_empty() || self.days.contains(&d);
        if from <= to {
            return day(now.day) && (from..to).contains(&now.minute);
        }
        let yesterday = Day::from_monday_zero(now.day as i8 - 1);
        day(now.day) && now.minute >= from || day(yesterday) && now.minute < to
    }
}

/// Whether two sides that are no neighbours meet.
fn crosses_itself(polygon: &[[f32; 2]]) -> bool {
    let n = polygon.len();
    let side = |i: usize| (polygon[i], polygon[(i + 1) % n]);
    let turn = |a: [f32; 2], b: [f32; 2], c: [f32; 2]| {
        let [ax, ay, bx, by, cx, cy] = [a[0], a[1], b[0], b[1], c[0], c[1]].map(f64::from);
        (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    };
    let cross =
        |(a, b), (c, d)| turn(a, b, c) * turn(a, b, d) < 0.0 && turn(c, d, a) * turn(c, d, b) < 0.0;
    (0..n).any(|i| (i + 2..n).any(|j| (i, j) != (0, n - 1) && cross(side(i), side(j))))
}

/// `HH:MM` as minutes since midnight; `24:00` is the end of the day.
fn minute(text: &str) -> Option<u16> {
    let (h, m) = text.split_once(':')?;
    let (h, m): (u16, u16) = (h.parse().ok()?, m.parse().ok()?);
    (h < 24 && m < 60 || (h, m) == (24, 0)).then_some(60 * h + m)
}

/// Of a polygon, relative to the picture.
fn area(polygon: &[[f32; 2]]) -> f32 {
    let next = polygon.iter().cycle().skip(1);
    let twice: f32 = polygon
        .iter()
        .zip(next)
        .map(|([x1, y1], [x2, y2])| x1 * y2 - x2 * y1)
        .sum();
    twice.abs() / 2.0
}
