"""Batches from the uint8 cache: mosaic, scale and crop, flip, colour, blur; with ignore regions.

A batch item is (pixels uint8 [S,S,3] BGR, boxes [n,7] x1,y1,x2,y2,class,weight,box weight,
ignore [m,5]).
`ignore` rows say "no class loss for this class at anchors centred in this rectangle": doubtful
pseudo-labels, objects cut to a sliver, and, as one rectangle a photo, the set's masked classes.
"""
import json
import os
import tomllib

import cv2
import numpy as np
import torch

from model import CLASSES

PAD = 114
SIZES_EARLY = (352, 384, 416, 448)
SIZES_LATE = (448, 480, 512, 544)


def load_sets():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sets.toml")
    with open(path, "rb") as f:
        return tomllib.load(f)


def masked_classes(cfg):
    known = set(cfg["labelled"]) | set(cfg["absent"]) | set(cfg["pseudo"])
    return [i for i, c in enumerate(CLASSES) if c not in known]


class Cache:
    def __init__(self, folder, split=None, sets=None):
        self.folder = folder
        self.px = np.memmap(os.path.join(folder, "pixels.u8"), np.uint8, "r")
        index = json.load(open(os.path.join(folder, "index.json")))
        self.items = [i for i in index if (split is None or i["split"] == split)
                      and (sets is None or i["set"] in sets)]

    def image(self, item):
        n = item["h"] * item["w"] * 3
        return self.px[item["offset"]:item["offset"] + n].reshape(item["h"], item["w"], 3)


