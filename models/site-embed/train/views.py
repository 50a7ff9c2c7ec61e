"""Spoilt views of every training crop, through the layers that stay as they are. Kept as half precision:
`mid.npy` [crop, view, 112, 10, 10] and, of the untouched backbone, `pooled.npy` [crop, view, 1392]."""
import argparse
import json
import os
from multiprocessing import Pool

import numpy as np
import onnxruntime as ort
import torch

from crops import view
from model import SiteEmbed, array, load_backbone

SIZE, CHUNK, BATCH = 160, 8, 2    # larger batches leave the cache and are slower
state = {}


class Frozen(torch.nn.Module):
    """The untouched network up to both things that are kept."""

    def __init__(self):
        super().__init__()
        self.net = SiteEmbed()
        load_backbone(self.net)

    def forward(self, x):
        mid = self.net.early(x)[1]
        return mid, self.net.pooled(mid)


def begin(cache, views):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    # ONNX Runtime is two to three times as fast as torch here
    net = ort.InferenceSession(os.path.join(cache, "frozen.onnx"), options, providers=["CPUExecutionProvider"])
    state.update(net=net, views=views, wide=np.load(os.path.join(cache, "wide.u8.npy"), mmap_mode="r"))


def work(first):
    views, wide = state["views"], state["wide"]
    of = range(first, min(first + CHUNK, len(wide)))
    x = np.stack([view(wide[i], np.random.default_rng((i, v)), SIZE) for i in of for v in range(views)])
    runs = [state["net"].run(None, {"images": array(x[k:k + BATCH])}) for k in range(0, len(x), BATCH)]
    mid, pooled = (np.concatenate(o).astype(np.float16) for o in zip(*runs))
    n = len(of)
    return first, mid.reshape(n, views, *mid.shape[1:]), pooled.reshape(n, views, -1)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--cache", required=True)
    p.add_argument("--views", type=int, default=4)
    a = p.parse_args()
    torch.onnx.export(Frozen().eval(), (torch.zeros(2, 3, SIZE, SIZE),), os.path.join(a.cache, "frozen.onnx"),
                      input_names=["images"], opset_version=17, dynamo=False, dynamic_axes={"images": {0: "batch"}})
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
