"""ONNX from a checkpoint and the projection of patches. Weights are kept in half precision (the graph widens them
when it is loaded and computes in single precision): half the file, and what is measured is what is shipped.

`golden.json` is what torch, not ONNX Runtime, gives for the input `ramp` (models/README.md).
`example.json` is the embedding of a photo, preprocessing included, for the program's own test.
"""
import argparse
import hashlib
import json
import os

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from crops import squeeze
from model import DIMENSIONS, MEAN, PATCH_DIMENSIONS, STD, SiteEmbed, tensor


def load(checkpoint, patches):
    net = SiteEmbed().eval()
    net.load_state_dict(torch.load(checkpoint, map_location="cpu")["net"])
    local = torch.load(patches, map_location="cpu")
    net.patch.weight.data, net.patch.bias.data = local["weight"], local["bias"]
    for t in net.parameters():
        t.data = t.data.half().float()
    return net


def halve(graph):
    """Large initialisers as float16, each followed by a Cast."""
    kept, casts = [], []
    for init in graph.initializer:
        value = numpy_helper.to_array(init)
        if value.dtype != np.float32 or value.size < 256:
            kept.append(init)
            continue
        half = value.astype(np.float16)
        assert (half.astype(np.float32) == value).all(), init.name
        kept.append(numpy_helper.from_array(half, init.name + ".half"))
        casts.append(helper.make_node("Cast", [init.name + ".half"], [init.name], to=TensorProto.FLOAT))
    nodes = casts + list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)


def sampled(name, value):
    flat = value.reshape(-1)
    at = np.unique(np.linspace(0, flat.size - 1, 128).round().astype(int))
    return {"name": name, "shape": list(value.shape), "indices": at.tolist(),
            "values": [float(f"{v:.7g}") for v in flat[at]]}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--checkpoint", required=True)
    p.add_argument("--patches", required=True)
    p.add_argument("--size", type=int, default=192)
    p.add_argument("--example", help="a photo whose embedding is written down")
    p.add_argument("--out", required=True, help="folder")
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    path = os.path.join(a.out, "site-embed.onnx")
    net = load(a.checkpoint, a.patches)
    axes = {n: {0: "batch"} for n in ("images", "embedding", "patches")}
    torch.onnx.export(net, (torch.zeros(2, 3, a.size, a.size),), path, input_names=["images"],
                      output_names=["embedding", "patches"], opset_version=17, dynamo=False, dynamic_axes=axes)
    model = onnx.load(path)
    halve(model.graph)
    side = a.size // 8
    for output, shape in zip(model.graph.output, (("batch", DIMENSIONS), ("batch", side, side, PATCH_DIMENSIONS))):
        del output.type.tensor_type.shape.dim[:]
        for v in shape:
            d = output.type.tensor_type.shape.dim.add()
            d.dim_param, d.dim_value = (v, 0) if isinstance(v, str) else ("", v)
            d.ClearField("dim_value" if isinstance(v, str) else "dim_param")
    onnx.checker.check_model(model)
    onnx.save(model, path)

    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    y, x = np.mgrid[:a.size, :a.size]
    ramp = np.stack([(7 * c + 13 * y + 29 * x) % 256 for c in range(3)]).astype(np.float32)[None]
    ramp = ((ramp / 255 - np.float32(MEAN)[:, None, None]) / np.float32(STD)[:, None, None]).astype(np.float32)
    smooth = np.random.default_rng(0).normal(0, 1, (3, 3, a.size // 16, a.size // 16)).repeat(16, 2).repeat(16, 3)
    for given in (ramp, smooth.astype(np.float32)):
        with torch.no_grad():
            expected = [t.numpy() for t in net(torch.from_numpy(given))]
        got = session.run(None, {"images": given})
        worst = max(float(np.abs(e - g).max()) for e, g in zip(expected, got))
        assert worst < 1e-3, worst
    with torch.no_grad():
        embedding, patches = (t.numpy() for t in net(torch.from_numpy(ramp)))
    json.dump({"input": "ramp", "outputs": [sampled("embedding", embedding), sampled("patches", patches)]},
              open(os.path.join(a.out, "golden.json"), "w"))
    if a.example:
        picture = np.asarray(Image.open(a.example).convert("RGB"))
        with torch.no_grad():
            z, q = (t[0].numpy() for t in net(tensor(squeeze(picture, a.size)[None])))
        json.dump({"picture": os.path.basename(a.example), "embedding": [float(f"{v:.6g}") for v in z],
                   "middle_patch": [float(f"{v:.6g}") for v in q[side // 2, side // 2]]},
                  open(os.path.join(a.out, "example.json"), "w"))
    digest = hashlib.sha256(open(path, "rb").read()).hexdigest()
    print(f"{path}: {os.path.getsize(path) / 1e6:.2f} MB, sha256 {digest}, worst difference {worst:.1e}")


if __name__ == "__main__":
    main()
