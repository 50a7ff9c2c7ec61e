//! Colours that people of every colour vision tell apart: M. Okabe and K. Ito,
//! "Color Universal Design" (2008), and neutrals around them.
//!
//! Colour is never the only sign: severity stands in words beside every candidate.

use image::Rgb;

use crate::hazard::Severity;

/// Orange of the palette.
pub(super) const ORANGE: Rgb<u8> = Rgb([230, 159, 0]);
/// Vermillion of the palette.
pub(super) const VERMILLION: Rgb<u8> = Rgb([213, 94, 0]);
/// Yellow of the palette.
pub(super) const YELLOW: Rgb<u8> = Rgb([240, 228, 66]);

/// Text on light ground, and the casing around frames.
pub(super) const INK: Rgb<u8> = Rgb([17, 22, 28]);
/// Secondary text on [`PAPER`].
pub(super) const MUTED_INK: Rgb<u8> = Rgb([84, 94, 106]);
/// Ground of the strip below a picture.
pub(super) const PAPER: Rgb<u8> = Rgb([250, 250, 248]);
/// Hairlines on [`PAPER`].
pub(super) const RULE: Rgb<u8> = Rgb([214, 217, 221]);

/// How a box and its label are drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// The frame around the object.
    pub(super) frame: Rgb<u8>,
    /// Ground of the label.
    pub(super) plate: Rgb<u8>,
    /// Border of the label.
    pub(super) edge: Rgb<u8>,
    /// Text on the label.
    pub(super) text: Rgb<u8>,
}

impl Look {
    const fn plain(color: Rgb<u8>, text: Rgb<u8>) -> Self {
        Self {
            frame: color,
            plate: color,
            edge: color,
            text,
        }
    }
}

/// What the detector saw: there, but not in the foreground.
pub(super) const DETECTION: Look = {
    let (slate, pale) = (Rgb([45, 55, 66]), Rgb([232, 236, 240]));
    Look {
        frame: pale,
        ..Look::plain(slate, pale)
    }
};

/// The look of a candidate.
pub(super) const fn look(severity: Severity) -> Look {
    match severity {
        Severity::General => Look::plain(ORANGE, INK),
        Severity::Major => Look::plain(VERMILLION, Rgb([0, 0, 0])),
        Severity::Alarm => Look {
            frame: YELLOW,
            plate: Rgb([0, 0, 0]),
            edge: YELLOW,
            text: YELLOW,
        },
    }
}
