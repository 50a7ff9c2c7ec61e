"""sitewarden against its peers on 12-megapixel JPEGs, all in one run, as whole processes.

(a) `sitewarden scan`, (b) a plain Python pipeline (python_scan.py), and the same with reduced decoding, (c) the Rust library usls
(usls/), (d) the bare cost (the bench `bare_cost`). The same photos, the same ONNX file, all cores. The runs are interleaved and the
median is taken; ratios are what counts. Peak memory is the largest resident set of the process
and its children.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time
import tomllib

import cv2
import numpy as np


def make_photos(folder, count, sources):
    """12-megapixel JPEGs (4000 x 3000, quality 90, 4:2:0) patched together from real pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [p for p in (cv2.imread(str(s)) for s in sources) if p is not None]
    if not pictures:
        sys.exit("no source pictures; run `make demo-pictures`")
    paths = []
    for i in range(count):
        path = folder / f"{i:04}.jpg"
        paths.append(path)
        if path.exists():
            continue
        # of its own, so that no photo is another's double whichever were made before
        rng = np.random.default_rng([7, i])
        canvas = np.zeros((3000, 4000, 3), np.uint8)
        for y in range(0, 3000, 750):
            for x in range(0, 4000, 1000):
                tile = cv2.resize(pictures[rng.integers(len(pictures))], (1000, 750), interpolation=cv2.INTER_CUBIC)
                # a camera's noise: what a sensor gives, and what entropy coding pays for
                noise = rng.normal(0, 3, tile.shape)
                canvas[y : y + 750, x : x + 1000] = np.clip(tile + noise, 0, 255)
        cv2.imwrite(str(path), canvas, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return [str(p) for p in paths]


def timed(command):
    """Wall seconds and peak resident MiB of a command and its children."""
    before = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - before
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        sys.exit(f"failed: {' '.join(command[:4])}")
    return seconds, usage.ru_maxrss / 1024


def bare_cost_program():
    """Builds the bench and gives the path of its program."""
    command = ["cargo", "bench", "--locked", "--bench", "bare_cost", "--no-run", "--message-format=json"]
    for line in subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "bare_cost":
            return message["executable"]
    sys.exit("cargo named no program for the bench")


def usls_command(model, jobs, photos):
    """Builds the peer and gives the command; None where it does not build."""
    package = pathlib.Path(__file__).parent / "usls"
    target = pathlib.Path(".cache/usls").resolve()
    built = subprocess.run(["cargo", "build", "--release", "--quiet", "--manifest-path", str(package / "Cargo.toml"), "--target-dir", str(target)])
    if built.returncode != 0:
        print("usls did not build; going on without it")
        return None
    manifest = tomllib.loads((pathlib.Path(model) / "model.toml").read_text())
    onnx = str((pathlib.Path(model) / manifest["file"]).resolve())
    side, classes = str(manifest["input"]["width"]), str(len(manifest["labels"]))
    return [str(target / "release/usls-scan"), onnx, side, classes, jobs, *photos]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--model", default="models/site-nano")
    parser.add_argument("--photos", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sources", type=pathlib.Path, default=pathlib.Path(".cache/demo/photos"))
    args = parser.parse_args()
    sources = sorted(p for p in args.sources.rglob("*") if p.suffix in (".png", ".jpg"))
    photos = make_photos(pathlib.Path(".cache/bench/12mp"), args.photos, sources)
    size = sum(os.path.getsize(p) for p in photos) / len(photos) / 1e6
    jobs = str(os.cpu_count())
    python = [sys.executable, str(pathlib.Path(__file__).parent / "python_scan.py"), "--model", args.model, "--jobs", jobs]
    peers = {
        "sitewarden": [args.program, "scan", "--format", "json", "--tiles", "off", "--model", args.model, "--jobs", jobs, *photos],
        "python": [*python, *photos],
        "python, reduced decode": [*python, "--decode", "reduced", *photos],
        "bare": [bare_cost_program(), "--model", args.model, "--jobs", jobs, *photos],
    }
    if usls := usls_command(args.model, jobs, photos):
        peers["usls"] = usls
        os.environ["ORT_DYLIB_PATH"] = os.environ["SITEWARDEN_ORT_LIB"]
    extra = {"sitewarden --tiles auto": [*peers["sitewarden"][:5], "auto", *peers["sitewarden"][6:]]}
    print(f"{len(photos)} JPEGs of 4000 x 3000, {size:.1f} MB each, {jobs} jobs, {args.rounds} rounds")
    seconds = {name: [] for name in [*peers, *extra]}
    memory = dict.fromkeys(seconds, 0.0)
    for round_ in range(args.rounds + 1):
        runs = {**peers, **(extra if round_ == 1 else {})}
        for name, command in runs.items():
            s, mib = timed(command)
            if round_ > 0:  # the first round warms the file cache
                seconds[name].append(s)
            memory[name] = max(memory[name], mib)
    for name, values in seconds.items():
        middle = statistics.median(values)
        print(
            f"{name:24} {middle:7.2f} s  {middle / len(photos) * 1000:6.1f} ms a photo  "
            f"(min {min(values):.2f}, max {max(values):.2f})  peak {memory[name]:.0f} MiB"
        )
    # ratios within a round: what disturbed one run disturbed its neighbour
    aims = {"bare": "aim at most 1.10", "python": "aim at most 0.67, that is 1.5 x its throughput", "python, reduced decode": "no aim", "usls": "no aim"}
    for other in peers:
        if other not in aims:
            continue
        better = aims[other]
        ratios = [a / b for a, b in zip(seconds["sitewarden"], seconds[other])]
        print(f"sitewarden / {other}: {statistics.median(ratios):.3f} ({better})")


if __name__ == "__main__":
    main()
