"""How many samples a kind needs: what the sample bank finds of kinds that nothing was trained on, and how
often it is wrong, by the number of samples. Writes the figures, a page with the plot, and the plot alone.

    python few_shot.py --data DATA --onnx site-embed.onnx --cache CACHE --out few_shot.json --html few_shot.html \
        --svg few_shot.svg

As `sitewarden scan --bank` with no detector: every photo is looked at in the windows of `bank::Grid`, cut as
`embedding::look_region` does; the score of a window is the similarity of the second nearest sample (of the only one
where there is one); a photo is confirmed when fewer clean photos reach its score than 5 % of them allow (conformal,
`bank::decide`).

Of confirmed windows that overlap only the best is told (`bank::keep_best`). A photo of the kind counts as found when one
that is told holds the middle of one of its boxes; a clean photo with any is a false alarm. Other site: no sample shares a
source (photo, video) with any photo that is tested, nor with another sample; of fire, the samples are of the other
labelled set. Same site: as many samples as there are come from the video of the tested photo, the others from other
sources; only photos of videos are tested. `few_shot_program.py` holds this against the program.
"""
import argparse
import collections
import hashlib
import html
import json
import os
import zlib

import numpy as np
import onnxruntime as ort
from PIL import Image

from crops import group, look

KINDS = {  # the labelled sets that label a kind
    "cone": ["construction-site-safety"],
    "vest": ["construction-site-safety"],
    "mask": ["construction-site-safety"],
    "forklift": ["forklift-person"],
    "fire": ["cctv-fire", "fire-indoor"],
}
SAMPLES = [1, 2, 5, 10, 20]
GRIDS = {"53 windows": (1, 2, 3), "18 windows": (1, 2)}
RATE = 0.05         # of false alarms, stated
CLEAN = 40          # photos that a threshold is found by
DRAWS = 30
MOST_TESTED = 30    # photos of a kind, each looked at in all windows
MOST_CLEAN = 70     # photos without it
MOST_SAMPLES = 40   # to draw from: of a video, and of sources of a labelled set that are not tested
SIDE = 192
LEAST_SIDE = 16     # of a box, pixels


def starts(length, side):
    room = length - side
    steps = int(np.ceil(max(room / (side / 2) - 1e-3, 0)))
    return [room / 2] if steps == 0 else [room * n / steps for n in range(steps + 1)]


def windows(width, height, divisors):
    """As `bank::Grid` has them: the whole, then squares."""
    whole = (0.0, 0.0, float(width), float(height))
    regions = [whole]
    for d in divisors:
        side = min(width, height) / d
        for y in starts(height, side):
            for x in starts(width, side):
                region = (x, y, min(x + side, width), min(y + side, height))
                if region != whole:
                    regions.append(region)
    return regions


