"""Writes the golden files of `src/postprocess`: raw output tensors, and the boxes that each
family's own post-processing makes of them.

Where upstream ships its post-processing as a package, that package is run; else its documented
formula is written out here in numpy and torchvision. Each file names its reference.

    pip install numpy==2.4.6 torch==2.15.0 torchvision==0.29.2 \
        ultralytics==8.4.190 transformers==5.23.0 rfdetr==1.11.2
    python generate.py

rfdetr is only needed for the one file `rfdetr/models/postprocess.py`, so `pip install --no-deps`
is enough; RFDETR_DIR may name a folder with the unpacked wheel. ultralytics is AGPL-3.0: it is
run here to make numbers, nothing of it is copied or shipped.
"""

import importlib.util
import json
import os
import pathlib
import sys
import types

import numpy as np
import torch
import torchvision

HERE = pathlib.Path(__file__).parent


def letterbox(original, size):
    """`original` (w, h) in the middle of `size` (w, h), whole pixels, as Ultralytics lays it in."""
    ratio = min(size[0] / original[0], size[1] / original[1])
    laid = [round(v * ratio) for v in original]
    scale = [laid[i] / original[i] for i in (0, 1)]
    pad = [round((size[i] - laid[i]) / 2 - 0.1) for i in (0, 1)]
    return dict(scale=scale, pad=pad, size=list(original))


def top_left(original, size):
    """`original` (w, h) at the top left of `size` (w, h), as YOLOX lays it in."""
    ratio = min(size[0] / original[0], size[1] / original[1])
    return dict(scale=[ratio, ratio], pad=[0.0, 0.0], size=list(original))


def stretch(original, size):
    scale = [size[0] / original[0], size[1] / original[1]]
    return dict(scale=scale, pad=[0.0, 0.0], size=list(original))


