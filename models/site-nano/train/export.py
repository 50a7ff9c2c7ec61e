"""Checkpoint -> ONNX (decoded, sigmoid applied, batch free), compared with torch; golden.json.

output [batch, 4 + classes, N], the layout of YOLOv8: cx, cy, w, h in input pixels, then one
probability a class.
"""
import argparse
import hashlib
import json
import os

import numpy as np
import onnx
import onnxruntime as ort
import torch
import torch.nn as nn

from evaluate import load_checkpoint
from model import CLASSES, GROUPS, detections, grid

GOLDEN = 64


class Exported(nn.Module):
    def __init__(self, net, size):
        super().__init__()
        self.net = net
        pts, st = grid(size, size)
        self.register_buffer("pts", pts)
        self.register_buffer("st", st)

    def forward(self, images):
        raw, logits = self.net(images)
        return torch.cat(detections(raw, logits, self.pts, self.st), 2).transpose(1, 2)


SCENE = """Integers only; // is floor division. For every pixel (x, y), S the input side:
v = 90 + 80*y//S + (7*x + 13*y) % 5; B,G,R = v,v,v.
Cones, for (cx, top, h) in CONES: with d = y - top, if 0 <= d < h and |x-cx|*10 <= 1 + d*4:
  B,G,R = 30,90,235, and 235,235,235 where 4*h <= 10*d < 6*h.
People, for (cx, cy, r, B0,G0,R0) in PEOPLE, in this order:
  body: |x-cx| <= 2*r and cy+r <= y < cy+6*r: 60,170,60 (B,G,R), and 220,235,235 where
        cy+3*r <= y < cy+3*r+r//2;
  legs: r//4 <= |x-cx| <= 2*r-r//2 and cy+6*r <= y < cy+11*r: 90,60,50;
  face: (x-cx)^2 + (y-cy)^2 <= r^2: 130,165,215;
  top:  (x-cx)^2 + (y-cy)^2 <= (r+r//5)^2 and 4*(y-cy) < -r: B0,G0,R0.
Later items overwrite earlier ones."""
CONES = [(60, 250, 120), (130, 300, 60), (330, 40, 80)]
PEOPLE = [(220, 120, 16, 20, 200, 245), (300, 180, 12, 30, 30, 40), (120, 80, 10, 235, 235, 235)]


def synthetic(size):
    """A drawn scene that any language can rebuild from SCENE: some classes fire on it."""
    y, x = np.mgrid[:size, :size]
    v = 90 + 80 * y // size + (7 * x + 13 * y) % 5
    img = np.stack((v, v, v))

    def put(mask, *bgr):
        for c in range(3):
            img[c][mask] = bgr[c]
    for cx, top, h in CONES:
        d = y - top
        tri = (d >= 0) & (d < h) & (abs(x - cx) * 10 <= 1 + d * 4)
        put(tri, 30, 90, 235)
        put(tri & (10 * d >= 4 * h) & (10 * d < 6 * h), 235, 235, 235)
    for cx, cy, r, *hat in PEOPLE:
        dx, dd = abs(x - cx), (x - cx) ** 2 + (y - cy) ** 2
        body = (dx <= 2 * r) & (y >= cy + r) & (y < cy + 6 * r)
        put(body, 60, 170, 60)
        put(body & (y >= cy + 3 * r) & (y < cy + 3 * r + r // 2), 220, 235, 235)
        put((dx >= r // 4) & (dx <= 2 * r - r // 2) & (y >= cy + 6 * r) & (y < cy + 11 * r),
            90, 60, 50)
        put(dd <= r * r, 130, 165, 215)
        put((dd <= (r + r // 5) ** 2) & (4 * (y - cy) < -r), *hat)
    return img.astype(np.float32)[None]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--checkpoint", required=True)
    ap.add_argument("--size", type=int, default=416)
    ap.add_argument("--out", required=True, help="ONNX file to write")
    ap.add_argument("--golden", help="golden.json to write")
    a = ap.parse_args()
    os.makedirs(os.path.dirname(os.path.abspath(a.out)), exist_ok=True)
    m = Exported(load_checkpoint(a.checkpoint), a.size).eval()
    x = torch.zeros(2, 3, a.size, a.size)
    torch.onnx.export(m, (x,), a.out, input_names=["images"], output_names=["output"],
                      opset_version=17, do_constant_folding=True, dynamo=False,
                      dynamic_axes={"images": {0: "batch"}, "output": {0: "batch"}})
    g = onnx.load(a.out)
    onnx.checker.check_model(g)
    n = m.pts.shape[0] * len(GROUPS)
    for d, v in zip(g.graph.output[0].type.tensor_type.shape.dim, ("batch", 4 + len(CLASSES), n)):
        d.Clear()
        if isinstance(v, str):
            d.dim_param = v
        else:
            d.dim_value = v
    for k, v in dict(classes=",".join(CLASSES), input="BGR 0-255, letterbox top left, pad 114",
                     output="cx,cy,w,h pixels, then class probabilities").items():
        p = g.metadata_props.add()
        p.key, p.value = k, v
    onnx.save(g, a.out)

    s = ort.InferenceSession(a.out, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    smooth = rng.integers(0, 256, (3, 3, a.size // 8, a.size // 8)).repeat(8, 2).repeat(8, 3)
    worst = 0.0
    for inp in (synthetic(a.size), smooth.astype(np.float32)):
        with torch.no_grad():
            t = m(torch.from_numpy(inp)).numpy()
        o = s.run(None, {"images": inp})[0]
        assert o.shape == (len(inp), 4 + len(CLASSES), n), o.shape
        # boxes relative to the input size, probabilities as they are
        d = np.abs(t - o)
        worst = max(worst, float(d[:, :4].max() / a.size), float(d[:, 4:].max()))
    print(f"{a.out}: {os.path.getsize(a.out) / 1e6:.2f} MB, N {n}, worst difference {worst:.2e}")
    assert worst < 1e-4, worst
    if a.golden:
        x = synthetic(a.size)
        o = s.run(None, {"images": x})[0].reshape(-1)
        # 32 spread evenly, and the 32 highest class probabilities
        even = np.linspace(0, len(o) - 1, GOLDEN // 2).round().astype(int)
        top = 4 * n + np.argsort(-o[4 * n:])[:GOLDEN // 2]
        idx = np.concatenate((even, top))
        json.dump(dict(
            model_sha256=hashlib.sha256(open(a.out, "rb").read()).hexdigest(),
            input=SCENE.split("\n"), cones=CONES, people=PEOPLE,
            input_sum=float(x.sum(dtype=np.float64)),
            input_shape=[1, 3, a.size, a.size], output_shape=[1, 4 + len(CLASSES), n],
            layout="flat index = row * N + anchor; rows 0-3 cx,cy,w,h in pixels, then classes",
            tolerance=dict(rows_0_to_3="abs 0.05 + rel 0.001", other_rows="abs 0.001"),
            index=idx.tolist(), value=[float(f"{v:.7g}") for v in o[idx]]), open(a.golden, "w"),
            indent=1)


if __name__ == "__main__":
    main()