def colour(img, rng):
    """Brightness, contrast, hue and saturation; now and then greyscale, blur, JPEG, noise."""
    if rng.random() < 0.6:
        hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)
        dh, gs, gv = rng.integers(-6, 7), rng.uniform(0.6, 1.4), rng.uniform(0.7, 1.35)
        x = np.arange(256)
        hsv = cv2.merge((cv2.LUT(hsv[..., 0], ((x + dh) % 180).astype(np.uint8)),
                         cv2.LUT(hsv[..., 1], np.clip(x * gs, 0, 255).astype(np.uint8)),
                         cv2.LUT(hsv[..., 2], np.clip(x * gv, 0, 255).astype(np.uint8))))
        img = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    if rng.random() < 0.2:
        g, a, b = rng.uniform(0.7, 1.4), rng.uniform(0.8, 1.2), rng.uniform(-20, 20)
        lut = np.clip(((np.arange(256) / 255.0) ** g * 255) * a + b, 0, 255).astype(np.uint8)
        img = cv2.LUT(img, lut)
    if rng.random() < 0.05:
        img = cv2.cvtColor(cv2.cvtColor(img, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if rng.random() < 0.08:
        img = cv2.GaussianBlur(img, (0, 0), rng.uniform(0.4, 1.4))
    if rng.random() < 0.08:                    # a camera with fewer pixels than the file has
        f = rng.uniform(0.35, 0.8)
        small = cv2.resize(img, None, fx=f, fy=f, interpolation=cv2.INTER_AREA)
        img = cv2.resize(small, img.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.08:
        q = int(rng.integers(20, 70))
        img = cv2.imdecode(cv2.imencode(".jpg", img, [cv2.IMWRITE_JPEG_QUALITY, q])[1], 1)
    return img


def spoil(img, rng):
    """What the authors of construction-site-safety did to its train photos: exposure, cutouts, grey."""
    g, b = rng.uniform(0.6, 1.5), rng.uniform(-40, 70)
    img = cv2.LUT(img, np.clip(np.arange(256) * g + b, 0, 255).astype(np.uint8))
    if rng.random() < 0.1:
        img = cv2.cvtColor(cv2.cvtColor(img, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    h, w = img.shape[:2]
    side = max(2, round(0.02 * max(h, w)))
    for _ in range(rng.integers(3, 9)):
        y, x = rng.integers(0, h), rng.integers(0, w)
        img[y:y + side, x:x + side] = 0
    return img


def paste(canvas, img, item, masked, box_weight, rect, scale, aspect, rng, centre):
    """Scale a photo and paste it into `rect` of the canvas; returns its boxes and ignore rows.

    centre: place the photo at random (cut or padded) instead of at the top left, unscaled pad.
    """
    x0, y0, x1, y1 = rect
    h, w = img.shape[:2]
    fx = scale * (x1 - x0) / max(h, w) * aspect ** 0.5
    fy = scale * (y1 - y0) / max(h, w) / aspect ** 0.5
    flip = rng.random() < 0.5
    nw, nh = w * fx, h * fy
    ox = x0 + (rng.uniform(min(0, x1 - x0 - nw), max(0, x1 - x0 - nw)) if centre else 0)
    oy = y0 + (rng.uniform(min(0, y1 - y0 - nh), max(0, y1 - y0 - nh)) if centre else 0)
    interp = cv2.INTER_LINEAR
    if max(fx, fy) < 0.6:      # shrink by area first: plain bilinear would alias
        small = cv2.resize(img, (max(1, round(nw)), max(1, round(nh))), interpolation=cv2.INTER_AREA)
        m = np.float32([[nw / small.shape[1], 0, ox - x0], [0, nh / small.shape[0], oy - y0]])
    else:
        small, m = img, np.float32([[fx, 0, ox - x0 + fx / 2 - 0.5], [0, fy, oy - y0 + fy / 2 - 0.5]])
    if flip:
        small = cv2.flip(small, 1)
    canvas[y0:y1, x0:x1] = cv2.warpAffine(small, m, (x1 - x0, y1 - y0), flags=interp,
                                          borderMode=cv2.BORDER_CONSTANT, borderValue=(PAD,) * 3)

    def place(rows):
        b = np.array(rows, np.float32)
        if len(rows):
            if flip:
                b[:, [0, 2]] = w - b[:, [2, 0]]
            b[:, [0, 2]] = b[:, [0, 2]] * fx + ox
            b[:, [1, 3]] = b[:, [1, 3]] * fy + oy
        return b
    boxes, ignore = place(item["boxes"]), place(item["ignore"])
    out, ign = [], []
    for b in boxes:
        area = max((b[2] - b[0]) * (b[3] - b[1]), 1e-6)
        c = [max(b[0], x0), max(b[1], y0), min(b[2], x1), min(b[3], y1)]
        cw, ch = c[2] - c[0], c[3] - c[1]
        if cw <= 0 or ch <= 0:
            continue
        # A sliver of an object, or one of a few pixels, is neither object nor background.
        if cw * ch / area < 0.3 or min(cw, ch) < 4:
            ign.append(c + [b[4]])
        else:
            out.append(c + [b[4], b[5], b[6] if len(b) > 6 else box_weight.get(int(b[4]), 1.0)])
    ign += [list(b) for b in ignore]
    ign += [[x0, y0, x1, y1, c] for c in masked]
    return out, ign


def tile(img, item, rng):
    """One of the four photos of a ready-made mosaic, as an image and item of its own."""
    cx, cy = item["centre"]
    tiles = [(0, 0, cx, cy), (cx, 0, item["w"], cy), (0, cy, cx, item["h"]),
             (cx, cy, item["w"], item["h"])]
    inside = [[b for b in item["boxes"] if x0 <= (b[0] + b[2]) / 2 < x1
               and y0 <= (b[1] + b[3]) / 2 < y1] for x0, y0, x1, y1 in tiles]
    k = int(rng.choice([i for i in range(4) if inside[i] or rng.random() < 0.1] or [0]))
    x0, y0, x1, y1 = tiles[k]
    boxes = [[max(b[0], x0) - x0, max(b[1], y0) - y0, min(b[2], x1) - x0, min(b[3], y1) - y0]
             + b[4:] for b in inside[k]]
    return img[y0:y1, x0:x1], dict(item, boxes=boxes, ignore=[])


class Train:
    """Random numbers come from (seed, step, rank), so a resumed run goes on where it was."""
    def __init__(self, cache, batch, seed, rank=0):
        self.cache, self.batch, self.seed, self.rank = cache, batch, seed, rank
        sets = load_sets()
        self.masked = {k: masked_classes(v) for k, v in sets.items()}
        self.box_weight = {k: {CLASSES.index(c): w for c, w in v.get("box_weight", {}).items()}
                           for k, v in sets.items()}
        self.mosaic = {k: v["mosaic"] for k, v in sets.items()}
        self.square = {k: v.get("made_of_mosaics", False) for k, v in sets.items()}
        self.scale = {k: v["scale"] for k, v in sets.items()}
        path = os.path.join(cache.folder, "tight.json")
        self.tight = json.load(open(path)) if os.path.exists(path) else {}
        self.framed = {k: v.get("framed", False) for k, v in sets.items()}
        w = np.array([sets[i["set"]]["sampling"] for i in cache.items])
        self.p, self.epoch = w / w.sum(), float(w.sum())
        # Class weights: root of the rarity among the drawn boxes, kept within 0.7 and 2.5; they
        # weigh a class's positives and negatives alike, so scores stay calibrated.
        n = np.ones(len(CLASSES))
        for it, wi in zip(cache.items, w):
            for b in it["boxes"]:
                n[b[4]] += wi
        self.class_weight = torch.tensor(np.clip(np.sqrt(np.median(n) / n), 0.7, 2.5)).float()

    def tightened(self, item):
        """The photo with boxes of hat and hair (tight.py); the others teach no box."""
        tight = self.tight.get(str(item["id"]), {})
        boxes = [(tight[str(k)] + b[4:6] + [2.0]) if str(k) in tight else list(b[:6]) + [0.0]
                 for k, b in enumerate(item["boxes"])]
        return dict(item, boxes=boxes)

    def one(self, size, late, rng):
        canvas = np.full((size, size, 3), PAD, np.uint8)
        first = self.cache.items[rng.choice(len(self.p), p=self.p)]
        def get(it):
            img = self.cache.image(it)
            if it.get("centre") and rng.random() < 0.5:
                img, it = tile(img, it, rng)
            return img, it, self.masked[it["set"]], self.box_weight[it["set"]]
        if not late and rng.random() < self.mosaic[first["set"]]:
            cx, cy = (int(size * rng.uniform(0.35, 0.65)) for _ in range(2))
            rects = [(0, 0, cx, cy), (cx, 0, size, cy), (0, cy, cx, size), (cx, cy, size, size)]
            its = [first] + [self.cache.items[j] for j in rng.choice(len(self.p), 3, p=self.p)]
            boxes, ignore = [], []
            for r, it in zip(rects, its):
                # 0.9-2.2 of the quarter: about half to full size of the photo alone.
                b, g = paste(canvas, *get(it), r, rng.uniform(0.9, 2.2) , rng.uniform(0.85, 1.18)
                             * (r[3] - r[1]) / (r[2] - r[0]), rng, True)
                boxes += b
                ignore += g
        else:
            img, item, masked, box_weight = get(first)
            framed = late and self.framed[first["set"]]
            square = self.square[first["set"]]
            if framed:
                if rng.random() < 0.5:
                    img = spoil(img.copy(), rng)
                if self.tight and rng.random() < 0.3:
                    square, item = True, self.tightened(item)
            labels = masked, box_weight
            # Squeezed to the square where the set's own photos are, else as they are.
            h, w = img.shape[:2]
            scale, aspect = (max(h, w) / (h * w) ** 0.5, h / w) if square else (1.0, 1.0)
            centre = rng.random() > (0.65 if late else 0.3)       # else as at inference
            if framed:
                centre = False
                scale *= 1.0 if square else float(rng.uniform(0.7, 1.0))
            if centre:
                if late:
                    lo, hi = (1.0, 1.4) if square else (0.75, 1.4)
                elif item is not first:              # a tile: already twice as near as its photo
                    lo, hi = 0.75, 1.1
                else:
                    lo, hi = self.scale[first["set"]]
                scale *= float(np.exp(rng.uniform(np.log(lo), np.log(hi))))
                aspect *= rng.uniform(0.85, 1.18)
            boxes, ignore = paste(canvas, img, item, *labels, (0, 0, size, size), scale, aspect,
                                  rng, centre)
        return colour(canvas, rng), boxes, ignore

    def batch_at(self, step, late):
        """The same input size on every rank (they wait for each other), other photos."""
        size = np.random.default_rng((self.seed, step)).choice(SIZES_LATE if late else SIZES_EARLY)
        rng = np.random.default_rng((self.seed, step, self.rank))
        rows = [self.one(int(size), late, rng) for _ in range(self.batch)]
        x = torch.from_numpy(np.stack([r[0] for r in rows]))
        t = lambda v, n: torch.tensor(v, dtype=torch.float32).reshape(-1, n)
        return x, [t(r[1], 7) for r in rows], [t(r[2], 5) for r in rows]
