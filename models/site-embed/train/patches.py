"""The projection of patches, in closed form: directions in which one place differs under other light, blur and
small shifts of the camera are made short. From train photos that show none of the left-out classes; no labels.
"""
import argparse
import collections
import json
import os
import tempfile
import zlib

import cv2
import numpy as np
import onnxruntime as ort
import torch

import crops
from crops import squeeze
from model import PATCH_DIMENSIONS, SiteEmbed, array, load_backbone, nuisance_free
from prepare import settings

LIGHTS, PLACES = 3, 48


class Local(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net.local(*self.net.early(x))


def nuisance(x, rng):
    """What changes in a fixed view without anything being there."""
    h, w = x.shape[:2]
    shift = rng.uniform(-0.006, 0.006, 2) * (w, h)
    x = cv2.warpAffine(x, np.float32([[1, 0, shift[0]], [0, 1, shift[1]]]), (w, h), borderMode=cv2.BORDER_REPLICATE)
    for spoil, chance in ((crops.light, 0.9), (crops.shadow, 0.35), (crops.noise, 0.4), (crops.jpeg, 0.4)):
        if rng.random() < chance:
            x = spoil(x, rng)
    return x


def photos(data, split, without, each):
    """Paths of photos that show nothing of `without`, at most `each` a set."""
    found = []
    for name in sorted(os.listdir(data)):
        path = os.path.join(data, name, split + ".json")
        if os.path.isfile(path):
            coco = json.load(open(path))
            names = {c["id"]: c["name"] for c in coco["categories"]}
            shows = collections.defaultdict(set)
            for n in coco["annotations"]:
                shows[n["image_id"]].add(names[n["category_id"]])
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            mine = [i for i in coco["images"] if not shows[i["id"]] & without]
            for i in rng.permutation(len(mine))[:each]:
                found.append((os.path.join(data, name, split, mine[i]["file_name"]),
                              crops.group(name, mine[i]["source"])))
    return found


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--size", type=int, default=192)
    p.add_argument("--keep", help="where the features shall be kept too")
    p.add_argument("--shrink", type=float, default=0.1)
    a = p.parse_args()
    net = SiteEmbed().eval()
    load_backbone(net)
    plain = os.path.join(tempfile.mkdtemp(), "local.onnx")
    torch.onnx.export(Local(net), (torch.zeros(2, 3, a.size, a.size),), plain, input_names=["images"],
                      opset_version=17, dynamo=False, dynamic_axes={"images": {0: "batch"}})
    session = ort.InferenceSession(plain, providers=["CPUExecutionProvider"])
    features = []
    for k, (path, _) in enumerate(photos(a.data, "train", set(settings()["left_out"]), 80)):
        rng = np.random.default_rng(k)
        x = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
        x = cv2.resize(x, (256, 256), interpolation=cv2.INTER_AREA)
        seen = np.stack([squeeze(nuisance(x, rng), a.size) for _ in range(LIGHTS)])
        local = session.run(None, {"images": array(seen)})[0].reshape(LIGHTS, -1, 152)
        places = rng.choice(local.shape[1], PLACES, replace=False)
        features.append(local[:, places].transpose(1, 0, 2))
    features = np.concatenate(features)
    if a.keep:
        np.save(a.keep, features)
    weight, bias = nuisance_free(features, PATCH_DIMENSIONS, a.shrink)
    single = lambda v: torch.tensor(v, dtype=torch.float32)
    torch.save({"weight": single(weight.T), "bias": single(bias)}, a.out)
    print(f"patch projection from {len(features)} places")


if __name__ == "__main__":
    main()