class Embedder:
    def __init__(self, path):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 2
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        with open(path, "rb") as f:
            self.digest = hashlib.sha256(f.read()).hexdigest()[:12]

    def __call__(self, pictures):
        x = np.ascontiguousarray(((np.stack(pictures).astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2))
        return np.concatenate([self.session.run(["embedding"], {"images": x[k:k + 4]})[0]
                               for k in range(0, len(x), 4)])


def cut(picture, region):
    """`pipeline::bank::Cutter::cut`, and the square that the network is fed."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = look(region, width, height)
    x, y = min(round(max(x1, 0)), width - 1), min(round(max(y1, 0)), height - 1)
    x2, y2 = min(max(round(x2), x + 1), width), min(max(round(y2), y + 1), height)
    return np.asarray(Image.fromarray(picture[y:y2, x:x2]).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def photos(data, name):
    """One version of each photo: its file, source, boxes by kind."""
    seen, found = set(), []
    for split in ("val", "train"):
        coco = json.load(open(os.path.join(data, name, split + ".json")))
        names = {c["id"]: c["name"] for c in coco["categories"]}
        boxes = collections.defaultdict(list)
        for a in coco["annotations"]:
            x, y, w, h = a["bbox"]
            boxes[a["image_id"]].append((names[a["category_id"]], [x, y, x + w, y + h]))
        for im in coco["images"]:
            stem = im["source"].split(".rf.")[0]
            if stem in seen:
                continue
            seen.add(stem)
            found.append({"file": os.path.join(name, split, im["file_name"]), "set": name,
                          "width": im["width"], "height": im["height"],
                          "source": group(name, im["source"]), "boxes": boxes[im["id"]]})
    return found


def of_kind(photo, kind):
    return [b for c, b in photo["boxes"] if c == kind and min(b[2] - b[0], b[3] - b[1]) >= LEAST_SIDE]


def choose(data, rng):
    """For each kind: photos that show it and are tested, more that samples are drawn from, and photos without it."""
    sets = {name: photos(data, name) for name in sorted({s for all in KINDS.values() for s in all} | {"boxes"})}
    for kind, names in KINDS.items():
        own = [p for name in names for p in sets[name]]
        shown = [p for p in own if of_kind(p, kind)]
        clean = [p for p in own if all(c != kind for c, _ in p["boxes"])]
        others = [p for name in sets if name not in names for p in sets[name]]
        # videos first: without them there is no second photo of a site
        size = collections.Counter(p["source"] for p in shown)
        videos = [p for p in shown if size[p["source"]] >= 2]
        videos = [videos[i] for i in rng.permutation(len(videos))[:MOST_TESTED // 2]]
        stills = [p for p in shown if p not in videos]
        tested = videos + [stills[i] for i in rng.permutation(len(stills))[:MOST_TESTED - len(videos)]]
        pool, taken, of_set = list(tested), collections.Counter(p["source"] for p in tested), collections.Counter()
        tested_sources, known = set(taken), {p["file"] for p in tested}
        for p in (shown[i] for i in rng.permutation(len(shown))):
            own = p["source"] in tested_sources
            if p["file"] in known or taken[p["source"]] >= (MOST_SAMPLES if own else 1):
                continue
            if not own:
                if of_set[p["set"]] >= MOST_SAMPLES:
                    continue
                of_set[p["set"]] += 1
            taken[p["source"]] += 1
            pool.append(p)
        # the same for all kinds as far as can be: each photo costs 53 runs
        by_chance = lambda p: zlib.crc32(p["file"].encode())
        clean = sorted(clean, key=by_chance)[:MOST_CLEAN]
        own_clean = len(clean)
        clean += sorted(others, key=by_chance)[:MOST_CLEAN - len(clean)]
        yield kind, tested, pool[len(tested):], clean, own_clean


def embedded(cache, data, embed, photo, kind, look_around=True):
    """Windows of a photo (unless only a sample is wanted), and its largest box of the kind."""
    # embeddings of two embedders never meet
    key = embed.digest + "-" + photo["file"].replace("/", "-") + (f"-{kind}" if kind else "") + ("" if look_around else "-box") + ".npz"
    path = os.path.join(cache, key)
    if not os.path.exists(path):
        picture = np.asarray(Image.open(os.path.join(data, photo["file"])).convert("RGB"))
        height, width = picture.shape[:2]
        regions = windows(width, height, GRIDS["53 windows"]) if look_around else []
        sample = []
        if kind:
            sample = [max(of_kind(photo, kind), key=lambda b: (b[2] - b[0]) * (b[3] - b[1]))]
        z = embed([cut(picture, r) for r in regions + sample])
        np.savez(path + ".part.npz", windows=z[:len(regions)], regions=np.array(regions),
                 sample=z[len(regions):].reshape(-1, z.shape[1]))
        os.replace(path + ".part.npz", path)
    return dict(np.load(path))


def score(similarities):
    """Of each window: the second nearest sample, or the only one."""
    return similarities[:, 0] if similarities.shape[1] == 1 else np.sort(similarities, 1)[:, -2]


def looks(photo, regions):
    """Windows as they are cut."""
    return np.array([look(r, photo["width"], photo["height"]) for r in regions])


def keep_best(cuts, scores):
    """`bank::keep_best`: numbers of those that no better one overlaps by a twentieth of the smaller."""
    area = (cuts[:, 2] - cuts[:, 0]) * (cuts[:, 3] - cuts[:, 1])
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        shared = np.prod(np.maximum(np.minimum(cuts[kept, 2:], cuts[i, 2:]) -
                                    np.maximum(cuts[kept, :2], cuts[i, :2]), 0), 1)
        if not (shared >= 0.05 * np.minimum(area[kept], area[i])).any():
            kept.append(int(i))
    return kept


def hits(photo, cuts, kind):
    """Which windows hold the middle of a box of the kind."""
    found = np.zeros(len(cuts), bool)
    for x1, y1, x2, y2 in of_kind(photo, kind):
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        found |= (cuts[:, 0] <= x) & (x <= cuts[:, 2]) & (cuts[:, 1] <= y) & (y <= cuts[:, 3])
    return found


class Kind:
    """A kind with all similarities worked out. Samples are numbered: the tested photos', then the others'."""

    def __init__(self, kind, tested, more, clean, cache, data, embed, count):
        self.kind, self.tested, self.clean = kind, tested, clean
        of_tested = [embedded(cache, data, embed, p, kind) for p in tested]
        of_more = [embedded(cache, data, embed, p, kind, look_around=False) for p in more]
        of_clean = [embedded(cache, data, embed, p, None) for p in clean]
        gallery = np.concatenate([e["sample"] for e in of_tested + of_more])
        self.shown = [e["windows"][:count] @ gallery.T for e in of_tested]
        self.regions = [e["regions"][:count] for e in of_tested]
        self.cuts = [looks(p, e["regions"][:count]) for p, e in zip(tested, of_tested)]
        self.hits = [hits(p, c, kind) for p, c in zip(tested, self.cuts)]
        self.free = [e["windows"][:count] @ gallery.T for e in of_clean]
        self.source = np.array([p["source"] for p in tested + more])
        self.set = np.array([p["set"] for p in tested + more])

    def draw(self, samples, tested, rng):
        """(found, of tested; false alarms, of clean ones) with these samples."""
        order = rng.permutation(len(self.free))
        calibrate, rest = order[:CLEAN], order[CLEAN:]
        threshold = self.threshold(samples, calibrate)
        found = [bool(self.hits[i][self.told(i, samples, threshold)].any()) for i in tested]
        alarms = [bool(score(self.free[i][:, samples]).max() > threshold) for i in rest]
        return found, alarms

    def threshold(self, samples, calibrate):
        """Scores above it are confirmed."""
        held = np.sort([score(self.free[i][:, samples]).max() for i in calibrate])
        return held[len(held) - int(RATE * (len(held) + 1) + 1e-9)]

    def told(self, i, samples, threshold):
        """Windows of a tested photo that a scan tells."""
        s = score(self.shown[i][:, samples])
        over = np.flatnonzero(s > threshold)
        return over[keep_best(self.cuts[i][over], s[over])]

    def other_site(self, n, rng):
        """Samples of sources that are not tested; of several labelled sets, one is tested by another's samples."""
        tested = np.arange(len(self.tested))
        pool = ~np.isin(self.source, self.source[tested])
        sets = np.unique(self.set[pool])
        if len(sets) > 1:
            own = rng.choice(np.unique(self.set[tested]))
            pool &= self.set != own
            tested = tested[self.set[tested] == own]
        pool = np.flatnonzero(pool)
        return None if len(pool) < n else (rng.choice(pool, n, replace=False), tested, 0)

    def same_site(self, n, rng):
        """A photo of a video, and its other photos first among the samples."""
        sources, size = np.unique(self.source, return_counts=True)
        videos = np.intersect1d(sources[size >= 2], self.source[:len(self.tested)])
        if len(videos) == 0:
            return None
        members = np.flatnonzero(self.source == rng.choice(videos))
        tested = rng.choice(members[members < len(self.tested)])
        own = rng.permutation(members[members != tested])[:n]
        others = rng.permutation(np.flatnonzero(self.source != self.source[tested]))[:n - len(own)]
        samples = np.concatenate((own, others)).astype(int)
        return None if len(samples) < n else (samples, np.array([tested]), len(own))


def curve(kind, way, seed):
    points = []
    for n in SAMPLES:
        rng = np.random.default_rng((seed, n))
        found, alarms, photos, own = [], [], set(), []
        draws = DRAWS if way == "other_site" else 4 * DRAWS
        for _ in range(draws):
            drawn = getattr(kind, way)(n, rng)
            if drawn is None or len(drawn[1]) == 0:
                continue
            samples, tested, of_own = drawn
            f, a = kind.draw(samples, tested, rng)
            photos.update(int(i) for i in tested)
            own.append(of_own)
            found.append(np.mean(f))
            alarms.append(np.mean(a))
        if len(found) < draws // 2:
            continue
        spread = lambda v: [float(x) for x in np.percentile(v, [10, 90])]
        points.append({"samples": n, "recall": float(np.mean(found)), "recall_spread": spread(found),
                       "false_alarms": float(np.mean(alarms)), "false_alarms_spread": spread(alarms),
                       "photos": len(photos), "own_samples": float(np.mean(own))})
    return points


# ---- the page ----

WAYS = {"same_site": ("same site", "#0072b2"), "other_site": ("other site", "#d55e00")}


def panel(name, curves):
    """Recall above, false alarms dashed, over the number of samples."""
    left, top, width, height = 46, 12, 300, 200
    x = lambda n: left + width * SAMPLES.index(n) / (len(SAMPLES) - 1)
    y = lambda v: top + height * (1 - v)
    out = [f'<svg class="chart" viewBox="0 0 {left + width + 14} {top + height + 44}" role="img" '
           f'aria-label="{name}: recall and false alarms by number of samples">']
    for v in (0, .25, .5, .75, 1):
        out.append(f'<line class="grid" x1="{left}" x2="{left + width}" y1="{y(v)}" y2="{y(v)}"/>'
                   f'<text class="tick y" x="{left - 7}" y="{y(v) + 4}">{v:.0%}</text>')
    for n in SAMPLES:
        out.append(f'<text class="tick x" x="{x(n)}" y="{top + height + 17}">{n}</text>')
    out.append(f'<text class="axis" x="{left + width / 2}" y="{top + height + 36}">samples</text>')
    out.append(f'<line class="diagonal" x1="{left}" x2="{left + width}" y1="{y(RATE)}" y2="{y(RATE)}"/>')
    for way, (_, colour) in WAYS.items():
        points = curves[way]
        if not points:
            continue
        band = [f'{x(p["samples"])},{y(p["recall_spread"][1])}' for p in points]
        band += [f'{x(p["samples"])},{y(p["recall_spread"][0])}' for p in reversed(points)]
        if way == "other_site":
            out.append(f'<polygon points="{" ".join(band)}" fill="{colour}" opacity=".13"/>')
        for what, dash in (("recall", ""), ("false_alarms", ' stroke-dasharray="3 4"')):
            line = " ".join(f'{x(p["samples"])},{y(p[what])}' for p in points)
            out.append(f'<polyline class="line" points="{line}" stroke="{colour}"{dash}/>')
            out += [f'<circle class="dot" cx="{x(p["samples"])}" cy="{y(p[what])}" r="4" fill="{colour}"/>'
                    for p in points]
    return "".join(out) + "</svg>"


def figure(curves):
    """All panels in one picture that stands by itself."""
    size, head = (372, 296), 26
    style = """text { font: 12px system-ui, sans-serif; fill: #1c242c } .grid { stroke: #d9dee3 }
        .tick, .axis { fill: #56606b; font-size: 11px } .tick.x, .axis { text-anchor: middle } .tick.y { text-anchor: end }
        .line { fill: none; stroke-width: 2.2 } .diagonal { stroke: #56606b; stroke-dasharray: 5 4; stroke-width: 1.5 }
        .name { font-weight: 600; font-size: 14px }"""
    parts = []
    for i, (kind, of) in enumerate(curves.items()):
        x, y = i % 3 * size[0], i // 3 * size[1]
        inner = panel(kind, of["53 windows"]).replace('<svg class="chart"', f'<svg x="{x}" y="{y + head}" width="{size[0]}" height="256"')
        parts.append(f'<text class="name" x="{x + 46}" y="{y + 20}">{kind}</text>{inner}')
    x, y = len(curves) % 3 * size[0] + 46, len(curves) // 3 * size[1] + head + 40
    for way, (name, colour) in WAYS.items():
        for what, dash in (("recall", ""), ("false alarms", ' stroke-dasharray="3 4"')):
            parts.append(f'<path d="M{x} {y}h30" stroke="{colour}" stroke-width="2.5"{dash}/>'
                         f'<text x="{x + 38}" y="{y + 4}">{what}, {name}</text>')
            y += 24
    parts.append(f'<path class="diagonal" d="M{x} {y}h30"/><text x="{x + 38}" y="{y + 4}">stated rate, {RATE:.0%}</text>')
    width, height = 3 * size[0], (len(curves) // 3 + 1) * size[1]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
            f'<title>Recall and false alarms of the sample bank by number of samples</title><style>{style}</style>'
            f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n')


def table(curves):
    head = "".join(f'<th scope="col" class="n">{n}</th>' for n in SAMPLES)
    rows = []
    for kind, of in curves.items():
        for way, (name, _) in WAYS.items():
            by = {p["samples"]: p for p in of["53 windows"][way]}
            if not by:
                continue
            cells = "".join(
                f'<td class="n">{by[n]["recall"]:.2f} <span class="interval">/ {by[n]["false_alarms"]:.2f}</span></td>'
                if n in by else '<td class="n">–</td>' for n in SAMPLES)
            most = max(p["photos"] for p in by.values())
            rows.append(f'<tr><td class="name">{kind}</td><td>{name}</td><td class="n">{most}</td>{cells}</tr>')
    return (f'<div class="scroll"><table class="figures"><thead><tr><th scope="col">kind</th><th scope="col">samples from</th>'
            f'<th scope="col" class="n">photos tested</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>')


def page(curves, facts):
    templates = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../templates")
    style = "".join(open(os.path.join(templates, f)).read() for f in ("report/style.css", "bench/bench.css"))
    panels = "".join(f'<section class="panel"><h3>{k}</h3>{panel(k, c["53 windows"])}</section>'
                     for k, c in curves.items())
    legend = "".join(f'<li><svg viewBox="0 0 30 10"><path d="M0 5H30" stroke="{c}" stroke-width="3"/></svg>recall, {n}</li>'
                     f'<li><svg viewBox="0 0 30 10"><path d="M0 5H30" stroke="{c}" stroke-width="3" stroke-dasharray="3 4"/>'
                     f'</svg>false alarms, {n}</li>' for n, c in WAYS.values())
    notes = "".join(f"<li>{html.escape(n)}</li>" for n in facts)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>sitewarden: how many samples a kind needs</title><style>{style}</style></head><body>
<header class="page"><p class="brand">sitewarden</p><h1>How many samples a kind needs <span class="sub">sample bank, site-embed</span></h1></header>
<main><section><details class="read" open><summary>How to read it</summary><ul>{notes}</ul></details></section>
<section><h2>Recall and false alarms by number of samples</h2><ul class="legend">{legend}
<li><svg viewBox="0 0 30 10"><path class="diagonal" d="M0 5H30" stroke="#56606b" stroke-width="1.5" stroke-dasharray="5 4"/></svg>stated rate of false alarms, {RATE:.0%}</li></ul>
<div class="pair">{panels}</div></section>
<section><h2>Figures</h2><p class="note">Recall / false alarms.</p>{table(curves)}</section></main></body></html>
"""


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", required=True)
    p.add_argument("--onnx", required=True)
    p.add_argument("--cache", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--html", required=True)
    p.add_argument("--svg", required=True)
    a = p.parse_args()
    os.makedirs(a.cache, exist_ok=True)
    embed = Embedder(a.onnx)
    curves, counts = {}, {}
    for kind, tested, more, clean, own in choose(a.data, np.random.default_rng(7)):
        curves[kind] = {}
        counts[kind] = {"photos": len(tested), "sources": len({p["source"] for p in tested}), "more_samples": len(more),
                        "clean": len(clean), "clean_of_its_sets": own}
        for grid, divisors in GRIDS.items():
            count = len(windows(640, 640, divisors))
            all_square = all(p["width"] == p["height"] for p in tested + clean)
            if not all_square and grid != "53 windows":
                continue
            k = Kind(kind, tested, more, clean, a.cache, a.data, embed, count if all_square else None)
            curves[kind][grid] = {way: curve(k, way, 1) for way in WAYS}
        print(kind, counts[kind], flush=True)
        for grid, ways in curves[kind].items():
            for way, points in ways.items():
                print(f"  {grid}, {way:10}", "  ".join(
                    f'{q["samples"]}: {q["recall"]:.2f}/{q["false_alarms"]:.2f}' for q in points), flush=True)
        write(a, counts, curves)


def write(a, counts, curves):
    json.dump({"rate": RATE, "clean_photos": CLEAN, "draws": DRAWS, "counts": counts, "curves": curves},
              open(a.out, "w"), indent=1)
    facts = [
        "Five kinds that the embedder was not trained on; no detector takes part. A photo counts as found when a "
        "window that a scan tells holds the middle of one of its boxes.",
        f"The threshold is found by {CLEAN} clean photos for a stated rate of {RATE:.0%}; false alarms are counted in "
        "other clean photos: photos of the same labelled sets without the kind, filled up from other sets.",
        f"Means of {DRAWS} draws of samples (same site: {4 * DRAWS} photos); the band holds four draws of five. Other "
        "site: no sample shares its photo or video with a tested photo or another sample, and samples of fire are of the "
        "other labelled set. Same site: other photos of the tested photo's video come first among the samples, as many "
        "as there are (of 20 on average: " + ", ".join(
            f'{k} {ways["53 windows"]["same_site"][-1]["own_samples"]:.0f}' for k, ways in curves.items()
            if ways["53 windows"]["same_site"]) + "); forklifts have no two photos of one site.",
        "; ".join(f'{k}: {c["photos"]} photos of {c["sources"]} sources, {c["clean"]} clean ones, '
                  f'{c["clean_of_its_sets"]} of them of its own sets' for k, c in counts.items()) + ".",
    ]
    with open(a.html, "w") as f:
        f.write(page(curves, facts))
    with open(a.svg, "w") as f:
        f.write(figure(curves))


if __name__ == "__main__":
    main()
