//! Filled areas and borders.

use image::{Rgb, RgbImage};

use super::place::Area;

/// Fills an area, as far as it lies in the picture.
pub(super) fn fill(canvas: &mut RgbImage, area: Area, color: Rgb<u8>) {
    if area.w > 0 && area.h > 0 {
        let rect = imageproc::rect::Rect::at(area.x, area.y).of_size(area.w as u32, area.h as u32);
        imageproc::drawing::draw_filled_rect_mut(canvas, rect, color);
    }
}

/// The border of `outer`, `line_px` wide inwards.
pub(super) fn ring(canvas: &mut RgbImage, outer: Area, line_px: i32, color: Rgb<u8>) {
    let (x, y, w, h) = (outer.x, outer.y, outer.w, outer.h);
    let (across, down) = (line_px.min(w), line_px.min(h));
    fill(canvas, Area::new(x, y, w, down), color);
    fill(canvas, Area::new(x, outer.bottom() - down, w, down), color);
    fill(canvas, Area::new(x, y, across, h), color);
    fill(
        canvas,
        Area::new(outer.right() - across, y, across, h),
        color,
    );
}
