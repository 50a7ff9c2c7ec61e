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
/// Plate behind a detection's label.
pub(super) const SLATE: Rgb<u8> = Rgb([45, 55, 66]);
/// Frame of a detection, and the text on [`SLATE`].
pub(super) const PALE: Rgb<u8> = Rgb([232, 236, 240]);

/// How candidates of one severity are drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// The frame, and the ground of the plate.
    pub(super) plate: Rgb<u8>,
    /// Text on the plate.
    pub(super) text: Rgb<u8>,
    /// The frame around the object.
    pub(super) frame: Rgb<u8>,
}

/// The look of a severity.
pub(super) fn look(severity: Severity) -> Look {
    match severity {
        Severity::General => Look {
            plate: ORANGE,
            text: INK,
            frame: ORANGE,
        },
        Severity::Major => Look {
            plate: VERMILLION,
            text: Rgb([0, 0, 0]),
            frame: VERMILLION,
        },
        Severity::Alarm => Look {
            plate: INK,
            text: YELLOW,
            frame: YELLOW,
        },
    }
}
