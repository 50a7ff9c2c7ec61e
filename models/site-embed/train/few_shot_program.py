"""Holds few_shot.py against the program: for one kind and a few draws a bank is made with `sitewarden bank add` of the
same samples and clean photos, `sitewarden scan --bank` looks at the same photos, and what both find is compared.

    python few_shot_program.py --program sitewarden --data DATA --embedder DIR --cache CACHE --out few_shot_program.json
"""
import argparse
import json
import os
import subprocess
import tempfile

import numpy as np

from few_shot import CLEAN, Embedder, Kind, choose, looks, of_kind, score

HAZARD = "EQP-02"       # no detector finds it: what is told is the bank's


class Program:
    def __init__(self, path, embedder, folder):
        self.path, self.embedder, self.folder = path, embedder, folder

    def __call__(self, *rest):
        done = subprocess.run([self.path, *rest], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(map(str, rest[:6]))}: {done.stderr[-2000:]}")
        return done.stdout

    def add(self, *rest):
        self("bank", "--data", self.folder, "--embedder", self.embedder, "add", *rest)

    def told(self, photos):
        """For each photo the regions that a scan tells."""
        # detections are looked at as regions, too, and few_shot.py has none
        out = self("scan", "--bank", self.folder, "--embedder", self.embedder, "--hazards", HAZARD, "--min-score", "1",
                   "--format", "json", *photos)
        found = {p["path"]: p for p in json.loads(out)["photos"]}
        assert not any(p["detections"] for p in found.values())
        return [[(x, y, x + w, y + h) for x, y, w, h in (c["bbox"] for c in found[p]["candidates"])] for p in photos]


def compared(k, data, program, tested, more, clean, samples, order):
    at = lambda p: os.path.join(data, p["file"])
    for i in samples:
        photo = (tested + more)[i]
        x1, y1, x2, y2 = max(of_kind(photo, k.kind), key=lambda b: (b[2] - b[0]) * (b[3] - b[1]))
        program.add("--hazard", HAZARD, "--box", f"{x1},{y1},{x2 - x1},{y2 - y1}", at(photo))
    calibrate, rest = order[:CLEAN], order[CLEAN:]
    program.add("--reference", *(at(clean[i]) for i in calibrate))
    threshold = k.threshold(samples, calibrate)
    rows = []
    for i, boxes in enumerate(program.told([at(p) for p in tested])):
        middles = [((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in of_kind(tested[i], k.kind)]
        windows = {tuple(np.round(r)) for r in k.regions[i][k.told(i, samples, threshold)]}
        rows.append({"photo": tested[i]["file"],
                     "script": bool(k.hits[i][k.told(i, samples, threshold)].any()),
                     "program": any(c[0] <= x <= c[2] and c[1] <= y <= c[3]
                                    for c in looks(tested[i], boxes) for x, y in middles),
                     "same_windows": windows == {tuple(np.round(b)) for b in boxes},
                     "above_threshold": float(score(k.shown[i][:, samples]).max() - threshold)})
    alarms = program.told([at(clean[i]) for i in rest])
    rows += [{"photo": clean[i]["file"], "script": (top := float(score(k.free[i][:, samples]).max() - threshold)) > 0,
              "program": bool(told), "above_threshold": top} for i, told in zip(rest, alarms)]
    return rows


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--program", required=True)
    p.add_argument("--data", required=True)
    p.add_argument("--embedder", required=True, help="folder with model.toml")
    p.add_argument("--cache", required=True, help="that of few_shot.py")
    p.add_argument("--kind", default="mask")
    p.add_argument("--samples", type=int, default=10)
    p.add_argument("--draws", type=int, default=2)
    p.add_argument("--out", required=True)
    a = p.parse_args()
    embed = Embedder(os.path.join(a.embedder, "site-embed.onnx"))
    tested, more, clean = next(c[1:4] for c in choose(a.data, np.random.default_rng(7)) if c[0] == a.kind)
    k = Kind(a.kind, tested, more, clean, a.cache, a.data, embed, None)
    draws = []
    for n in range(a.draws):
        rng = np.random.default_rng((2, n))
        samples = k.other_site(a.samples, rng)[0]
        with tempfile.TemporaryDirectory() as folder:
            program = Program(a.program, a.embedder, folder)
            rows = compared(k, a.data, program, tested, more, clean, samples, rng.permutation(len(clean)))
        draws.append(rows)
        shown, free = rows[:len(tested)], rows[len(tested):]
        both = lambda rs: (sum(r["script"] for r in rs), sum(r["program"] for r in rs),
                           sum(r["script"] == r["program"] for r in rs), len(rs))
        print(f"draw {n}: found {both(shown)}, false alarms {both(free)} (script, program, alike, photos); the same windows in "
              f"{sum(r['same_windows'] for r in shown)}", flush=True)
        for r in rows:
            if r["script"] != r["program"] or not r.get("same_windows", True):
                print("  ", r)
    json.dump({"kind": a.kind, "samples": a.samples, "draws": draws}, open(a.out, "w"), indent=1)


if __name__ == "__main__":
    main()
