"""Score thresholds and calibration a class, from the held-out slice of the train sets.

A class is judged on the photos whose set labels it or knows it to be absent. The threshold is the
one of best F1 (IoU 0.5), or best F2 for what is itself evidence of a hazard (a person looks at every
candidate, so a miss costs more) at a precision of at least one half (flame and smoke: two fifths), after smoothing over neighbouring thresholds; Platt's a, b map a score
to the chance that the detection is right: p = 1 / (1 + exp(-(a * logit(score) + b))).
"""
import argparse
import json

import numpy as np
import torch
from torchvision.ops import box_iou

from data import Cache, load_sets
from evaluate import detect, load_checkpoint, onnx_predictor, torch_predictor
from model import CLASSES

NMS_IOU, CONF = 0.65, 0.02
GRID = np.arange(0.05, 0.951, 0.01)


def matched(dets, gts):
    """Greedy matching by falling score at IoU 0.5. Returns [(score, right)]."""
    out, used = [], set()
    iou = box_iou(torch.tensor(dets[:, :4]), torch.tensor(gts)).numpy() if len(gts) and len(dets) \
        else np.zeros((len(dets), 0))
    for i in range(len(dets)):
        best = max((j for j in range(iou.shape[1]) if j not in used and iou[i, j] >= 0.5),
                   key=lambda j: iou[i, j], default=None)
        if best is not None:
            used.add(best)
        out.append((dets[i, 4], best is not None))
    return out


ALARM = ("fire", "smoke")      # a miss costs the most
EVIDENCE = ("head", "no_vest", "no_mask", "fire", "smoke")


def platt(s, y, steps=200):
    """Logistic regression on logit(score) by Newton's method, with a weak prior on a=1, b=0."""
    z = np.log(np.clip(s, 1e-4, 1 - 1e-4) / (1 - np.clip(s, 1e-4, 1 - 1e-4)))
    x, w = np.stack((z, np.ones_like(z)), 1), np.array([1.0, 0.0])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-x @ w))
        h = (x * (p * (1 - p))[:, None]).T @ x + np.eye(2)
        w = w + np.linalg.solve(h, x.T @ (y - p) - (w - np.array([1.0, 0.0])))
    return w


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--cache", required=True)
    ap.add_argument("--checkpoint")
    ap.add_argument("--onnx")
    ap.add_argument("--size", type=int, default=416)
    ap.add_argument("--out", required=True)
    a = ap.parse_args()
    if a.onnx:
        run, a.size = onnx_predictor(a.onnx)
    else:
        run = torch_predictor(load_checkpoint(a.checkpoint), a.size)
    cache, sets = Cache(a.cache, "hold"), load_sets()
    dets = detect(run, cache, cache.items, a.size, CONF, NMS_IOU)
    out = {}
    for c, name in enumerate(CLASSES):
        rows, n = [], 0
        for it, d in zip(cache.items, dets):
            cfg = sets[it["set"]]
            if name not in cfg["labelled"] and name not in cfg["absent"]:
                continue
            gts = [b[:4] for b in it["boxes"] if b[4] == c and b[5] == 1]
            n += len(gts)
            rows += matched(d[d[:, 5] == c], np.array(gts, np.float32).reshape(-1, 4))
        s, y = np.array([r[0] for r in rows]), np.array([float(r[1]) for r in rows])
        tp = np.array([y[s >= t].sum() for t in GRID])
        fp = np.array([(1 - y[s >= t]).sum() for t in GRID])
        f1 = 2 * tp / np.maximum(tp + fp + n, 1e-9)
        # F-beta (van Rijsbergen): a miss weighs beta times a false alarm
        b2 = (2.0 if name in EVIDENCE else 1.0) ** 2
        goal = (1 + b2) * tp / np.maximum((1 + b2) * tp + b2 * (n - tp) + fp, 1e-9)
        # ... but no class may be wrong more often than right; an alarm, three times in five
        sound = tp >= fp * (2 / 3 if name in ALARM else 1)
        goal = np.where(sound, goal, 0.0) if b2 > 1 and sound[:-5].any() and (tp * sound).max() >= 10 else f1
        k = 5                                             # moving average over 0.05
        smooth = np.convolve(np.pad(goal, k // 2, mode="edge"), np.ones(k) / k, "valid")
        i = int(smooth.argmax())
        pa, pb = platt(s, y)
        out[name] = dict(threshold=round(float(GRID[i]), 2), f1=round(float(f1[i]), 3),
                         precision=round(float(tp[i] / max(tp[i] + fp[i], 1)), 3),
                         recall=round(float(tp[i] / max(n, 1)), 3), boxes=n,
                         platt_a=round(float(pa), 4), platt_b=round(float(pb), 4))
        print(f"{name:10s}", out[name])
    json.dump(dict(input_size=a.size, nms_iou=NMS_IOU, match_iou=0.5,
                   chosen_on="held-out slice of the train sets", classes=out),
              open(a.out, "w"), indent=1)


if __name__ == "__main__":
    main()
