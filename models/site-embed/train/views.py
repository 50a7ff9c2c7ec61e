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


def frozen(cache, threads=1):
    """Pictures to (stride 16, pooled), as half precision. ONNX Runtime is two to three times as fast as torch."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    net = ort.InferenceSession(os.path.join(cache, "frozen.onnx"), options, providers=["CPUExecutionProvider"])

    def run(x):
        runs = [net.run(None, {"images": array(x[k:k + BATCH])}) for k in range(0, len(x), BATCH)]
        return [np.concatenate(o).astype(np.float16) for o in zip(*runs)]
    return run


def begin(cache, views):
    state.update(run=frozen(cache), views=views, wide=np.load(os.path.join(cache, "wide.u8.npy"), mmap_mode="r"))


def work(first):
    views, wide = state["views"], state["wide"]
    of = range(first, min(first + CHUNK, len(wide)))
    x = np.stack([view(wide[i], np.random.default_rng((i, v)), SIZE) for i in of for v in range(views)])
    mid, pooled = state["run"](x)
    n = len(of)
    return first, mid.reshape(n, views, *mid.shape[1:]), pooled.reshape(n, views, -1)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--cache", required=True)
    p.add_argument("--views", type=int, default=4)
    a = p.parse_args()
    torch.onnx.export(Frozen().eval(), (torch.zeros(2, 3, SIZE, SIZE),), os.path.join(a.cache, "frozen.onnx"),
                      input_names=["images"], opset_version=17, dynamo=False, dynamic_axes={"images": {0: "batch", 2: "height", 3: "width"}})
    n = len(json.load(open(os.path.join(a.cache, "crops.json")))["train"])
    part = [os.path.join(a.cache, f + ".part.npy") for f in ("mid", "pooled")]
    shapes = ((n, a.views, 112, SIZE // 16, SIZE // 16), (n, a.views, 1392))
    mids, pooled = (np.lib.format.open_memmap(f, "r+") if os.path.exists(f) else
                    np.lib.format.open_memmap(f, "w+", np.float16, s) for f, s in zip(part, shapes))
    # what a run that was cut off has finished is not all zero
    todo = [k for k in range(0, n, CHUNK) if not pooled[k:k + CHUNK].any((1, 2)).all()]
    with Pool(2, begin, (a.cache, a.views)) as pool:
        for k, (first, mid, flat) in enumerate(pool.imap_unordered(work, todo)):
            mids[first:first + len(mid)], pooled[first:first + len(flat)] = mid, flat
            if k % 50 == 0:
                print(f"{k * CHUNK} of {len(todo) * CHUNK} crops", flush=True)
    mids.flush()
    pooled.flush()
    for f in part:
        os.replace(f, f.replace(".part", ""))


if __name__ == "__main__":
    main()
