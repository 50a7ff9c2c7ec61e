"""What `sitewarden bench` costs over `sitewarden scan` of the same photos, in one run.

The two are run in turn, round by round, and the ratios are those within a round: what disturbed one
run disturbed its neighbour. Processor time (user and system) says what the work costs; wall time
says what a person waits for, and is worth little on a busy machine. The order within a round
alternates. The set is a COCO file: with a manifest or data.yaml that names other splits, bench also
hashes the photos of those to find duplicates, which scan has no part in; `--manifest NAME` measures
that too, for information.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time


def timed(command):
    """Wall seconds and processor seconds of a command and its children."""
    before = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - before
    # 1: a photo could not be read, which is so for both
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        sys.exit(f"failed: {' '.join(command[:4])}")
    return wall, usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=pathlib.Path, help="a COCO file, for example DATA/detect/hard-hat-workers/val.json")
    parser.add_argument("--images", type=pathlib.Path, help="its photos [default: the folder of the same name beside it]")
    parser.add_argument("--program", required=True)
    parser.add_argument("--model", default="models/site-nano")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--manifest", help="also the set of this name, which knows its other splits")
    args = parser.parse_args()
    folder = args.images or args.labels.with_suffix("")
    listed = [folder / i["file_name"] for i in json.loads(args.labels.read_text())["images"]]
    missing = [p for p in listed if not p.is_file()]
    if missing or not listed:
        sys.exit(f"{len(missing)} of {len(listed)} photos are not in {folder}; say with --images where they lie")
    jobs = str(os.cpu_count())
    with tempfile.TemporaryDirectory() as out:
        common = ["--model", args.model, "--jobs", jobs]
        bench = [args.program, "bench", str(args.labels), "--images", str(folder), "--restart", "--out", out, *common]
        commands = {
            # the photos that the labels list, no more
            "scan": [args.program, "scan", "--format", "json", *common, *map(str, listed)],
            "bench": bench,
        }
        if args.manifest:
            commands["bench of the manifest"] = [args.program, "bench", args.manifest, "--restart", "--out", out, *common]
        times = {name: [] for name in commands}
        for round_ in range(args.rounds + 1):
            order = list(commands.items())
            for name, command in order if round_ % 2 else reversed(order):
                taken = timed(command)
                if round_ > 0:  # the first round warms the file cache
                    times[name].append(taken)
    print(f"{len(listed)} photos of {args.labels.parent.name}, {jobs} jobs, {args.rounds} rounds, load {os.getloadavg()[0]:.1f}")
    for name, taken in times.items():
        wall, cpu = (statistics.median(t[i] for t in taken) for i in (0, 1))
        print(f"{name:24} {wall:7.2f} s wall  {cpu:7.2f} s processor  {cpu / len(listed) * 1000:6.1f} ms a photo")
    for name in list(times)[1:]:
        for what, i in (("processor", 1), ("wall", 0)):
            ratios = [a[i] / b[i] for a, b in zip(times[name], times["scan"])]
            aim = "aim at most 1.05" if name == "bench" else "for information"
            print(f"{name} / scan, {what}: {statistics.median(ratios):.3f} (min {min(ratios):.3f}, max {max(ratios):.3f}; {aim})")


if __name__ == "__main__":
    main()
