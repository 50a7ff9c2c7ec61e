"""Cutting what is embedded, and spoiling it. `look` and `squeeze` are what the program does (src/embedding.rs,
src/preprocess.rs); everything else is for training and testing."""
import re

import cv2
import numpy as np
from PIL import Image

CONTEXT = 0.10     # added on each side, of the box's longer side
NARROWEST = 0.5    # the shorter side is widened to this share of the longer one
WIDE = 1.25        # training crops are stored this much wider, so that views can be shifted


def look(box, width, height, wide=1.0):
    """What is cut for a box [x1, y1, x2, y2]: some context, not too narrow, within the picture."""
    x1, y1, x2, y2 = box
    w, h = x2 - x1, y2 - y1
    longer = max(w, h)
    w, h = w + 2 * CONTEXT * longer, h + 2 * CONTEXT * longer
    longer = max(w, h)
    w, h = max(w, NARROWEST * longer) * wide, max(h, NARROWEST * longer) * wide
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    return [max(cx - w / 2, 0), max(cy - h / 2, 0), min(cx + w / 2, width), min(cy + h / 2, height)]


def cut(picture, region):
    """Whole pixels, at least one."""
    h, w = picture.shape[:2]
    x1, y1 = min(int(region[0]), w - 1), min(int(region[1]), h - 1)
    x2, y2 = max(int(np.ceil(region[2])), x1 + 1), max(int(np.ceil(region[3])), y1 + 1)
    return picture[y1:y2, x1:x2]


def squeeze(picture, size):
    """To size x size: a triangle as wide as the reduction, which is what fast_image_resize does too."""
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BILINEAR))


def group(set_name, source):
    """Pictures of one origin: a photo, a whole video, a run of 25 frames of the fire sets' nameless videos."""
    stem = source.split(".rf.")[0]
    m = re.match(r"(.*?)(?:_mp4|_mov|_MOV|_MP4)?[-_](\d+)_(?:jpg|png|jpeg)$", stem)
    if "fire" in set_name:
        m = re.match(r"(.*?)(?:_mp4)?[-_]?(\d+)_(?:jpg|png|jpeg)$", stem)
        if m:
            stem = m[1] + (f"-{int(m[2]) // 25}" if m[1] in ("img", "image") else "")
    elif m and ("_mp4" in stem or "_mov" in stem.lower()):
        stem = m[1]
    return f"{set_name}/{stem}"


# ---- what the world does to a picture (RGB uint8 in and out) ----

def light(x, rng, strength=1.0):
    """Gain, gamma, warmth, and light from one side."""
    f = x.astype(np.float32) / 255
    f = f ** np.exp(rng.uniform(-0.45, 0.45) * strength)
    f *= np.exp(rng.uniform(-0.7, 0.5) * strength)
    f *= 1 + rng.uniform(-0.14, 0.14, 3).astype(np.float32) * strength
    if rng.random() < 0.5:
        a = rng.uniform(0, 2 * np.pi)
        h, w = f.shape[:2]
        ramp = (np.cos(a) * np.linspace(-1, 1, w)[None] + np.sin(a) * np.linspace(-1, 1, h)[:, None])
        f *= (1 + 0.4 * strength * ramp)[..., None].astype(np.float32)
    return (f.clip(0, 1) * 255).astype(np.uint8)


def shadow(x, rng):
    """A half-plane at 40 to 75 % of its light."""
    h, w = x.shape[:2]
    a, d = rng.uniform(0, 2 * np.pi), rng.uniform(-0.3, 0.3)
    side = np.cos(a) * np.linspace(-0.5, 0.5, w)[None] + np.sin(a) * np.linspace(-0.5, 0.5, h)[:, None] > d
    return np.where(side[..., None], x * np.float32(rng.uniform(0.4, 0.75)), x).astype(np.uint8)


def blur(x, rng):
    if rng.random() < 0.5:
        return cv2.GaussianBlur(x, (0, 0), rng.uniform(0.01, 0.018) * x.shape[0])
    side = int(rng.uniform(28, 80))
    small = cv2.resize(x, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, x.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def jpeg(x, rng):
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(12, 50))]
    return cv2.imdecode(cv2.imencode(".jpg", x, quality)[1], cv2.IMREAD_COLOR)


def noise(x, rng):
    return (x + rng.normal(0, rng.uniform(4, 16), x.shape)).clip(0, 255).astype(np.uint8)


def flip(x, rng=None):
    return np.ascontiguousarray(x[:, ::-1])


def crop(x, rng, least=0.5):
    """A part of at least `least` of the area, its aspect changed by up to a quarter."""
    h, w = x.shape[:2]
    area, aspect = rng.uniform(least, 1.0), np.exp(rng.uniform(-0.22, 0.22))
    cw, ch = min(w, int(w * np.sqrt(area * aspect))), min(h, int(h * np.sqrt(area / aspect)))
    x0, y0 = rng.integers(0, w - cw + 1), rng.integers(0, h - ch + 1)
    return cv2.resize(x[y0:y0 + ch, x0:x0 + cw], (w, h), interpolation=cv2.INTER_LINEAR)


def occlude(x, rng):
    h, w = x.shape[:2]
    x = x.copy()
    ow, oh = int(rng.uniform(0.15, 0.4) * w), int(rng.uniform(0.15, 0.4) * h)
    x0, y0 = rng.integers(0, w - ow), rng.integers(0, h - oh)
    x[y0:y0 + oh, x0:x0 + ow] = rng.integers(0, 255, 3)
    return x


def middle(x):
    """What `look` cuts, of a crop stored WIDE."""
    edge = round(len(x) * (1 - 1 / WIDE) / 2)
    return np.ascontiguousarray(x[edge:-edge, edge:-edge])


def view(x, rng, size):
    """One view for training, of a crop stored WIDE."""
    x = cv2.resize(crop(x, rng, 0.4), (size, size), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        x = flip(x)
    for spoil, chance in ((light, 0.8), (shadow, 0.15), (occlude, 0.2), (blur, 0.3), (noise, 0.25), (jpeg, 0.4)):
        if rng.random() < chance:
            x = spoil(x, rng)
    if rng.random() < 0.08:
        x = np.repeat(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    return x
