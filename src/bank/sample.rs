//! What the bank holds: pictures of which a person has said what they show.

use serde::{Deserialize, Serialize};

use crate::id::Id;

/// What a sample says.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SampleRole")]
pub enum Role {
    /// A hazard of this kind: a person has confirmed it.
    Positive,
    /// Looks like this kind, and is none: a person has dismissed it.
    Negative,
    /// A place as it should be.
    Reference,
}

impl Role {
    /// The name in records and in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Negative => "negative",
            Self::Reference => "reference",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Positive, Self::Negative, Self::Reference]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

/// Where a dismissed look-alike, or a place as it should be, counts.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    clap::ValueEnum,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SampleScope")]
pub enum Scope {
    /// In every picture.
    #[default]
    Everywhere,
    /// In pictures of its site.
    Site,
    /// In pictures of its camera.
    Camera,
}

impl Scope {
    /// The name in records and in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Site => "site",
            Self::Camera => "camera",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Everywhere, Self::Site, Self::Camera]
            .into_iter()
            .find(|scope| scope.as_str() == text)
    }
}

/// Where a picture was taken. Empty where it is not known: pictures of unknown sites count as of one.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
pub struct Place {
    /// The site, by its id in the ledger or by a name.
    pub site: String,
    /// The camera.
    pub camera: String,
}

/// The outline of what is meant within a photo: a polygon, corners in fractions of the photo's width and height.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Vec<[f64; 2]>", into = "Vec<[f64; 2]>")]
#[schemars(with = "Vec<[f64; 2]>", rename = "SampleMask")]
pub struct Mask(Vec<[f64; 2]>);

/// Corners of a mask at most.
const MOST_CORNERS: usize = 400;

/// No outline of anything. The message says what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a mask takes 3 to {MOST_CORNERS} corners within the photo that enclose something, in the order of its outline"
)]
pub struct MaskError;

impl Mask {
    /// Of corners in the order of the outline; it is closed by itself.
    ///
    /// # Errors
    /// Too few or too many corners, outside the photo, or all in a line.
    pub fn new(corners: Vec<[f64; 2]>) -> Result<Self, MaskError> {
        let inside = corners.iter().flatten().all(|v| (0.0..=1.0).contains(v));
        if !(3..=MOST_CORNERS).contains(&corners.len()) || !inside {
            return Err(MaskError);
        }
        let mask = Self(corners);
        let [x1, y1, x2, y2] = mask.area();
        if x1 < x2 && y1 < y2 && mask.encloses() > 0.0 {
            Ok(mask)
        } else {
            Err(MaskError)
        }
    }

    /// Of `x,y,x,y,…`, each divided by `unit`.
    ///
    /// # Errors
    /// As [`Self::new`], or other than pairs of numbers.
    pub fn parse(text: &str, unit: [f64; 2]) -> Result<Self, MaskError> {
        let parts = text.split([',', ' ']).filter(|part| !part.is_empty());
        let numbers: Vec<f64> = parts
            .map(|part| part.parse().map_err(|_| MaskError))
            .collect::<Result<_, _>>()?;
        let (corners, rest) = numbers.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(MaskError);
        }
        Self::new(
            corners
                .iter()
                .map(|[x, y]| [x / unit[0], y / unit[1]])
                .collect(),
        )
    }

    /// The box around it, `[x1, y1, x2, y2]` in fractions.
    pub fn area(&self) -> [f64; 4] {
        self.0.iter().fold(
            [f64::MAX, f64::MAX, f64::MIN, f64::MIN],
            |[x1, y1, x2, y2], [x, y]| [x1.min(*x), y1.min(*y), x2.max(*x), y2.max(*y)],
        )
    }

    /// Whether a point (fractions) is within: an odd number of sides is to its right.
    pub fn contains(&self, [x, y]: [f64; 2]) -> bool {
        self.sides().fold(false, |within, ([ax, ay], [bx, by])| {
            let crosses = (ay > y) != (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax;
            within != crosses
        })
    }

    fn sides(&self) -> impl Iterator<Item = ([f64; 2], [f64; 2])> {
        let next = self.0.iter().cycle().skip(1);
        self.0.iter().copied().zip(next.copied())
    }

    /// Its share of the photo.
    fn encloses(&self) -> f64 {
        let sum: f64 = self
            .sides()
            .map(|([ax, ay], [bx, by])| ax * by - bx * ay)
            .sum();
        sum.abs() / 2.0
    }
}

impl TryFrom<Vec<[f64; 2]>> for Mask {
    type Error = MaskError;

    fn try_from(corners: Vec<[f64; 2]>) -> Result<Self, MaskError> {
        Self::new(corners)
    }
}

impl From<Mask> for Vec<[f64; 2]> {
    fn from(mask: Mask) -> Self {
        mask.0
    }
}

/// One sample, without its embedding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Sample {
    /// Which.
    pub id: Id,
    /// What it says.
    pub role: Role,
    /// Hazard code; none for a clean reference of all kinds.
    pub hazard: Option<String>,
    /// Where a negative or a reference counts.
    pub scope: Scope,
    /// Where the picture was taken.
    #[serde(flatten)]
    pub place: Place,
    /// SHA-256 of the photo, lower-case hexadecimal.
    pub photo_sha256: String,
    /// The part of the photo that is meant: `[x1, y1, x2, y2]` in fractions of its width and height.
    pub area: [f64; 4],
    /// The outline within that part, where one was drawn; what lies outside it is embedded as grey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
    /// The finding whose review it is from: all its samples have one vote together.
    #[serde(skip)]
    pub case: Option<Id>,
}

impl Sample {
    /// Whether it counts for a picture taken there.
    pub fn counts_at(&self, place: &Place) -> bool {
        match (self.role, self.scope) {
            (Role::Negative | Role::Reference, Scope::Site) => self.place.site == place.site,
            (Role::Negative, Scope::Camera) => {
                self.place.site == place.site && self.place.camera == place.camera
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_an_outline_within_the_photo() {
        let mask = Mask::parse("10,10, 90,10 90,50,50,50,50,90,10,90", [100.0, 100.0]).unwrap();
        assert_eq!(mask.area(), [0.1, 0.1, 0.9, 0.9]);
        assert!(mask.contains([0.2, 0.8]) && mask.contains([0.8, 0.2]));
        // the part that the L leaves out
        assert!(!mask.contains([0.8, 0.8]) && !mask.contains([0.05, 0.5]));
        let text = serde_json::to_string(&mask).unwrap();
        assert_eq!(serde_json::from_str::<Mask>(&text).unwrap(), mask);
        for wrong in [
            "",
            "0,0,1,1",
            "0,0,1,1,0.5",
            "0,0,2,0,0,1",
            "0,0,0.5,0.5,1,1",
            "a,b,c,d,e,f",
        ] {
            assert_eq!(Mask::parse(wrong, [1.0, 1.0]), Err(MaskError), "{wrong}");
        }
        assert!(serde_json::from_str::<Mask>("[[0,0],[1,0]]").is_err());
    }
}
