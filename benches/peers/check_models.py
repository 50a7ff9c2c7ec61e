"""Judges site-nano on labelled val sets, by pycocotools, from sitewarden's own predictions.

Runs `sitewarden scan --min-score 0.001 --format jsonl` on each set, turns the records into COCO
results (scores down to 0.001, at most 300 a photo) and prints AP for each class. Fails when a
floor is not reached.
"""

import argparse
import contextlib
import io
import json
import pathlib
import subprocess
import sys

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

# (set, class or None for the mean over its classes, metric, goal, floor).
# The goal is what the model is meant to reach; the floor is what it has reached, less a hair: a
# change that falls below it is a step back and fails.
FLOORS = [
    ("hard-hat-workers", "helmet", "AP50", 0.90, 0.90),
    ("hard-hat-workers", "head", "AP50", 0.89, 0.915),
    ("hard-hat-workers", "helmet", "AP", 0.55, 0.549),
    ("hard-hat-workers", "head", "AP", 0.55, 0.57),
    ("construction-site-safety", None, "AP50", 0.58, 0.579),
]
MAX_PER_PHOTO = 300


def predictions(program, folder, truth, extra):
    """COCO results of one val folder."""
    ids = {image["file_name"]: image["id"] for image in truth["images"]}
    classes = {c["name"]: c["id"] for c in truth["categories"]}
    run = subprocess.Popen(
        [program, "scan", folder, "--format", "jsonl", "--min-score", "0.001", *extra],
        stdout=subprocess.PIPE,
        text=True,
    )
    results, seen = [], set()
    for line in run.stdout:
        for photo in json.loads(line)["photos"]:
            if photo["error"]:
                sys.exit(f"{photo['path']}: {photo['error']}")
            image_id = ids.get(pathlib.Path(photo["path"]).name)
            if image_id is None:
                continue
            seen.add(image_id)
            known = [d for d in photo["detections"] if d["label"] in classes]
            for d in known[:MAX_PER_PHOTO]:
                results.append(
                    {
                        "image_id": image_id,
                        "category_id": classes[d["label"]],
                        "bbox": d["bbox"],
                        "score": d["score"],
                    }
                )
    if run.wait() != 0:
        sys.exit(f"sitewarden ended with {run.returncode}")
    if len(seen) != len(ids):
        sys.exit(f"{folder}: {len(ids) - len(seen)} labelled photos were not scanned")
    return results


def evaluate(annotations, results):
    """{class: {AP, AP50}} as pycocotools has it."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(annotations)
        judge = COCOeval(coco, coco.loadRes(results), "bbox")
        judge.params.maxDets = [1, 10, MAX_PER_PHOTO]
        judge.evaluate()
        judge.accumulate()
    # precision: [IoU, recall, class, area, max detections]; area 0 is "all"
    precision = judge.eval["precision"][:, :, :, 0, -1]
    names = {c["id"]: c["name"] for c in coco.loadCats(coco.getCatIds())}
    scores = {}
    for k, category in enumerate(judge.params.catIds):
        p = precision[:, :, k]
        if (p > -1).any():
            scores[names[category]] = {
                "AP": float(p[p > -1].mean()),
                "AP50": float(p[0][p[0] > -1].mean()),
            }
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path, help="folder that holds detect/")
    parser.add_argument("--model", default="site-nano")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here too")
    args = parser.parse_args()
    figures = {}
    for folder in sorted((args.data / "detect").iterdir()):
        annotations = folder / "val.json"
        truth = json.loads(annotations.read_text())
        results = predictions(args.program, folder / "val", truth, ["--model", args.model])
        figures[folder.name] = evaluate(str(annotations), results)
    for name, classes in figures.items():
        mean = {m: float(np.mean([c[m] for c in classes.values()])) for m in ("AP50", "AP")}
        print(f"{name:28} {'mean':10} AP50 {mean['AP50']:.4f}  AP50-95 {mean['AP']:.4f}")
        for label, c in classes.items():
            print(f"{'':28} {label:10} AP50 {c['AP50']:.4f}  AP50-95 {c['AP']:.4f}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    passed = failed = 0
    for name, label, metric, goal, floor in FLOORS:
        classes = figures[name]
        chosen = [classes[label]] if label else list(classes.values())
        value = float(np.mean([c[metric] for c in chosen]))
        ok = value >= floor
        passed, failed = passed + ok, failed + (not ok)
        reached = "goal reached" if value >= goal else "goal NOT reached"
        print(
            f"{'ok' if ok else 'BELOW THE FLOOR'}: {name} {label or 'mean'} {metric} {value:.4f}, "
            f"floor {floor}, goal {goal}: {reached}"
        )
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
