"""COCO scores (pycocotools) of a checkpoint or an ONNX file on the labelled classes of each set.

Input as the service gives it: letterboxed, the photo at the top left, padded with 114, BGR 0-255.
"""
import argparse
import contextlib
import io
import json
import os

import numpy as np
import torch
import torchvision
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from data import Cache, load_sets
from model import CLASSES, SiteNano, detections, grid
from prepare import letterbox


def torch_predictor(net, size):
    net = net.eval().to(memory_format=torch.channels_last)
    pts, st = grid(size, size)

    @torch.no_grad()
    def run(x):
        raw, logits = net(x.contiguous(memory_format=torch.channels_last))
        return detections(raw, logits, pts, st)
    return run


def onnx_predictor(path):
    import onnxruntime as ort
    s = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    size = s.get_inputs()[0].shape[2]

    def run(x):
        o = torch.from_numpy(s.run(None, {"images": x.numpy()})[0]).transpose(1, 2)
        return o[..., :4], o[..., 4:]
    return run, size


def detect(run, cache, items, size, conf=0.001, iou=0.65, limit=300, batch=16):
    """Per item: array [n,6] of x1,y1,x2,y2,score,class in the photo's pixels."""
    out = []
    for k in range(0, len(items), batch):
        part = items[k:k + batch]
        lb = [letterbox(cache.image(i), size) for i in part]
        x = torch.from_numpy(np.stack([b[0] for b in lb])).permute(0, 3, 1, 2).float()
        box, prob = run(x)
        for b, p, (_, r), it in zip(box, prob, lb, part):
            a, c = (p > conf).nonzero(as_tuple=True)
            s = p[a, c]
            if len(s) > 3000:
                s, o = s.topk(3000)
                a, c = a[o], c[o]
            xy = torch.cat((b[a, :2] - b[a, 2:] / 2, b[a, :2] + b[a, 2:] / 2), 1)
            keep = torchvision.ops.batched_nms(xy, s, c, iou)
            xy = xy[keep] / r
            xy[:, 0::2] = xy[:, 0::2].clamp(0, it["w"])
            xy[:, 1::2] = xy[:, 1::2].clamp(0, it["h"])
            res = torch.cat((xy, s[keep, None], c[keep, None].float()), 1).numpy()
            # at most `limit` a photo and only after the set's own classes are picked: see score()
            out.append(res)
    return out


def score(items, dets, labelled, limit=300):
    """{class: (AP50, AP50-95)} for one set."""
    ids = [CLASSES.index(c) for c in labelled]
    gt = dict(images=[], annotations=[], categories=[dict(id=i, name=CLASSES[i]) for i in ids])
    res = []
    for it, d in zip(items, dets):
        gt["images"].append(dict(id=it["id"], width=it["w"], height=it["h"]))
        for b in it["boxes"]:
            if b[5] == 1 and b[4] in ids:
                w, h = b[2] - b[0], b[3] - b[1]
                gt["annotations"].append(dict(id=len(gt["annotations"]) + 1, image_id=it["id"],
                                              category_id=b[4], bbox=[b[0], b[1], w, h],
                                              area=w * h, iscrowd=0))
        d = d[np.isin(d[:, 5], ids)][:limit]          # batched_nms returns by falling score
        res += [dict(image_id=it["id"], category_id=int(r[5]), score=float(r[4]),
                     bbox=[float(r[0]), float(r[1]), float(r[2] - r[0]), float(r[3] - r[1])])
                for r in d]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = gt
        coco.createIndex()
        if not res:
            return {c: (0.0, 0.0) for c in labelled}
        e = COCOeval(coco, coco.loadRes(res), "bbox")
        e.params.maxDets = [1, 10, limit]
        e.evaluate()
        e.accumulate()
    p = e.eval["precision"][:, :, :, 0, -1]            # [iou, recall, class]
    out = {}
    for k, i in enumerate(e.params.catIds):
        v = p[:, :, k]
        out[CLASSES[i]] = tuple(float(x[x > -1].mean()) if (x > -1).any() else float("nan")
                                for x in (v[:1], v))
    return out


def evaluate(run, cache, size, split, sets=None):
    """{set: {class: (AP50, AP50-95)}}"""
    out = {}
    for name, cfg in load_sets().items():
        if sets and name not in sets:
            continue
        items = [i for i in cache.items if i["set"] == name and i["split"] == split]
        if items:
            out[name] = score(items, detect(run, cache, items, size), cfg["labelled"])
    return out


def mean(d, k):
    v = [x[k] for x in d.values() if x[k] == x[k]]
    return sum(v) / len(v) if v else float("nan")


def table(res):
    rows = []
    for name, d in res.items():
        rows.append(f"{name}: mean AP50 {mean(d, 0):.3f} AP50-95 {mean(d, 1):.3f}")
        rows += [f"    {c:10s} {v[0]:.3f} {v[1]:.3f}" for c, v in d.items()]
    return "\n".join(rows)


def load_checkpoint(path):
    net = SiteNano()
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["ema"])
    return net


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--cache", required=True)
    ap.add_argument("--checkpoint")
    ap.add_argument("--onnx")
    ap.add_argument("--sizes", type=int, nargs="*", default=[416])
    ap.add_argument("--split", default="val", choices=["val", "hold", "train"])
    ap.add_argument("--out", help="metrics JSON to write")
    ap.add_argument("--threads", type=int, default=2)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    cache, all_res = Cache(a.cache), {}
    if a.onnx:
        run, size = onnx_predictor(a.onnx)
        jobs = [(run, size)]
    else:
        net = load_checkpoint(a.checkpoint)
        jobs = [(torch_predictor(net, s), s) for s in a.sizes]
    for run, size in jobs:
        res = evaluate(run, cache, size, a.split)
        print(f"== {a.split}, input {size}\n{table(res)}", flush=True)
        all_res[str(size)] = {n: {c: dict(ap50=round(v[0], 4), ap=round(v[1], 4))
                                  for c, v in d.items()} for n, d in res.items()}
    if a.out:
        json.dump(dict(split=a.split, conf=0.001, nms_iou=0.65, max_detections=300,
                       by_size=all_res), open(a.out, "w"), indent=1)
