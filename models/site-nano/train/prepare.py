"""Decode every photo once into one flat uint8 file, split, and pseudo-label person and vehicle.

Writes pixels.u8 (all photos, BGR, one after the other) and index.json (per photo: set, split,
offset, size, boxes [x1,y1,x2,y2,class,weight], ignore [x1,y1,x2,y2,class]).
"""
import argparse
import json
import os
import re
import tomllib
import zlib

import cv2
import numpy as np
import onnx
import torch
import torchvision
from onnx import numpy_helper

from model import CLASSES, SiteNano, decode, grid, load_coco

HOLD = 7          # percent of the train groups held out for choosing thresholds and sizes
SURE, DOUBT = 0.5, 0.1
COCO = {0: "person", 2: "vehicle", 5: "vehicle", 7: "vehicle"}   # person; car, bus, truck
TRUCK = 7         # COCO calls excavators and forklifts trucks: a truck is only ever "doubtful"


def group(set_name, source):
    """Photos of one origin stay on one side of the split: a source photo, or a whole video.

    The fire sets' frames called img-N or image-N come from many videos: runs of 25 stay together.
    """
    stem = source.split(".rf.")[0]
    if "fire" in set_name:
        m = re.match(r"(.*?)(?:_mp4)?[-_]?(\d+)_(?:jpg|png|jpeg)$", stem)
        if m:
            stem = m[1] + (f"-{int(m[2]) // 25}" if m[1] in ("img", "image") else "")
    return stem


def held_out(set_name, source):
    return zlib.crc32(group(set_name, source).encode()) % 100 < HOLD


def letterbox(img, size):
    r = size / max(img.shape[:2])
    h, w = round(img.shape[0] * r), round(img.shape[1] * r)
    interp = cv2.INTER_AREA if r < 1 else cv2.INTER_LINEAR
    out = np.full((size, size, 3), 114, np.uint8)
    out[:h, :w] = cv2.resize(img, (w, h), interpolation=interp)
    return out, r


def mosaic_centre(img):
    """(x, y) where the four photos of a ready-made mosaic meet, or None.

    At a seam most rows (columns) jump; an edge inside a photo crosses only some: so the median of
    the jumps stands out at the seam.
    """
    out = []
    for axis in (1, 0):
        d = np.abs(np.diff(img.astype(np.int16), axis=axis)).max(2)
        jump = np.median(d, axis=1 - axis)
        n = len(jump)
        lo, hi = n // 5, n - n // 5
        k = lo + int(jump[lo:hi].argmax())
        rest = np.delete(jump, range(max(0, k - 2), k + 3))
        if jump[k] < 6 or jump[k] < 2 * rest[lo:hi].max():
            return None
        out.append(k + 1)
    return out


def tighten(boxes, w, h, edges, s):
    """Undo, on average, the growth of boxes that were turned with their photo and boxed again.

    Turned by t, a box w x h becomes w cos t + h sin t wide. `s` is the mean of |sin t|; a side on
    one of `edges` (picture border, seam of a mosaic) was cut there and stays.
    """
    xs, ys = edges
    out = []
    for x1, y1, x2, y2, *rest in boxes:
        bw, bh = x2 - x1, y2 - y1
        dx = min(max(bw - (bw - s * bh) / (1 - s * s), 0), 0.3 * bw) / 2
        dy = min(max(bh - (bh - s * bw) / (1 - s * s), 0), 0.3 * bh) / 2
        free = lambda v, at: all(abs(v - e) > 3 for e in at)
        out.append([x1 + dx * free(x1, xs), y1 + dy * free(y1, ys),
                    x2 - dx * free(x2, xs), y2 - dy * free(y2, ys), *rest])
    return out


class Teacher:
    """The pretrained COCO-80 network, at a free input size (the published ONNX is fixed)."""
    def __init__(self, path):
        self.net = load_coco(SiteNano(), path).eval().to(memory_format=torch.channels_last)
        w = {i.name: numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer}
        self.head = [[torch.from_numpy(np.array(w[f"head.{k}_preds.{i}.{p}"]))
                      for k in ("reg", "obj", "cls") for p in ("weight", "bias")] for i in range(3)]

    @torch.no_grad()
    def __call__(self, imgs):
        x = torch.from_numpy(np.stack(imgs)).permute(0, 3, 1, 2).float()
        raw, score = [], []
        for (fc, fr), (rw, rb, ow, ob, cw, cb) in zip(self.net.features_fast(x), self.head):
            raw.append(torch.conv2d(fr, rw, rb).flatten(2))
            score.append((torch.conv2d(fr, ow, ob).sigmoid()
                          * torch.conv2d(fc, cw, cb).sigmoid()).flatten(2))
        pts, st = grid(*x.shape[2:])
        box = decode(torch.cat(raw, 2).transpose(1, 2), pts, st)
        xyxy = torch.cat((box[..., :2] - box[..., 2:] / 2, box[..., :2] + box[..., 2:] / 2), -1)
        return xyxy, torch.cat(score, 2).transpose(1, 2)


