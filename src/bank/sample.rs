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

/// Where a dismissed look-alike counts.
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

/// One sample, without its embedding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Sample {
    /// Which.
    pub id: Id,
    /// What it says.
    pub role: Role,
    /// Hazard code; none for a clean reference of all kinds.
    pub hazard: Option<String>,
    /// Where a negative counts.
    pub scope: Scope,
    /// Where the picture was taken.
    #[serde(flatten)]
    pub place: Place,
    /// SHA-256 of the photo, lower-case hexadecimal.
    pub photo_sha256: String,
    /// The part of the photo that is meant: `[x1, y1, x2, y2]` in fractions of its width and height.
    pub area: [f64; 4],
}

impl Sample {
    /// Whether it counts for a picture taken there.
    pub fn counts_at(&self, place: &Place) -> bool {
        match (self.role, self.scope) {
            (Role::Negative, Scope::Site) => self.place.site == place.site,
            (Role::Negative, Scope::Camera) => {
                self.place.site == place.site && self.place.camera == place.camera
            }
            _ => true,
        }
    }
}