def back(boxes, lb):
    """Boxes in input pixels to original pixels, cut to the picture."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    boxes = (boxes - np.array(lb["pad"] * 2)) / np.array(lb["scale"] * 2)
    return boxes.clip(0, np.array(lb["size"] * 2))


def f32(values, digits=6):
    """Values that survive the round trip through short JSON numbers."""
    return np.round(np.asarray(values, np.float64), digits).astype(np.float32)


def write(name, reference, head, classes, size, lb, threshold, outputs, expected):
    def number(v):
        return float(np.format_float_positional(np.float32(v), unique=True, trim="0"))

    expected = sorted(([int(c), float(s), *map(float, b)] for c, s, b in expected), key=lambda e: -e[1])
    scores = [e[1] for e in expected]
    assert len(expected) >= 3, (name, len(expected))
    assert all(a - b > 1e-6 for a, b in zip(scores, scores[1:])), f"{name}: ties"
    case = dict(
        reference=reference,
        head=head,
        classes=classes,
        input=list(size),
        letterbox=lb,
        threshold=threshold,
        outputs=[dict(name=n, shape=list(v.shape), data=[number(x) for x in v.ravel()]) for n, v in outputs],
        expected=[[e[0], *(round(v, 5) for v in e[1:])] for e in expected],
    )
    path = HERE / f"{name}.json"
    path.write_text(json.dumps(case, separators=(",", ":")) + "\n")
    print(f"{path.name}: {len(expected)} boxes, {path.stat().st_size} bytes")


def yolox(rng):
    """yolox/utils/demo_utils.py demo_postprocess and yolox/utils/boxes.py postprocess."""
    size, classes, threshold, iou = (96, 64), 3, 0.3, 0.45
    lb = top_left((200, 120), size)
    grid, stride = [], []
    for s in (8, 16, 32):
        ys, xs = np.mgrid[0 : size[1] // s, 0 : size[0] // s]
        grid.append(np.stack([xs.ravel(), ys.ravel()], 1))
        stride.append(np.full((xs.size, 1), s))
    grid, stride = np.concatenate(grid), np.concatenate(stride)
    n = len(grid)
    wh = np.log(rng.uniform(10, 40, (n, 2)) / stride)
    raw = f32(np.concatenate([rng.normal(0.5, 0.4, (n, 2)), wh, rng.beta(1, 1, (n, 1)), rng.beta(1, 1.5, (n, classes))], 1))

    decoded = raw.astype(np.float64)
    decoded[:, :2] = (decoded[:, :2] + grid) * stride
    decoded[:, 2:4] = np.exp(decoded[:, 2:4]) * stride

    def reference(rows, agnostic):
        rows = torch.from_numpy(rows)
        boxes = torchvision.ops.box_convert(rows[:, :4], "cxcywh", "xyxy")
        best, cls = (rows[:, 4:5] * rows[:, 5:]).max(1)
        keep = best > threshold
        boxes, best, cls = boxes[keep], best[keep], cls[keep]
        kept = torchvision.ops.batched_nms(boxes, best, torch.zeros_like(cls) if agnostic else cls, iou)
        return zip(cls[kept], best[kept], back(boxes[kept], lb))

    text = "formula of YOLOX demo_postprocess, torchvision.ops.batched_nms"
    write("yolox_raw", text, dict(family="yolox"), classes, size, lb, threshold,
          [("output", raw[None])], reference(decoded, False))
    rounded = f32(decoded)
    write("yolox_decoded", text, dict(family="yolox", decoded=True, class_agnostic=True), classes, size, lb, threshold,
          [("output", rounded[None])], reference(rounded.astype(np.float64), True))


def yolov8(rng):
    os.environ.setdefault("YOLO_OFFLINE", "true")
    from ultralytics.utils import ops
    from ultralytics.utils.nms import non_max_suppression

    size, classes, threshold, iou = (64, 96), 4, 0.35, 0.7
    original = (150, 260)
    lb = letterbox(original, size)
    n = 90
    centres = rng.uniform(10, 55, (8, 2)) * np.array([1.0, 1.5])
    which = rng.integers(0, 8, n)
    boxes = np.concatenate([centres[which] + rng.normal(0, 1.0, (n, 2)), rng.uniform(18, 22, (n, 2))], 1)
    rows = f32(np.concatenate([boxes, rng.beta(1, 2, (n, classes))], 1))
    first = np.ascontiguousarray(rows.T)[None]

    def reference(**options):
        (found,) = non_max_suppression(torch.from_numpy(first.copy()), threshold, iou, **options)
        mapped = ops.scale_boxes((size[1], size[0]), found[:, :4].clone(), (original[1], original[0]))
        assert np.allclose(mapped, back(found[:, :4], lb), atol=1e-2), "our letterbox is not upstream's"
        return zip(found[:, 5], found[:, 4], mapped)

    text = "ultralytics non_max_suppression and scale_boxes"
    def case(name, head, tensor, found):
        write(name, text, dict(family="yolov8", **head), classes, size, lb, threshold, [("output0", tensor)], found)

    case("yolov8", {}, first, reference())
    case("yolov8_multi_label", dict(multi_label=True), first, reference(multi_label=True))
    case("yolov8_channels_last_agnostic", dict(class_agnostic=True), rows[None], reference(agnostic=True))

    rows = f32(np.concatenate([
        torchvision.ops.box_convert(torch.from_numpy(boxes[:40]), "cxcywh", "xyxy"),
        rng.beta(1, 1, (40, 1)), rng.integers(0, classes, (40, 1))], 1))[None]
    (found,) = non_max_suppression(torch.from_numpy(rows.copy()), threshold, end2end=True)
    mapped = ops.scale_boxes((size[1], size[0]), found[:, :4].clone(), (original[1], original[0]))
    case("yolov8_end_to_end", dict(layout="end_to_end"), rows, zip(found[:, 5], found[:, 4], mapped))


def detr(rng):
    from transformers import DetrImageProcessor, RTDetrImageProcessor

    size, classes, threshold, queries = (64, 64), 4, 0.4, 30
    original = (180, 100)
    lb = stretch(original, size)
    boxes = f32(np.concatenate([rng.uniform(0.2, 0.8, (queries, 2)), rng.uniform(0.05, 0.4, (queries, 2))], 1))[None]
    logits = f32(rng.normal(-1.2, 1.2, (queries, classes)), 3)[None]
    target = torch.tensor([[original[1], original[0]]])

    def output(logits):
        return types.SimpleNamespace(logits=torch.from_numpy(logits), pred_boxes=torch.from_numpy(boxes))

    def clipped(result):
        limit = np.array(lb["size"] * 2)
        return zip(result["labels"], result["scores"], np.asarray(result["boxes"], np.float64).clip(0, limit))

    (found,) = RTDetrImageProcessor().post_process_object_detection(output(logits), threshold, target)
    text = "transformers RTDetrImageProcessor"
    write("rtdetr_split", text, dict(family="detr", layout="split", boxes="pred_boxes", scores="logits", max_detections=queries),
          classes, size, lb, threshold, [("logits", logits), ("pred_boxes", boxes)], clipped(found))

    # What the graph of upstream's own export does when it is fed the network's input size.
    scores = torch.from_numpy(logits).sigmoid().flatten(1)
    scores, index = scores.topk(queries, 1)
    inner = torchvision.ops.box_convert(torch.from_numpy(boxes), "cxcywh", "xyxy") * size[0]
    inner = inner[:, (index // classes)[0]]
    write("rtdetr_postprocessed", text + " over the export of rtdetr_postprocessor.py, fed with the input size",
          dict(family="detr", layout="postprocessed"), classes, size, lb, threshold,
          [("labels", (index % classes).numpy().astype(np.float32)), ("boxes", inner.numpy()), ("scores", scores.numpy())],
          clipped(found))

    soft = f32(rng.normal(0, 2.0, (queries, classes + 1)), 3)[None]
    (found,) = DetrImageProcessor().post_process_object_detection(output(soft), threshold, target)
    write("detr_softmax", "transformers DetrImageProcessor",
          dict(family="detr", layout="split", boxes="pred_boxes", scores="logits", activation="softmax", background="last"),
          classes, size, lb, threshold, [("logits", soft), ("pred_boxes", boxes)], clipped(found))

    logits = f32(rng.normal(-1.2, 1.2, (queries, classes + 1)))[None]
    (found,) = rfdetr_postprocess()(num_select=300)(
        dict(pred_logits=torch.from_numpy(logits), pred_boxes=torch.from_numpy(boxes)), target)
    found = [(c, s, b) for c, s, b in clipped(found) if s > threshold and c < classes]
    write("rfdetr", "rfdetr PostProcess, last slot dropped as its ONNX guide says",
          dict(family="detr", layout="split", boxes="dets", scores="labels", background="last"),
          classes, size, lb, threshold, [("dets", boxes), ("labels", logits)], found)

    # Checkpoints of the first kind: slot 0 is background.
    (found,) = rfdetr_postprocess()(num_select=300)(
        dict(pred_logits=torch.from_numpy(logits), pred_boxes=torch.from_numpy(boxes)), target)
    found = [(c - 1, s, b) for c, s, b in clipped(found) if s > threshold and c > 0]
    write("rfdetr_background_first", "rfdetr PostProcess, slot 0 dropped as its ONNX guide says",
          dict(family="detr", layout="split", boxes="dets", scores="labels", background="first"),
          classes, size, lb, threshold, [("dets", boxes), ("labels", logits)], found)

    joined = f32(np.concatenate([boxes[0], rng.beta(1, 2, (queries, classes))], 1))[None]
    best = joined[0, :, 4:].max(1)
    keep = best > threshold
    xyxy = torchvision.ops.box_convert(torch.from_numpy(joined[0, keep, :4]), "cxcywh", "xyxy").numpy()
    found = zip(joined[0, keep, 4:].argmax(1), best[keep], (xyxy * np.array(original * 2)).clip(0, np.array(original * 2)))
    write("rtdetr_joined", "formula of ultralytics RTDETRPredictor.postprocess", dict(family="detr", layout="joined"),
          classes, size, lb, threshold, [("output0", joined)], found)


def rfdetr_postprocess():
    """The class, without importing the package around it."""
    if "RFDETR_DIR" in os.environ:
        root = pathlib.Path(os.environ["RFDETR_DIR"]) / "rfdetr"
    else:
        root = pathlib.Path(importlib.util.find_spec("rfdetr").origin).parent
    boxes = lambda b: torchvision.ops.box_convert(b, "cxcywh", "xyxy")
    utilities = types.ModuleType("rfdetr.utilities")
    utilities.box_ops = types.SimpleNamespace(box_cxcywh_to_xyxy=boxes)
    sys.modules["rfdetr"] = types.ModuleType("rfdetr")
    sys.modules["rfdetr.utilities"] = utilities
    spec = importlib.util.spec_from_file_location("rfdetr_postprocess", root / "models/postprocess.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PostProcess


def ssd(rng):
    from torchvision.models.detection.ssd import SSD

    size, classes, threshold = (64, 64), 3, 0.3
    original = (120, 90)
    lb = stretch(original, size)
    n = 60
    centre, side = rng.uniform(8, 56, (n, 2)), rng.uniform(10, 30, (n, 2))
    boxes = f32(np.concatenate([centre - side / 2, centre + side / 2], 1).clip(0, 64), 3)
    logits = f32(rng.normal(0, 1.6, (n, classes + 1)), 3)
    model = SSD.__new__(SSD)
    torch.nn.Module.__init__(model)
    # A box coder that leaves the anchors as they are: the graph under test has decoded them.
    model.box_coder = types.SimpleNamespace(decode_single=lambda codes, anchors: anchors)
    model.score_thresh, model.nms_thresh, model.topk_candidates, model.detections_per_img = threshold, 0.45, n, 300
    (found,) = model.postprocess_detections(
        dict(bbox_regression=torch.zeros(1, n, 4), cls_logits=torch.from_numpy(logits)[None]),
        [torch.from_numpy(boxes)], [(64, 64)])
    write("ssd_raw", "torchvision SSD.postprocess_detections",
          dict(family="ssd", activation="softmax", normalized=False),
          classes, size, lb, threshold, [("boxes", boxes[None]), ("scores", logits[None])],
          zip(found["labels"] - 1, found["scores"], back(found["boxes"], lb)))

    m, valid = 12, 9
    corner = rng.uniform(0, 0.5, (m, 2))
    tf = f32(np.concatenate([corner, corner + rng.uniform(0.1, 0.5, (m, 2))], 1))
    # In no order, so that rows beyond the valid ones would pass the threshold.
    scores = f32(rng.uniform(0.1, 1, m))
    assert (scores[valid:] > threshold).any()
    labels = rng.integers(1, classes + 1, m).astype(np.float32)
    xyxy = tf[:, [1, 0, 3, 2]] * np.array(original * 2)
    text = "definition of the TensorFlow object detection API's outputs"
    found = [(labels[i] - 1, scores[i], xyxy[i]) for i in range(valid) if scores[i] > threshold]
    write("ssd_tensorflow", text,
          dict(family="ssd", boxes="detection_boxes:0", scores="detection_scores:0", classes="detection_classes:0", count="num_detections:0"),
          classes, size, lb, threshold,
          [("detection_boxes:0", tf[None]), ("detection_classes:0", labels[None]), ("detection_scores:0", scores[None]),
           ("num_detections:0", np.array([valid], np.float32))], found)

    rows = f32(np.concatenate([np.zeros((m, 1)), labels[:, None], scores[:, None], tf], 1))
    rows[valid:, 0] = -1
    found = [(r[1] - 1, r[2], r[3:] * np.array(original * 2)) for r in rows[:valid] if r[2] > threshold]
    write("ssd_rows", "definition of Caffe's DetectionOutput layer", dict(family="ssd", layout="rows"),
          classes, size, lb, threshold, [("detection_out", rows[None, None])], found)


def main():
    for seed, family in enumerate((yolox, yolov8, detr, ssd)):
        family(np.random.default_rng(seed))


if __name__ == "__main__":
    main()
