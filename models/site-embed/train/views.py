"""Spoilt views of every training crop, through the layers that stay as they are. Kept as half precision:
`mid.npy` [crop, view, 112, 10, 10] and, of the untouched backbone, `pooled.npy` [crop, view, 1392]."""
import argparse
import json
import os
from multiprocessing import Pool

import numpy as np
import torch

from crops import view
from model import SiteEmbed, load_backbone, tensor

SIZE, CHUNK = 160, 8
state = {}


def begin(cache, views):
    torch.set_num_threads(1)
    net = SiteEmbed().eval().to(memory_format=torch.channels_last)
    load_backbone(net)
    state.update(net=net, views=views, wide=np.load(os.path.join(cache, "wide.u8.npy"), mmap_mode="r"))


@torch.no_grad()
def work(first):
    views, wide = state["views"], state["wide"]
    of = range(first, min(first + CHUNK, len(wide)))
    x = np.stack([view(wide[i], np.random.default_rng((i, v)), SIZE) for i in of for v in range(views)])
    _, mid = state["net"].early(tensor(x))
    pooled = state["net"].pooled(mid)
    n = len(of)
    return (first, mid.half().numpy().reshape(n, views, *mid.shape[1:]),
            pooled.half().numpy().reshape(n, views, -1))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--cache", required=True)
    p.add_argument("--views", type=int, default=6)
    a = p.parse_args()
    n = len(json.load(open(os.path.join(a.cache, "crops.json")))["train"])
    part = [os.path.join(a.cache, f + ".part.npy") for f in ("mid", "pooled")]
    mids = np.lib.format.open_memmap(part[0], "w+", np.float16, (n, a.views, 112, SIZE // 16, SIZE // 16))
    pooled = np.lib.format.open_memmap(part[1], "w+", np.float16, (n, a.views, 1392))
    with Pool(2, begin, (a.cache, a.views)) as pool:
        for k, (first, mid, flat) in enumerate(pool.imap_unordered(work, range(0, n, CHUNK))):
            mids[first:first + len(mid)], pooled[first:first + len(flat)] = mid, flat
            if k % 200 == 0:
                print(f"{k * CHUNK} of {n} crops", flush=True)
    mids.flush()
    pooled.flush()
    for f in part:
        os.replace(f, f.replace(".part", ""))


if __name__ == "__main__":
    main()
