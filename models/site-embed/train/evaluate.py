"""All figures of the card: the embedding against the untouched backbone and a perceptual hash. Only val photos
and left-out classes; intervals by drawing sources.

    python evaluate.py --cache CACHE --onnx site-embed.onnx --out metrics.json
"""
import argparse
import json
import os
import time
import zlib

import numpy as np
import onnxruntime as ort

import crops
import metrics
from model import array
from views import frozen

# of the picture stored with context; each spoils like a second camera, another day, another program
SPOILT = {
    "crop to 60 % of the area": lambda x, r: crops.crop(x, r, 0.6),
    "other light": lambda x, r: crops.light(x, r),
    "shadow": crops.shadow,
    "blur": crops.blur,
    "noise": crops.noise,
    "JPEG quality 12 to 50": crops.jpeg,
    "mirrored": crops.flip,
    "partly covered": crops.occlude,
    "light, crop, blur and JPEG": lambda x, r: crops.jpeg(crops.blur(crops.crop(crops.light(x, r), r, 0.6), r), r),
}


class Embedder:
    """The ONNX file, as the program runs it."""

    def __init__(self, path, threads=2):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, pictures):
        return np.concatenate([self.session.run(["embedding"], {"images": array(pictures[k:k + 2])})[0]
                               for k in range(0, len(pictures), 2)])


def backbone(cache):
    """ImageNet's features, as they are: the mean of the head's 1280 channels, length 1."""
    run = frozen(cache, threads=2)

    def embed(pictures):
        # the same at every evaluation, and half of its time
        kept = os.path.join(cache, f"untouched-{zlib.crc32(pictures.tobytes()):08x}.npy")
        if not os.path.exists(kept):
            np.save(kept, run(pictures)[:, :1280])
        z = np.load(kept).astype(np.float32)
        return z / np.linalg.norm(z, axis=1, keepdims=True)
    return embed


def hashes(pictures):
    return np.stack([metrics.phash(p) for p in pictures])


def report(name, rows, classes, groups):
    low, high = metrics.interval(rows, classes, groups)
    mean = metrics.macro(rows, classes)
    print(f"  {name:22}" + "".join(f"  {k} {m:.3f} [{a:.3f}, {b:.3f}]"
                                   for k, m, a, b in zip(("P@1", "R@10", "mAP"), mean, low, high)))
    return {"p1": mean[0], "r10": mean[1], "map": mean[2],
            "interval": {"p1": [low[0], high[0]], "r10": [low[1], high[1]], "map": [low[2], high[2]]},
            "by_class": {c: rows[classes == c].mean(0).tolist() for c in np.unique(classes)}}


def compared(rows, others, classes, groups):
    """How much better than another way, with the sources drawn for both at once."""
    low, high = metrics.interval(rows - others, classes, groups)
    mean = metrics.macro(rows - others, classes)
    return {k: [m, a, b] for k, m, a, b in zip(("p1", "r10", "map"), mean, low, high)}


def same_kind(z, items, other_set):
    """Queries: val crops of the left-out classes. Gallery: those of the train halves, and val crops of everything
    else. With `other_set` a query meets its own class only in sets that it is not from."""
    role = np.array([i["role"] for i in items])
    cls = np.array([i["class"] for i in items])
    grp = np.array([i["group"] for i in items])
    own = np.array([i["set"] for i in items])
    query, gallery = role == "query", role != "query"
    if not other_set:
        rows = metrics.retrieval(z[query], z[gallery], cls[query], cls[gallery], grp[query], grp[gallery])
        return rows, cls[query], grp[query]
    sets = [s for s in np.unique(own[query & (cls == "fire")])]
    parts = []
    for s in sets:
        q = query & (cls == "fire") & (own == s)
        g = gallery & ~((cls == "fire") & (own == s))
        parts.append((metrics.retrieval(z[q], z[g], cls[q], cls[g], grp[q], grp[g]), own[q], grp[q]))
    return tuple(np.concatenate(p) for p in zip(*parts))


def one_a_source(items, rng, most):
    first = {}
    for k in rng.permutation(len(items)):
        first.setdefault(items[k]["group"], k)
    return np.array(sorted(first.values()))[:most] if len(first) <= most else \
        np.sort(rng.choice(sorted(first.values()), most, replace=False))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--cache", required=True)
    p.add_argument("--onnx", required=True)
    p.add_argument("--before", help="an earlier version's ONNX, to be compared with")
    p.add_argument("--out", required=True)
    a = p.parse_args()
    items = json.load(open(os.path.join(a.cache, "crops.json")))["test"]
    pictures = np.load(os.path.join(a.cache, "test.u8.npy"))
    ways = {"site-embed": Embedder(a.onnx), "untouched backbone": backbone(a.cache), "perceptual hash": hashes}
    if a.before:
        ways["before"] = Embedder(a.before)
    found = {"same_kind": {}, "better_than": {}, "fire_of_the_other_set": {}, "same_picture": {}}
    z = {name: way(pictures) for name, way in ways.items()}

    print("same kind, classes left out of training, other sources")
    for name in ways:
        found["same_kind"][name] = report(name, *same_kind(z[name], items, False))
        print("   ", {c: [round(v, 3) for v in r] for c, r in found["same_kind"][name]["by_class"].items()})
    for name in ways:
        if name != "site-embed":
            better = compared(same_kind(z["site-embed"], items, False)[0], *same_kind(z[name], items, False))
            found["better_than"][name] = better
            print(f"  better than {name}:", {k: [round(x, 3) for x in v] for k, v in better.items()})
    print("fire, of the other set only")
    for name in ways:
        found["fire_of_the_other_set"][name] = report(name, *same_kind(z[name], items, True))

    rng = np.random.default_rng(11)
    chosen = one_a_source(items, rng, 300)
    print(f"same picture, spoilt, among {len(chosen)} of different sources")
    for what, spoil in SPOILT.items():
        spoilt = np.stack([spoil(pictures[k], np.random.default_rng((int(k), len(what)))) for k in chosen])
        found["same_picture"][what] = {}
        for name, way in ways.items():
            best = (way(spoilt) @ z[name][chosen].T).argmax(1)
            hit = best == np.arange(len(chosen))
            error = 1.96 * (hit.mean() * (1 - hit.mean()) / len(hit)) ** 0.5
            found["same_picture"][what][name] = [hit.mean(), error]
        print(f"  {what:28}" + "".join(f"  {n} {m:.3f} ±{e:.3f}"
                                       for n, (m, e) in found["same_picture"][what].items()))

    one = Embedder(a.onnx, threads=1)
    one(pictures[:8])
    times = []
    for k in range(60):
        began = time.process_time()
        one(pictures[k:k + 1])
        times.append(1000 * (time.process_time() - began))
    found["ms_a_crop"] = {"median": float(np.median(times)), "least": min(times)}
    print(f"one core: median {np.median(times):.1f} ms CPU time a crop, least {min(times):.1f}")
    with open(a.out, "w") as f:
        json.dump(found, f, indent=1, default=float)


if __name__ == "__main__":
    main()
