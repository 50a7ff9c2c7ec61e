"""Views of every training crop, the first as it is, the others spoilt, through the untouched backbone.
Kept as half precision: what the embedding is projected from, `pooled.npy` [crop, view, 1728]; of the unspoilt crop, what
the teacher sees in it, `teacher.npy` [crop, 1280]."""
import argparse
import json
import os
from multiprocessing import Pool

import numpy as np
import onnxruntime as ort
import torch

from crops import middle, squeeze, view
from model import HEAD, SiteEmbed, array, load_backbone
from prepare import for_dev, settings
from teacher import SIZE as TEACHER_SIZE
from teacher import teacher

SIZE, CHUNK, BATCH = 192, 8, 2    # larger batches leave the cache and are slower
FILES = ("pooled", "teacher")
state = {}


class Frozen(torch.nn.Module):
    """The untouched network, up to what the embedding is projected from."""

    def __init__(self):
        super().__init__()
        self.net = SiteEmbed()
        load_backbone(self.net)

    def forward(self, x):
        return self.net.pooled(self.net.early(x)[1])


def running(path, threads=1):
    """Pictures to what the network gives, as half precision. ONNX Runtime is two to three times as fast as torch."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    net = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(x):
        runs = [net.run(None, {"images": array(x[k:k + BATCH])})[0] for k in range(0, len(x), BATCH)]
        return np.concatenate(runs).astype(np.float16)
    return run


def frozen(cache, threads=1):
    """Pictures to what the embedding is projected from."""
    path = os.path.join(cache, "frozen.onnx")
    if not os.path.exists(path):
        written(Frozen().eval(), path, SIZE)
    return running(path, threads)


def written(net, path, size):
    torch.onnx.export(net, (torch.zeros(2, 3, size, size),), path, input_names=["images"], opset_version=17,
                      dynamo=False, dynamic_axes={"images": {0: "batch"}})


def begin(cache, views):
    state.update(run=frozen(cache), teach=running(os.path.join(cache, "teacher.onnx")), views=views,
                 wide=np.load(os.path.join(cache, "wide.u8.npy"), mmap_mode="r"))


def work(of):
    views, wide = state["views"], state["wide"]
    x = []
    for i in of:
        x.append(squeeze(middle(wide[i]), SIZE))
        x += [view(wide[i], np.random.default_rng((i, v)), SIZE) for v in range(1, views)]
    pooled = state["run"](np.stack(x)).reshape(len(of), views, -1)
    return of, (pooled, state["teach"](np.stack([squeeze(middle(wide[i]), TEACHER_SIZE) for i in of])))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--cache", required=True)
    p.add_argument("--views", type=int, default=4)
    p.add_argument("--dev", action="store_true", help="only crops that training with --dev uses")
    a = p.parse_args()
    frozen(a.cache)
    written(teacher(), os.path.join(a.cache, "teacher.onnx"), TEACHER_SIZE)
    items = json.load(open(os.path.join(a.cache, "crops.json")))["train"]
    needed, n = np.array([not a.dev or for_dev(i, settings()) for i in items]), len(items)
    part = [os.path.join(a.cache, f + ".part.npy") for f in FILES]
    shapes = ((n, a.views, HEAD + 4 * 112), (n, HEAD))
    outs = [np.lib.format.open_memmap(f, "r+") if os.path.exists(f) else
            np.lib.format.open_memmap(f, "w+", np.float16, s) for f, s in zip(part, shapes)]
    # what a run that was cut off has finished is not all zero; in any order, so that what is there is of all sets
    todo = np.random.default_rng(0).permutation(np.flatnonzero(~outs[1].any(1)))
    todo = todo[needed[todo]]
    chunks = [todo[k:k + CHUNK].tolist() for k in range(0, len(todo), CHUNK)]
    with Pool(2, begin, (a.cache, a.views)) as pool:
        for k, (of, found) in enumerate(pool.imap_unordered(work, chunks)):
            for out, part_of in zip(outs, found):
                out[of] = part_of
            if k % 50 == 0:
                print(f"{k * CHUNK} of {len(todo)} crops", flush=True)
    for out in outs:
        out.flush()
    for f in part:
        os.replace(f, f.replace(".part", ""))


if __name__ == "__main__":
    main()
