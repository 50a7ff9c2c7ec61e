"""The ten nearest of many samples: `sitewarden`'s exact search beside faiss's flat index, one run.

The same unit vectors, one query at a time, one thread, turn about. Two sorts of vectors: spread over
the whole sphere (nothing is near anything), and in bunches, as pictures of few kinds are.

With --indexed the approximate search of very many samples beside usearch and hnswlib, as Python has them: made on all
cores, asked on one. The peers get the least expansion that reaches a recall of 0.98; `sitewarden` has its own. Vectors
are of few intrinsic dimensions, as embeddings of pictures are.
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
    made = map(json.loads, built.stdout.splitlines())
    # the program itself is built beside it
    return next(m["executable"] for m in made if m.get("executable") and m["target"]["name"] == "bank")


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def vectors(sort, rows, queries, dimensions, rng):
    if sort == "spread":
        return unit(rng.normal(size=(rows, dimensions))), unit(rng.normal(size=(queries, dimensions)))
    centres = rng.normal(size=(60, dimensions))
    draw = lambda n: unit(centres[rng.integers(60, size=n)] + 0.8 * rng.normal(size=(n, dimensions)))
    return draw(rows), draw(queries)


def arguments(path, folder, dimensions):
    return [path, "--dimensions", str(dimensions), "--vectors", folder / "rows", "--probes", folder / "probes"]


def ours(path, folder, dimensions, core):
    command = ["taskset", "-c", str(core), *arguments(path, folder, dimensions)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def few_dimensions(rows, queries, dimensions, rng, intrinsic=24):
    """Bunches in a space of few dimensions, bent into one of many, and a little noise."""
    centres = rng.normal(size=(200, intrinsic))
    first, second = (rng.normal(size=s) / s[0] ** 0.5 for s in ((intrinsic, 128), (128, dimensions)))

    def draw(n):
        parts = []
        for k in range(0, n, 100_000):
            m = min(100_000, n - k)
            z = centres[rng.integers(200, size=m)] + 0.6 * rng.normal(size=(m, intrinsic))
            x = np.tanh(z @ first) @ second
            parts.append(unit(x + 0.02 * rng.normal(size=x.shape)))
        return np.concatenate(parts)

    return draw(rows), draw(queries)


def resident():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


class Ours:
    """Another process; its lists are made on all cores, asked on one."""

    def __init__(self, path, folder, args):
        self.process = subprocess.Popen([*arguments(path, folder, args.dimensions), "--indexed"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        # the first answer comes when the lists are there and nothing is left to make
        self.round()
        os.sched_setaffinity(self.process.pid, {args.core})

    def round(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        report = json.loads(self.process.stdout.readline())
        self.made, self.size = report["built_s"], report["bytes"]
        return [f[:10] for f in report["found"]], report["nearest_ms"]


class Peer:
    """An index in this process, with the least expansion that reaches the recall."""

    def __init__(self, make, ask, set_expansion, probes, recall):
        before, start = resident(), time.perf_counter()
        self.index = make()
        self.made, self.size = time.perf_counter() - start, resident() - before
        self.ask, self.probes = ask, probes
        for self.expansion in (16, 24, 32, 40, 48, 56, 64, 96, 128, 192, 256, 384, 512):
            set_expansion(self.index, self.expansion)
            if recall(self.round()[0]) >= 0.98:
                break

    def round(self):
        times, found = [], []
        for probe in self.probes:
            start = time.perf_counter()
            keys = self.ask(self.index, probe)
            times.append(1e3 * (time.perf_counter() - start))
            found.append([int(k) for k in keys])
        return found, times


def indexed(args):
    import hnswlib
    from usearch.index import Index

    path = program()
    rows, probes = few_dimensions(args.rows, args.queries, args.dimensions, np.random.default_rng(1))
    exact = faiss.IndexFlatIP(args.dimensions)
    exact.add(rows)
    _, truth = exact.search(probes, 10)
    del exact
    recall = lambda found: np.mean([len(set(f) & set(t)) / 10 for f, t in zip(found, truth.tolist())])

    def of_usearch():
        index = Index(ndim=args.dimensions, metric="ip", connectivity=16, expansion_add=128)
        index.add(np.arange(len(rows), dtype=np.uint64), rows, threads=os.cpu_count())
        return index

    def of_hnswlib():
        index = hnswlib.Index("ip", args.dimensions)
        index.init_index(len(rows), M=16, ef_construction=128)
        index.add_items(rows, num_threads=os.cpu_count())
        index.set_num_threads(1)
        return index

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        rows.tofile(folder / "rows")
        probes.tofile(folder / "probes")
        mine = Ours(path, folder, args)
    peers = {
        "sitewarden, rows and lists": mine,
        "usearch (Python), its own number format": Peer(
            of_usearch, lambda index, probe: index.search(probe, 10, threads=1).keys,
            lambda index, n: setattr(index, "expansion_search", n), probes, recall),
        "hnswlib (Python)": Peer(
            of_hnswlib, lambda index, probe: index.knn_query(probe[None], k=10)[0][0],
            lambda index, n: index.set_ef(n), probes, recall),
    }
    os.sched_setaffinity(0, {args.core})
    found, times = {}, {name: [] for name in peers}
    for _ in range(args.rounds):
        for name, peer in peers.items():
            found[name], taken = peer.round()
            times[name] += taken
    mine.process.stdin.close()
    mine.process.wait()
    print(f"{args.rows:,} x {args.dimensions}, ten nearest, {args.queries} queries one by one on one core, "
          f"{args.rounds} rounds in turn; a second: by the median\n")
    print("| | expansion | recall@10 | queries a second | p95 ms | made in s | MiB |\n|---|--:|--:|--:|--:|--:|--:|")
    for name, peer in peers.items():
        print(f"| {name} | {getattr(peer, 'expansion', 'its own')} | {recall(found[name]):.4f} "
              f"| {1e3 / statistics.median(times[name]):.0f} | {np.quantile(times[name], 0.95):.2f} "
              f"| {peer.made:.0f} | {peer.size / 2**20:.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--indexed", action="store_true", help="approximate search, beside usearch and hnswlib")
    args = parser.parse_args()
    if args.indexed:
        return indexed(args)
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
