//! A Kalman filter of constant velocity on (centre x, centre y, aspect, height).
//!
//! The eight-dimensional filter of SORT and ByteTrack has diagonal noise, so it falls apart into
//! four filters of two dimensions each, which need no matrices.

use crate::geometry::BBox;

/// Standard deviations of position and velocity, as shares of the box's height a step.
const POSITION: f32 = 1.0 / 20.0;
const VELOCITY: f32 = 1.0 / 160.0;

/// One coordinate: value, velocity a step, and their covariance.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    value: f32,
    velocity: f32,
    /// Variance of the value, of the velocity, and their covariance.
    p: f32,
    v: f32,
    pv: f32,
}

impl Axis {
    fn new(value: f32, value_std: f32, velocity_std: f32) -> Self {
        Self {
            value,
            velocity: 0.0,
            p: value_std * value_std,
            v: velocity_std * velocity_std,
            pv: 0.0,
        }
    }

    fn predict(&mut self, steps: f32, value_std: f32, velocity_std: f32) {
        self.value += steps * self.velocity;
        self.p += 2.0 * steps * self.pv + steps * steps * self.v + steps * value_std * value_std;
        self.pv += steps * self.v;
        self.v += steps * velocity_std * velocity_std;
    }

    fn update(&mut self, measured: f32, std: f32) {
        let s = self.p + std * std;
        let (gain, velocity_gain) = (self.p / s, self.pv / s);
        let off = measured - self.value;
        self.value += gain * off;
        self.velocity += velocity_gain * off;
        self.v -= velocity_gain * self.pv;
        self.pv *= 1.0 - gain;
        self.p *= 1.0 - gain;
    }
}

/// Where a box is and how it moves.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    x: Axis,
    y: Axis,
    aspect: Axis,
    height: Axis,
}

impl Filter {
    pub(super) fn new(bbox: BBox) -> Self {
        let [x, y, aspect, height] = measured(bbox);
        let place = |v| Axis::new(v, 2.0 * POSITION * height, 10.0 * VELOCITY * height);
        Self {
            x: place(x),
            y: place(y),
            aspect: Axis::new(aspect, 1e-2, 1e-5),
            height: place(height),
        }
    }

    /// `steps` of time pass. A lost box is not taken to grow or shrink on.
    pub(super) fn predict(&mut self, steps: f32, lost: bool) {
        let height = self.height.value;
        if lost {
            self.height.velocity = 0.0;
        }
        for axis in [&mut self.x, &mut self.y, &mut self.height] {
            axis.predict(steps, POSITION * height, VELOCITY * height);
        }
        self.aspect.predict(steps, 1e-2, 1e-5);
    }

    pub(super) fn update(&mut self, bbox: BBox) {
        let [x, y, aspect, height] = measured(bbox);
        let std = POSITION * self.height.value;
        self.x.update(x, std);
        self.y.update(y, std);
        self.aspect.update(aspect, 1e-1);
        self.height.update(height, std);
    }

    pub(super) fn bbox(&self) -> BBox {
        let (height, aspect) = (self.height.value.max(1.0), self.aspect.value.max(0.01));
        BBox::from_cxcywh([self.x.value, self.y.value, aspect * height, height])
    }
}

fn measured(bbox: BBox) -> [f32; 4] {
    let (x, y) = bbox.center();
    let height = bbox.height().max(1.0);
    [x, y, bbox.width() / height, height]
}