def pseudo(teacher, imgs, size):
    """Per photo: [(x1,y1,x2,y2, class name, score, is_truck)], after NMS."""
    lb = [letterbox(i, size) for i in imgs]
    boxes, scores = teacher([b[0] for b in lb])
    out = []
    for box, sc, (_, r) in zip(boxes, scores, lb):
        rows = []
        ids = list(COCO)
        s, c = sc[:, ids].max(1)
        keep = s > DOUBT
        b, s, c = box[keep], s[keep], c[keep]
        k = torchvision.ops.batched_nms(b, s, (c > 0).long(), 0.6)
        for j in k:
            cid = ids[int(c[j])]
            rows.append(((b[j] / r).tolist(), COCO[cid], float(s[j]), cid == TRUCK))
        out.append(rows)
    return out


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", required=True, help="folder with one folder a set")
    ap.add_argument("--weights", required=True, help="yolox_nano_coco.onnx")
    ap.add_argument("--cache", required=True)
    ap.add_argument("--limit", type=int, default=0, help="photos per split, for a smoke test")
    ap.add_argument("--pseudo-size", type=int, default=448)
    a = ap.parse_args()
    os.makedirs(a.cache, exist_ok=True)
    cv2.setNumThreads(0)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "sets.toml"), "rb") as f:
        cfg = tomllib.load(f)
    teacher = Teacher(a.weights)
    index, offset = [], 0
    with open(os.path.join(a.cache, "pixels.u8"), "wb") as px:
        for name, sc in cfg.items():
            for split in ("train", "val"):
                d = json.load(open(os.path.join(a.data, name, split + ".json")))
                cats = {c["id"]: c["name"] for c in d["categories"]}
                anns = {}
                for an in d["annotations"]:
                    anns.setdefault(an["image_id"], []).append(an)
                images = d["images"][:a.limit or None]
                for k in range(0, len(images), 16):
                    part = images[k:k + 16]
                    imgs = [cv2.imread(os.path.join(a.data, name, split, i["file_name"]))
                            for i in part]
                    found = (pseudo(teacher, imgs, a.pseudo_size)
                             if split == "train" and sc["pseudo"] else [[]] * len(part))
                    for im, img, extra in zip(part, imgs, found):
                        h, w = img.shape[:2]
                        boxes, ignore = [], []
                        for an in anns.get(im["id"], []):
                            x, y, bw, bh = an["bbox"]
                            boxes.append([x, y, x + bw, y + bh,
                                          CLASSES.index(cats[an["category_id"]]), 1.0])
                        for b, cname, s, truck in extra:
                            if cname not in sc["pseudo"]:
                                continue
                            b = [min(max(b[0], 0), w), min(max(b[1], 0), h),
                                 min(max(b[2], 0), w), min(max(b[3], 0), h)]
                            if s >= SURE and not truck:
                                boxes.append(b + [CLASSES.index(cname), 0.5])
                            else:
                                ignore.append(b + [CLASSES.index(cname)])
                        sp = split if split == "val" else (
                            "hold" if held_out(name, im["source"]) else "train")
                        index.append(dict(set=name, split=sp, id=im["id"], offset=offset, h=h, w=w,
                                          boxes=boxes, ignore=ignore))
                        if sc.get("made_of_mosaics") and split == "train":
                            centre = mosaic_centre(img)
                            cx, cy = centre or (0, 0)
                            index[-1].update(centre=centre, boxes=tighten(
                                boxes, w, h, ((0, cx, w), (0, cy, h)), sc["turned"]))
                        px.write(np.ascontiguousarray(img).tobytes())
                        offset += img.size
                ns = [i["split"] for i in index if i["set"] == name]
                np_ = sum(b[5] < 1 for i in index if i["set"] == name for b in i["boxes"])
                print(name, split, {s: ns.count(s) for s in set(ns)}, "pseudo", np_, flush=True)
    json.dump(index, open(os.path.join(a.cache, "index.json"), "w"))


if __name__ == "__main__":
    main()
