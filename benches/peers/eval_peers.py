"""Holds `sitewarden bench` against pycocotools, in one run.

1. Random perturbed detections: the twelve figures of COCO agree to 1e-9.
2. COCO's own fixture (where DATA holds it): the twelve figures are the published ones.
3. Speed of the evaluation alone on 5,000 synthetic photos, as a ratio.
4. Time of `bench` against `scan` of the same photos, as a ratio.

Fails on 1 and 2 only: how fast a machine is, is no fault. `--write-fixture DIR` writes the small
fixture of tests/data/bench with the figures of pycocotools.
"""

import argparse
import contextlib
import io
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

KEYS = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
# val2014_fake_eval_res.txt of cocoapi
PUBLISHED = [.5046, .6970, .5730, .5856, .5194, .5014, .3868, .5937, .5954, .6398, .5664, .5643]
TOLERANCE = 1e-9


def labels_and_detections(rng, photos, classes, boxes, crowds=True):
    """Random boxes of all sizes, and detections that are moved, doubled, mislabelled or invented."""
    images, annotations, results = [], [], []
    ids = rng.permutation(np.arange(1, 10 * photos))[:photos]
    for image_id in ids.tolist():
        width, height = (int(v) for v in rng.integers(200, 1200, 2))
        images.append({"id": image_id, "file_name": f"{image_id}.jpg", "width": width, "height": height})
        for _ in range(rng.poisson(boxes)):
            side = np.exp(rng.uniform(np.log(6), np.log(0.9 * min(width, height)), 2))
            x, y = rng.uniform(0, width - side[0]), rng.uniform(0, height - side[1])
            bbox = [round(float(v), 2) for v in (x, y, *side)]
            category = int(rng.integers(1, classes + 1))
            crowd = int(crowds and rng.random() < 0.04)
            # COCO's area is that of the outline, not of the box
            area = bbox[2] * bbox[3] * float(rng.uniform(0.5, 1))
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, "category_id": category,
                                "bbox": bbox, "area": area, "iscrowd": crowd})
            for _ in range(rng.choice([0, 1, 1, 1, 2])):
                moved = np.array(bbox) + rng.normal(0, 0.12, 4) * np.array([*side, *side])
                moved[2:] = np.maximum(moved[2:], 1)
                results.append((image_id, category if rng.random() < 0.9 else int(rng.integers(1, classes + 1)), moved))
        for _ in range(rng.poisson(1)):
            invented = np.array([rng.uniform(0, width / 2), rng.uniform(0, height / 2), *rng.uniform(5, 200, 2)])
            results.append((image_id, int(rng.integers(1, classes + 1)), invented))
    # two decimals: many scores are equal, and the order among equals must be the same too
    results = [{"image_id": i, "category_id": c, "bbox": [round(float(v), 2) for v in b],
                "score": round(float(rng.uniform(0.01, 1)), 2)} for i, c, b in results]
    categories = [{"id": c, "name": f"class {c}"} for c in range(1, classes + 1)]
    return {"images": images, "annotations": annotations, "categories": categories}, results


def by_pycocotools(labels, results):
    """The twelve figures, and the seconds from detections in memory to figures."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(labels))
        detections = json.loads(results.read_text())
        start = time.perf_counter()
        judge = COCOeval(truth, truth.loadRes(detections), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
        took = time.perf_counter() - start
    return judge.stats.tolist(), took


def by_sitewarden(program, labels, results, out):
    subprocess.run([program, "bench", labels, "--predictions", results, "--out", out],
                   check=True, stdout=subprocess.DEVNULL)
    report = json.loads((out / "report.json").read_text())
    # pycocotools writes -1 for what cannot be computed
    figures = [report["metrics"][key] for key in KEYS]
    return [-1.0 if v is None else v for v in figures], report["evaluation_ms"] / 1000


def write(folder, labels, results):
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "labels.json", folder / "detections.json"
    for path, content in zip(paths, (labels, results)):
        path.write_text(json.dumps(content))
    return paths


def agreement(program, rounds):
    worst = 0.0
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        for seed in range(rounds):
            rng = np.random.default_rng(seed)
            photos, classes = int(rng.integers(1, 60)), int(rng.integers(1, 12))
            paths = write(tmp, *labels_and_detections(rng, photos, classes, 5))
            theirs, _ = by_pycocotools(*paths)
            ours, _ = by_sitewarden(program, *paths, tmp / "out")
            worst = max([worst, *(abs(a - b) for a, b in zip(theirs, ours))])
    print(f"agreement with pycocotools: {rounds} random sets, largest difference {worst:.1e}")
    return worst <= TOLERANCE


def published(program, data):
    labels = data / "eval/faster_coco_eval/cocoapi/instances_val2014_100.json"
    results = data / "eval/cocoapi/instances_val2014_fakebbox100_results.json"
    if not labels.exists():
        print(f"published figures: not checked, no {labels}")
        return True
    with tempfile.TemporaryDirectory() as tmp:
        ours, _ = by_sitewarden(program, labels, results, pathlib.Path(tmp) / "out")
    wrong = [f"{k} {o:.4f}, published {p}" for k, o, p in zip(KEYS, ours, PUBLISHED) if round(o, 4) != p]
    print("published figures: " + ("; ".join(wrong) or "all twelve equal to 4 decimals"))
    return not wrong


def evaluation_speed(program, photos, repeats=3):
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        paths = write(tmp, *labels_and_detections(np.random.default_rng(0), photos, 80, 7))
        theirs, ours = [], []
        for _ in range(repeats):
            theirs.append(by_pycocotools(*paths)[1])
            ours.append(by_sitewarden(program, *paths, tmp / "out")[1])
    ratio = min(theirs) / min(ours)
    print(f"evaluation of {photos} photos: pycocotools {min(theirs):.2f} s, sitewarden {min(ours):.3f} s: "
          f"{ratio:.0f} x (best of {repeats} each)")


def overhead(program, data, repeats=5):
    folder = data / "detect/hard-hat-workers"
    if not folder.exists():
        print(f"bench against scan: not measured, no {folder}")
        return
    def timed(*command):
        start = time.perf_counter()
        subprocess.run([program, *command], stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - start
    ratios = []
    with tempfile.TemporaryDirectory() as tmp:
        for _ in range(repeats):
            scan = timed("scan", folder / "val", "--format", "json")
            bench = timed("bench", folder / "val.json", "--out", tmp)
            ratios.append(bench / scan)
    print(f"bench against scan of the same photos: {statistics.median(ratios):.3f} x "
          f"(median of {repeats} pairs, {min(ratios):.3f} to {max(ratios):.3f})")


def write_fixture(folder):
    labels, results = labels_and_detections(np.random.default_rng(2024), 12, 3, 4)
    paths = write(folder, labels, results)
    figures, _ = by_pycocotools(*paths)
    golden = dict(zip(KEYS, figures))
    (folder / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
    print(golden)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--program", help="sitewarden")
    parser.add_argument("--data", type=pathlib.Path, help="folder that holds detect/ and eval/")
    parser.add_argument("--rounds", type=int, default=30, help="random sets")
    parser.add_argument("--photos", type=int, default=5000, help="photos of the speed test")
    parser.add_argument("--write-fixture", type=pathlib.Path, metavar="DIR")
    args = parser.parse_args()
    if args.write_fixture:
        return write_fixture(args.write_fixture)
    good = agreement(args.program, args.rounds)
    good &= published(args.program, args.data)
    evaluation_speed(args.program, args.photos)
    overhead(args.program, args.data)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
