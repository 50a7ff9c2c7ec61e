"""The embedding's projection, in closed form, of two parts (README.md):

 - where the teacher puts the unspoilt crop among the others, from its spoilt views (ridge regression);
 - what tells crops from one another, however they are spoilt (linear discriminants, each crop a class).

Then the 256 widest directions of both. With --dev, `dev_left_out` of classes.toml is left out, too, and tested on.
"""
import argparse
import json
import os

import numpy as np
import torch

import dev
from model import DIMENSIONS, SiteEmbed, load_backbone, nuisance_free, regressed
from prepare import for_dev, settings


def targets(taught, level):
    """The teacher's features about their mean, in their widest directions, of length 1. `level` evens out how wide
    these are: 0 as they are, 1 all the same."""
    x = taught.astype(np.float64)
    x -= x.mean(0)
    val, vec = np.linalg.eigh(x.T @ x / len(x))
    top = np.argsort(-val)[:DIMENSIONS]
    x = x @ (vec[:, top] * val[top] ** (-level / 2))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def joined(pooled, parts):
    """One projection of several (weight, bias, share), each with its share of the squared length."""
    flat = pooled.reshape(-1, pooled.shape[2])[::4].astype(np.float64)
    weights, biases = [], []
    for weight, bias, share in parts:
        scale = np.sqrt(share / ((flat @ weight + bias) ** 2).sum(1).mean())
        weights.append(weight * scale)
        biases.append(bias * scale)
    weight, bias = np.hstack(weights), np.hstack(biases)
    y = flat @ weight + bias
    top = np.linalg.eigh(y.T @ y)[1][:, -DIMENSIONS:]
    return weight @ top, bias @ top


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--cache", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--share", type=float, default=0.3, help="of telling crops apart; the rest is the teacher's")
    p.add_argument("--level", type=float, default=0.5, help="of the teacher's directions")
    p.add_argument("--shrink", type=float, default=0.3, help="of the regression")
    p.add_argument("--apart-shrink", type=float, default=10.0, help="of the discriminants")
    p.add_argument("--dev", action="store_true")
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    cfg = settings()
    items = json.load(open(os.path.join(a.cache, "crops.json")))["train"]
    pooled, taught = (np.load(os.path.join(a.cache, f + ".npy"), mmap_mode="r") for f in ("pooled", "teacher"))
    use = np.array([k for k, i in enumerate(items) if not a.dev or for_dev(i, cfg)])
    pooled, taught = pooled[use], taught[use]
    assert taught.any(1).all(), "views.py has not seen all crops that are wanted"
    print(f"{len(use)} crops, {pooled.shape[1]} views each")

    parts = {"the teacher": regressed(pooled, targets(taught, a.level), a.shrink),
             "crops apart": nuisance_free(pooled, DIMENSIONS, a.apart_shrink)}
    weight, bias = joined(pooled, [(*parts["the teacher"], 1 - a.share), (*parts["crops apart"], a.share)])
    net = SiteEmbed()
    load_backbone(net)
    net.embed.weight.data, net.embed.bias.data = (torch.tensor(v, dtype=torch.float32) for v in (weight.T, bias))
    torch.save({"net": net.state_dict(), "args": vars(a)}, os.path.join(a.out, "last.pt"))
    if not a.dev:
        return
    tested = dev.load(a.cache, cfg)
    pooled = tested["pooled"].astype(np.float64)
    rows = {"untouched backbone": pooled[:, :1280], "its own, about their mean": pooled[:, :1280] - pooled[:, :1280].mean(0),
            "teacher": tested["teacher"].astype(np.float64)}
    rows |= {name: pooled @ w + b for name, (w, b) in parts.items()} | {"both": pooled @ weight + bias}
    print(f"{'':26} P@1   R@10  mAP   same picture")
    for name, z in rows.items():
        print(f"{name:26}", *(f"{v:.3f}" for v in dev.score(tested, z)))


if __name__ == "__main__":
    main()
