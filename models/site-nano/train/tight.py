"""Boxes as construction-site-safety draws them, for photos of hard-hat-workers.

A network trained on both sets draws hat or hair alone on photos that look like that set's (squeezed
to the square, spoilt). Where it does so over a labelled head of a train photo, its box is kept:
CACHE/tight.json, {photo id: {number of the box: [x1, y1, x2, y2]}}.
"""
import argparse
import json
import os

import cv2
import numpy as np
import torch
from torchvision.ops import box_iou

from data import Cache, spoil
from evaluate import load_checkpoint, torch_predictor
from model import CLASSES

SIZE, ROUNDS, WHOLE = 512, 2, 0.75       # a box down to 0.75 of the head is no longer the hat alone


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--cache", required=True)
    ap.add_argument("--weights", required=True, help="last.pt of the first run")
    a = ap.parse_args()
    torch.set_num_threads(2)
    run, cache, rng = torch_predictor(load_checkpoint(a.weights), SIZE), Cache(a.cache, "train"), np.random.default_rng(1)
    out, n = {}, 0
    for it in (i for i in cache.items if i["set"] == "hard-hat-workers"):
        scale = np.array([SIZE / it["w"], SIZE / it["h"]] * 2, np.float32)
        x = np.stack([cv2.resize(spoil(cache.image(it).copy(), rng), (SIZE, SIZE)) for _ in range(ROUNDS)])
        boxes, probs = run(torch.from_numpy(x).permute(0, 3, 1, 2).float())
        found = {}
        for k, b in enumerate(it["boxes"]):
            if CLASSES[b[4]] not in ("helmet", "head") or b[5] != 1:
                continue
            n += 1
            truth = torch.tensor(np.array(b[:4]) * scale)[None]
            best = 0.2
            for box, prob in zip(boxes, probs):
                s = prob[:, b[4]]
                xy = torch.cat((box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2), 1)
                sure = (s > best).nonzero()[:, 0]
                sure = sure[box_iou(xy[sure], truth)[:, 0] > 0.3]
                sure = sure[(xy[sure, 3] - truth[0, 1]) < WHOLE * (truth[0, 3] - truth[0, 1])]
                if len(sure):
                    top = sure[s[sure].argmax()]
                    best, found[k] = float(s[top]), (xy[top].numpy() / scale).round(1).tolist()
        if found:
            out[it["id"]] = found
    with open(os.path.join(a.cache, "tight.json"), "w") as f:
        json.dump(out, f)
    print(f"{sum(map(len, out.values()))} of {n} heads and helmets")


if __name__ == "__main__":
    main()
