"""The ten nearest of many samples: `sitewarden`'s exact search beside faiss's flat index, one run.

The same unit vectors, one query at a time, one thread, turn about. Two sorts of vectors: spread over
the whole sphere (nothing is near anything), and in bunches, as pictures of few kinds are.
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

os.environ.setdefault("OMP_NUM_THREADS", "1")

import faiss
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]


def program():
    """Builds the bench and gives the path of its program."""
    command = ["cargo", "bench", "--locked", "--bench", "bank", "--no-run", "--message-format=json"]
    built = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    paths = [json.loads(line).get("executable") for line in built.stdout.splitlines()]
    return [p for p in paths if p][-1]


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def vectors(sort, rows, queries, dimensions, rng):
    if sort == "spread":
        return unit(rng.normal(size=(rows, dimensions))), unit(rng.normal(size=(queries, dimensions)))
    centres = rng.normal(size=(60, dimensions))
    draw = lambda n: unit(centres[rng.integers(60, size=n)] + 0.8 * rng.normal(size=(n, dimensions)))
    return draw(rows), draw(queries)


def ours(path, folder, dimensions, core):
    files = ["--vectors", folder / "rows", "--probes", folder / "probes"]
    command = ["taskset", "-c", str(core), path, "--dimensions", str(dimensions), *map(str, files)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=0)
    args = parser.parse_args()
    path = program()
    faiss.omp_set_num_threads(1)
    os.sched_setaffinity(0, {args.core})
    rng = np.random.default_rng(1)
    print(f"{args.rows:,} x {args.dimensions}, {args.queries} queries, one thread; faiss {faiss.__version__}\n")
    print("| vectors | sitewarden p50 ms | p95 | all in f32 p50 | faiss flat p50 ms | p95 | ratio | same ten | MiB | faiss MiB |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for sort in ("spread", "bunches"):
        rows, probes = vectors(sort, args.rows, args.queries, args.dimensions, rng)
        index = faiss.IndexFlatIP(args.dimensions)
        index.add(rows)
        mine, plain, theirs, same = [], [], [], 0
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            rows.tofile(folder / "rows")
            probes.tofile(folder / "probes")
            for turn in range(args.rounds):
                report = ours(path, folder, args.dimensions, args.core)
                mine += report["nearest_ms"]
                plain += report["all_similarities_ms"]
                for i, probe in enumerate(probes):
                    start = time.perf_counter()
                    _, found = index.search(probe[None], 10)
                    theirs.append(1e3 * (time.perf_counter() - start))
                    if turn == 0:
                        same += set(found[0].tolist()) == set(report["found"][i][:10])
        quantile = lambda t, q: float(np.quantile(t, q))
        ratio = statistics.median(mine) / statistics.median(theirs)
        print(
            f"| {sort} | {quantile(mine, 0.5):.2f} | {quantile(mine, 0.95):.2f} | {quantile(plain, 0.5):.2f} "
            f"| {quantile(theirs, 0.5):.2f} | {quantile(theirs, 0.95):.2f} | {ratio:.2f} "
            f"| {same} of {args.queries} | {report['bytes'] / 2**20:.0f} | {rows.nbytes / 2**20:.0f} |"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
