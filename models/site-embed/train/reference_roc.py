"""ROC of the distance from a clean reference: does a window of a view hold something that was not there?

 - pasted: val photos; a window, and the same window under other light and a slight shift, with or without an
   object of another val photo pasted in. Truth is exact, the objects' edges are not real.
 - clips: fixed cameras; windows in which site-nano sees a person or vehicle against windows in which it sees none
   even at a low score. Real objects and light, but the truth is a detector's.

Nothing of either was trained on. The distance is that of src/reference/patches.rs.
"""
import argparse
import glob
import json
import os

import cv2
import numpy as np
import onnxruntime as ort
import torch

import crops
import metrics
from crops import squeeze
from evaluate import Embedder
from model import MEAN, STD, SiteEmbed, load_backbone, tensor
from patches import nuisance, photos

REACH, TOP = 1, 0.05
CLIPS = ("car-detection.mp4", "one-by-one-person-detection.mp4", "store-aisle-detection.mp4",
         "worker-zone-detection.mp4", "vtest.avi")


def distance(reference, now, reach=REACH, light=True):
    """[rows, columns, values] each. Mean of the largest twentieth of the patches' distances to the nearest
    patch nearby, less their median: light changes all, an object some."""
    h, w, _ = now.shape
    padded = np.pad(reference, ((reach, reach), (reach, reach), (0, 0)))
    near = np.full((h, w), -1.0)
    for dy in range(2 * reach + 1):
        for dx in range(2 * reach + 1):
            near = np.maximum(near, (padded[dy:dy + h, dx:dx + w] * now).sum(2))
    d = 1 - near.ravel()
    top = np.sort(d)[-max(1, round(TOP * d.size)):]
    return top.mean() - (np.median(d) if light else 0)


