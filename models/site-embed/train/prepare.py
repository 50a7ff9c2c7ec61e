"""Cuts all crops that training and testing need into two files: `wide.u8`, training crops stored 1.25 times as
wide, and `test.u8`, crops as the program cuts them. `crops.json` says what each is.

Training crops are of labelled boxes, of background, and windows as the program looks at a photo without a detector:
whatever they show (class `window`). `dev_shown` says how much of a crop the classes left out with --dev cover.

Left-out classes: see classes.toml. Val photos are only ever tested on. The gallery of the left-out classes comes
from the train halves (no training crop shows them), the queries from the val halves, which share no photo.
"""
import argparse
import collections
import json
import os
import tomllib
import zlib
from multiprocessing import Pool

import cv2
import numpy as np

from crops import WIDE, cut, group, look, squeeze

STORED = 288
WINDOWS = 4     # drawn a photo; not all are used
HERE = os.path.dirname(os.path.abspath(__file__))


def settings():
    with open(os.path.join(HERE, "classes.toml"), "rb") as f:
        return tomllib.load(f)


def for_dev(item, cfg):
    """Whether training with --dev uses a crop."""
    return item["class"] not in cfg["dev_left_out"] and item["dev_shown"] <= cfg["most_shown"]


def covered(region, boxes):
    """Share of a region that the boxes cover, at most (overlaps are counted twice)."""
    x1, y1, x2, y2 = region
    shared = 0.0
    for b in boxes:
        shared += max(0, min(x2, b[2]) - max(x1, b[0])) * max(0, min(y2, b[3]) - max(y1, b[1]))
    return shared / max((x2 - x1) * (y2 - y1), 1e-9)


def background(width, height, boxes, rng):
    """A region clear of every labelled box, or None."""
    for _ in range(30):
        side = rng.uniform(0.12, 0.5) * min(width, height)
        w, h = side * np.exp(rng.uniform(-0.3, 0.3)), side * np.exp(rng.uniform(-0.3, 0.3))
        x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
        region = [x, y, x + w, y + h]
        if min(w, h) >= 24 and covered(region, boxes) < 0.02:
            return region
    return None


def window(width, height, rng):
    """A square of the whole shorter side to a third of it."""
    side = min(width, height) * rng.uniform(0.3, 1.0)
    x, y = rng.uniform(0, width - side), rng.uniform(0, height - side)
    return [x, y, x + side, y + side]


def spread(items, most, rng):
    """At most `most`, one source after the other."""
    by_group = collections.defaultdict(list)
    for k in rng.permutation(len(items)):
        by_group[items[k]["group"]].append(items[k])
    queues, taken = list(by_group.values()), []
    while queues and len(taken) < most:
        taken += [q.pop() for q in queues]
        queues = [q for q in queues if q]
    return taken[:most]


def gather(data, cfg):
    """(training crops, test crops): dicts with set, split, file, region, class, group, role."""
    left_out, dev_left_out = set(cfg["left_out"]), set(cfg["dev_left_out"])
    train, test = [], []
    for name in sorted(os.listdir(data)):
        for split in ("train", "val"):
            path = os.path.join(data, name, split + ".json")
            if not os.path.isfile(path):
                continue
            rng, wander = (np.random.default_rng(zlib.crc32(f"{name}/{split}{use}".encode())) for use in ("", "/windows"))
            coco = json.load(open(path))
            names = {c["id"]: c["name"] for c in coco["categories"]}
            boxes = collections.defaultdict(list)
            for a in coco["annotations"]:
                x, y, w, h = a["bbox"]
                boxes[a["image_id"]].append((names[a["category_id"]], [x, y, x + w, y + h]))
            per_class = collections.defaultdict(list)
            for im in coco["images"]:
                w, h, mine = im["width"], im["height"], boxes[im["id"]]
                held = [b for c, b in mine if c in left_out]
                held_dev = [b for c, b in mine if c in dev_left_out]
                base = {"set": name, "split": split, "file": im["file_name"], "group": group(name, im["source"])}
                for c, b in mine:
                    if min(b[2] - b[0], b[3] - b[1]) < cfg["least_side"]:
                        continue
                    region = look(b, w, h, WIDE if split == "train" and c not in left_out else 1.0)
                    if split == "train" and c not in left_out and covered(region, held) > cfg["most_shown"]:
                        continue
                    per_class[c].append(base | {"class": c, "region": region, "dev_shown": covered(region, held_dev)})
                free = background(w, h, [b for _, b in mine], rng)
                if free:
                    per_class["background"].append(base | {"class": "background", "region": free, "dev_shown": 0})
                if split == "train":
                    for _ in range(WINDOWS):
                        region = look(window(w, h, wander), w, h, WIDE)
                        if covered(region, held) <= cfg["most_shown"]:
                            per_class["window"].append(base | {
                                "class": "window", "region": region, "dev_shown": covered(region, held_dev)})
            for c, items in sorted(per_class.items()):
                if c in left_out:
                    role = "gallery" if split == "train" else "query"
                    most = cfg["gallery_each"] if split == "train" else 10 ** 9
                    test += [i | {"role": role} for i in spread(items, most, rng)]
                elif split == "train":
                    each = cfg["windows_each"] if c == "window" else cfg["train_each"]
                    most = each.get(name, each["default"])
                    train += spread(items, most, rng)
                else:
                    test += [i | {"role": "distractor"} for i in spread(items, cfg["distractors_each"], rng)]
    return train, test


def load(job):
    data, item, size = job
    picture = cv2.imread(os.path.join(data, item["set"], item["split"], item["file"]), cv2.IMREAD_COLOR)
    if picture is None:
        raise SystemExit(f"cannot read {item['file']} of {item['set']}")
    return squeeze(cut(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), item["region"]), size)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", required=True)
    p.add_argument("--cache", required=True)
    p.add_argument("--size", type=int, default=192, help="of the test crops: the network's input")
    a = p.parse_args()
    os.makedirs(a.cache, exist_ok=True)
    train, test = gather(a.data, settings())
    with Pool(2) as pool:
        for file, items, size in (("wide.u8", train, STORED), ("test.u8", test, a.size)):
            out = np.lib.format.open_memmap(os.path.join(a.cache, file + ".npy"), "w+", np.uint8,
                                            (len(items), size, size, 3))
            for k, crop in enumerate(pool.imap(load, [(a.data, i, size) for i in items], chunksize=32)):
                out[k] = crop
            out.flush()
    json.dump({"size": a.size, "train": train, "test": test}, open(os.path.join(a.cache, "crops.json"), "w"))
    for role, items in (("train", train), ("test", test)):
        counts = collections.Counter((i.get("role", role), i["set"], i["class"]) for i in items)
        print(role, len(items), *sorted(counts.items()), sep="\n  ")


if __name__ == "__main__":
    main()
