"""What settings are chosen by: the classes that --dev leaves out of training as well (classes.toml)."""
import json
import os

import numpy as np

import crops
import metrics
from crops import middle, squeeze
from teacher import SIZE as TEACHER_SIZE
from views import SIZE, frozen, running


def spoil(x, rng):
    """The hardest of evaluate.py."""
    return crops.jpeg(crops.blur(crops.crop(crops.light(x, rng), rng, 0.6), rng), rng)


def gathered(cache, index, cfg):
    """Features of crops and of their spoilt likes. Gallery: 120 train crops of each class left out, one a source
    first. Queries: val crops of them. Distractors: val crops of other classes."""
    rng = np.random.default_rng(5)
    pictures, items, query = [], [], []
    wide = np.load(os.path.join(cache, "wide.u8.npy"), mmap_mode="r")
    for c in cfg["dev_left_out"]:
        at = [k for k, i in enumerate(index["train"]) if i["class"] == c]
        for k in rng.choice(at, min(120, len(at)), replace=False):
            pictures.append(middle(wide[k]))
            items.append(index["train"][k])
            query.append(False)
    known = len(pictures)
    test = np.load(os.path.join(cache, "test.u8.npy"), mmap_mode="r")
    for k, i in enumerate(index["test"]):
        if i["role"] == "distractor" and (i["class"] in cfg["dev_left_out"] or rng.random() < 0.6):
            pictures.append(test[k])
            items.append(i)
            query.append(i["class"] in cfg["dev_left_out"])
    seen = [squeeze(p, SIZE) for p in pictures]
    spoilt = [spoil(seen[k], np.random.default_rng((k, 9))) for k in range(known)]
    pooled = frozen(cache, threads=2)(np.stack(seen + spoilt))
    taught = running(os.path.join(cache, "teacher.onnx"), 2)(np.stack([squeeze(p, TEACHER_SIZE) for p in pictures]))
    return {"pooled": pooled, "teacher": taught, "class": np.array([i["class"] for i in items]),
            "group": np.array([i["group"] for i in items]), "query": np.array(query)}


def load(cache, cfg):
    path = os.path.join(cache, "dev.npz")
    if not os.path.exists(path):
        index = json.load(open(os.path.join(cache, "crops.json")))
        np.savez(path, **gathered(cache, index, cfg))
    return dict(np.load(path))


def score(dev, z):
    """P@1, R@10, mAP, mean of the classes; and, where `z` has them, share of spoilt crops whose own is nearest of all."""
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    n = len(dev["class"])
    z, spoilt = z[:n], z[n:]
    cls, group, query = dev["class"], dev["group"], dev["query"]
    rows = metrics.retrieval(z[query], z, cls[query], cls, group[query], group)
    again = [((spoilt @ z.T).argmax(1) == np.arange(len(spoilt))).mean()] if len(spoilt) else []
    return [*metrics.macro(rows, cls[query]), *again]
