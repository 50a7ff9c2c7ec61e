"""The peer: a plain Python pipeline of OpenCV and ONNX Runtime, as a competent user writes it.

One process a core, each with a single-threaded session; `cv2.imread`, as nearly every pipeline reads
its pictures, or with `--decode reduced` JPEGs decoded at a reduced size (IMREAD_REDUCED_COLOR_*), which
takes knowing about; vectorised decoding; NMS by cv2.dnn.NMSBoxesBatched.
Prints one JSON line for each photo.
"""

import argparse
import json
import multiprocessing
import os
import pathlib

import cv2
import numpy as np
import onnxruntime
import tomllib

STATE = {}


def start(model_dir, decode):
    STATE["decode"] = decode
    cv2.setNumThreads(1)
    manifest = tomllib.loads((pathlib.Path(model_dir) / "model.toml").read_text())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    STATE["session"] = onnxruntime.InferenceSession(
        str(pathlib.Path(model_dir) / manifest["file"]), options, providers=["CPUExecutionProvider"]
    )
    STATE["manifest"] = manifest


def read(path, side):
    """The picture and its full size; reduced, at the largest reduction that still leaves `side` pixels."""
    if STATE["decode"] == "plain":
        image = cv2.imread(path)
        return image, image.shape[1::-1]
    with open(path, "rb") as f:
        data = np.frombuffer(f.read(), np.uint8)
    height, width = size_of(data)
    for reduction, flag in ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2)):
        if max(height, width) / reduction >= side:
            return cv2.imdecode(data, flag), (width, height)
    return cv2.imdecode(data, cv2.IMREAD_COLOR), (width, height)


def size_of(data):
    """Height and width from the frame header of a JPEG."""
    at = 2
    while True:
        marker, length = data[at + 1], int(data[at + 2]) << 8 | int(data[at + 3])
        if marker in (0xC0, 0xC1, 0xC2):
            return int(data[at + 5]) << 8 | int(data[at + 6]), int(data[at + 7]) << 8 | int(data[at + 8])
        at += 2 + length


def scan(path):
    return {"path": str(path), "detections": detect(*read(path, STATE["manifest"]["input"]["width"]))}


def detect(image, full_size):
    """What is in a picture, in pixels of its full size."""
    manifest = STATE["manifest"]
    side = manifest["input"]["width"]
    width, height = full_size
    ratio = side / max(width, height)
    w, h = round(width * ratio), round(height * ratio)
    canvas = np.full((side, side, 3), 114, np.uint8)
    canvas[:h, :w] = cv2.resize(image, (w, h), interpolation=cv2.INTER_LINEAR)
    tensor = canvas.transpose(2, 0, 1)[None].astype(np.float32)
    (out,) = STATE["session"].run(None, {manifest["input"]["name"]: tensor})
    boxes, scores = out[0, :4].T, out[0, 4:].T
    classes = scores.argmax(1)
    best = scores[np.arange(len(scores)), classes]
    names = manifest["labels"]
    thresholds = np.array([manifest["thresholds"].get(n, manifest["thresholds"].get("default", 0.25)) for n in names])
    keep = best >= thresholds[classes]
    boxes, best, classes = boxes[keep], best[keep], classes[keep]
    xywh = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]], 1) / ratio
    chosen = cv2.dnn.NMSBoxesBatched(xywh.tolist(), best.tolist(), classes.tolist(), 0.0, manifest["head"]["nms_iou"]) if len(xywh) else []
    return [{"label": names[classes[i]], "score": float(best[i]), "bbox": xywh[i].tolist()} for i in chosen]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--decode", choices=["plain", "reduced"], default="plain")
    parser.add_argument("photos", nargs="+")
    args = parser.parse_args()
    with multiprocessing.Pool(args.jobs, start, (args.model, args.decode)) as pool:
        for result in pool.imap(scan, args.photos, chunksize=4):
            print(json.dumps(result))


if __name__ == "__main__":
    main()