def ways(onnx, size):
    """name -> (features of pictures, distance of two)"""
    embedder = Embedder(onnx)
    net = SiteEmbed().eval()
    load_backbone(net)

    def patches(x):
        x = ((x.astype(np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)).transpose(0, 3, 1, 2)
        return np.concatenate([embedder.session.run(["patches"], {"images": np.ascontiguousarray(x[k:k + 16])})[0]
                               for k in range(0, len(x), 16)])

    @torch.no_grad()
    def plain(x):
        out = []
        for k in range(0, len(x), 16):
            local = net.local(*net.early(tensor(x[k:k + 16]))).numpy()
            out.append(local / np.linalg.norm(local, axis=3, keepdims=True))
        return np.concatenate(out)

    @torch.no_grad()
    def whole(x):
        z = torch.cat([net.pooled(net.early(tensor(x[k:k + 16]))[1])[:, :1280] for k in range(0, len(x), 16)]).numpy()
        return z / np.linalg.norm(z, axis=1, keepdims=True)

    def hashes(x):
        return np.stack([metrics.phash(p) for p in x])

    def angle(a, b):
        return 1 - float(a @ b)
    return {
        "site-embed patches": (patches, distance),
        "site-embed patches, median kept": (patches, lambda a, b: distance(a, b, light=False)),
        "untouched patches": (plain, distance),
        "untouched patches, median kept": (plain, lambda a, b: distance(a, b, light=False)),
        "site-embed, whole window": (embedder, angle),
        "untouched backbone, whole window": (whole, angle),
        "perceptual hash": (hashes, angle),
    }


def pasted(data, split, size, each):
    """(references, probes, dirty, group)"""
    found = photos(data, split, set(), each)
    read = [(cv2.cvtColor(cv2.imread(p), cv2.COLOR_BGR2RGB), g) for p, g in found]
    reference, probe, dirty, group = [], [], [], []
    for k, (x, g) in enumerate(read):
        rng = np.random.default_rng(k)
        h, w = x.shape[:2]
        ww, wh = int(w * rng.uniform(0.4, 0.7)), int(h * rng.uniform(0.4, 0.7))
        x0, y0 = rng.integers(0, w - ww), rng.integers(0, h - wh)
        window = cv2.resize(x[y0:y0 + wh, x0:x0 + ww], (384, 384), interpolation=cv2.INTER_LINEAR)
        other = window.copy()
        if k % 2:
            y, _ = read[int(rng.integers(len(read) - 1) + k + 1) % len(read)]
            side = int(384 * rng.uniform(0.15, 0.4))
            oh, ow = y.shape[:2]
            s = int(min(oh, ow) * rng.uniform(0.25, 0.5))
            oy, ox = rng.integers(0, oh - s), rng.integers(0, ow - s)
            thing = cv2.resize(y[oy:oy + s, ox:ox + s], (side, side), interpolation=cv2.INTER_AREA)
            at = rng.integers(0, 384 - side, 2)
            a, b = np.mgrid[-1:1:side * 1j, -1:1:side * 1j]
            soft = (((1 - (a ** 2 + b ** 2) ** 0.5) * 8).clip(0, 1))[..., None]
            part = other[at[0]:at[0] + side, at[1]:at[1] + side]
            other[at[0]:at[0] + side, at[1]:at[1] + side] = soft * thing + (1 - soft) * part
        reference.append(squeeze(window, size))
        probe.append(squeeze(nuisance(other, rng), size))
        dirty.append(k % 2 == 1)
        group.append(g)
    return np.stack(reference), np.stack(probe), np.array(dirty), np.array(group)


def detections(session, picture, size=512):
    """[n, 5]: box and score of persons and vehicles."""
    h, w = picture.shape[:2]
    r = min(size / w, size / h)
    small = cv2.resize(picture[..., ::-1], (round(w * r), round(h * r)), interpolation=cv2.INTER_AREA)
    x = np.full((1, 3, size, size), 114, np.float32)
    x[0, :, :small.shape[0], :small.shape[1]] = small.transpose(2, 0, 1)
    o = session.run(None, {"images": x})[0][0]
    score = o[[4, 4 + 9]].max(0)         # person, vehicle
    o, score = o[:, score > 0.06], score[score > 0.06]
    box = np.stack((o[0] - o[2] / 2, o[1] - o[3] / 2, o[0] + o[2] / 2, o[1] + o[3] / 2), 1) / r
    return np.concatenate((box, score[:, None]), 1)


def clips(folders, detector, size, spoilt):
    session = ort.InferenceSession(detector, providers=["CPUExecutionProvider"])
    reference, probe, dirty, group = [], [], [], []
    for name in CLIPS:
        path = next((p for f in folders for p in glob.glob(os.path.join(f, name))), None)
        if path is None:
            print(f"  {name}: not there, left out")
            continue
        video = cv2.VideoCapture(path)
        total, rate = int(video.get(cv2.CAP_PROP_FRAME_COUNT)), video.get(cv2.CAP_PROP_FPS)
        step = max(int(rate / 4), total // 60, 1)
        frames = []
        for k in range(total):
            ok, frame = video.read()
            if not ok:
                break
            if k % step == 0:
                x = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                frames.append((x, detections(session, x)))
        h, w = frames[0][0].shape[:2]
        side = h // 3
        rng = np.random.default_rng(3)
        for y0 in range(0, h - side + 1, side // 2):
            for x0 in range(0, w - side + 1, side // 2):
                clean, full = [], []
                for k, (_, d) in enumerate(frames):
                    near = [max(0, min(x0 + 1.1 * side, b[2]) - max(x0 - 0.1 * side, b[0])) *
                            max(0, min(y0 + 1.1 * side, b[3]) - max(y0 - 0.1 * side, b[1])) for b in d]
                    inside = [max(0, min(x0 + side, b[2]) - max(x0, b[0])) *
                              max(0, min(y0 + side, b[3]) - max(y0, b[1])) / side ** 2
                              for b in d if b[4] > 0.45]
                    if not any(near):
                        clean.append(k)
                    elif any(v > 0.12 for v in inside):
                        full.append(k)
                if len(clean) < 3 or not full:
                    continue
                cutout = lambda k: frames[k][0][y0:y0 + side, x0:x0 + side]
                some = [(k, False) for k in rng.permutation(clean[2:])[:4]] + \
                       [(k, True) for k in rng.permutation(full)[:4]]
                for k, occupied in some:
                    reference.append(squeeze(np.ascontiguousarray(cutout(clean[0])), size))
                    x = cv2.resize(cutout(k), (384, 384), interpolation=cv2.INTER_LINEAR)
                    probe.append(squeeze(nuisance(x, rng) if spoilt else x, size))
                    dirty.append(occupied)
                    group.append(name)
    return np.stack(reference), np.stack(probe), np.array(dirty), np.array(group)


def judge(methods, reference, probe, dirty, group):
    out = {}
    rng = np.random.default_rng(2)
    for name, (features, apart) in methods.items():
        r, p = features(reference), features(probe)
        score = np.array([apart(a, b) for a, b in zip(r, p)])
        area = metrics.auroc(score[~dirty], score[dirty])
        draws = []
        for _ in range(300):
            k = rng.integers(0, len(score), len(score))
            draws.append(metrics.auroc(score[k][~dirty[k]], score[k][dirty[k]]))
        low, high = np.percentile(draws, [2.5, 97.5])
        level = np.quantile(score[~dirty], 0.95)
        out[name] = {"auroc": area, "interval": [low, high], "tpr_at_5_percent_fpr": (score[dirty] > level).mean()}
        by = {g: metrics.auroc(score[(group == g) & ~dirty], score[(group == g) & dirty])
              for g in np.unique(group) if len(np.unique(group)) < 10}
        print(f"  {name:34} AUROC {area:.3f} [{low:.3f}, {high:.3f}], TPR at 5 % FPR "
              f"{out[name]['tpr_at_5_percent_fpr']:.3f}  " + " ".join(f"{g.split('.')[0]} {v:.2f}" for g, v in by.items()))
        out[name]["by_clip"] = by
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", required=True)
    p.add_argument("--clips", nargs="*", default=[], help="folders with the clips")
    p.add_argument("--detector", help="site-nano.onnx, for the clips")
    p.add_argument("--onnx", required=True)
    p.add_argument("--out")
    p.add_argument("--size", type=int, default=192)
    p.add_argument("--split", default="val", help="train while settings are chosen")
    a = p.parse_args()
    torch.set_num_threads(2)
    methods, found = ways(a.onnx, a.size), {}
    data = pasted(a.data, a.split, a.size, 100)
    print(f"pasted: {len(data[2])} windows, {data[2].sum()} with an object")
    found["pasted"] = judge(methods, *data)
    if a.clips:
        for name, spoilt in (("clips", False), ("clips under other light", True)):
            data = clips(a.clips, a.detector, a.size, spoilt)
            print(f"{name}: {len(data[2])} windows, {data[2].sum()} occupied")
            found[name] = judge(methods, *data)
    if a.out:
        json.dump(found, open(a.out, "w"), indent=1, default=float)


if __name__ == "__main__":
    main()
