"""`sitewarden serve` under eight clients against `sitewarden scan --jobs` on the same 12-megapixel JPEGs, in one run.

Throughput: each client uploads one photo after the other and waits for its result; the clock runs from
the first byte sent to the last answer. Told twice: against the scan as it is run, and against its time less
that of a scan of one tiny photo, for the service has its model loaded already. Ratios within a round, the
median is what counts.

Latency: the same clients below saturation, at a share of the throughput just measured, the times
between their uploads drawn from an exponential distribution; 50th and 99th percentile of the time from
sending to result.
"""

import argparse
import http.client
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from scan_peers import make_photos, timed
from service import Service, form, say, unlike

CLIENTS = 8


class Line:
    """One client's connection, kept open."""

    def __init__(self, service, key):
        self.connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=120)
        self.key = key

    def upload(self, body, kind):
        """Seconds until the photo was judged."""
        start = time.perf_counter()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": kind}
        self.connection.request("POST", "/api/v1/photos?wait=60", body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        took = time.perf_counter() - start
        job = json.loads(text)
        if answer.status != 200 or any(p["state"] != "judged" for p in job["photos"]):
            sys.exit(f"{answer.status} {text.decode()[:500]}")
        return took


def all_at_once(service, key, bodies):
    """Seconds from the first upload to the last result."""
    left, lock = iter(bodies), threading.Lock()

    def client():
        line = Line(service, key)
        while True:
            with lock:
                body = next(left, None)
            if body is None:
                return
            line.upload(*body)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


def paced(service, key, site, jpegs, rate, number):
    """Seconds of each of `number` uploads at `rate` a second over all clients."""
    took, lock, counter = [], threading.Lock(), iter(range(number))

    def client(seed):
        rng = random.Random(seed)
        line = Line(service, key)
        while True:
            time.sleep(rng.expovariate(rate / CLIENTS))
            with lock:
                n = next(counter, None)
            if n is None:
                return
            # the same photo twice would be one
            body = form(site, [(f"{n}.jpg", unlike(jpegs[n % len(jpegs)], n))])
            seconds = line.upload(*body)
            with lock:
                took.append(seconds)

    threads = [threading.Thread(target=client, args=[n]) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(took)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--load", type=float, default=0.5, help="share of the throughput for the latencies")
    parser.add_argument("--paced", type=int, default=300, help="uploads for the latencies")
    parser.add_argument("--sources", type=pathlib.Path, default=pathlib.Path(".cache/demo/photos"))
    args = parser.parse_args()
    sources = sorted(p for p in args.sources.rglob("*") if p.suffix in (".png", ".jpg"))
    paths = make_photos(pathlib.Path(".cache/bench/12mp"), args.photos, sources)
    jpegs = [pathlib.Path(p).read_bytes() for p in paths]
    jobs = str(os.cpu_count())
    scan = [args.program, "scan", "--format", "json", "--tiles", "off", "--jobs", jobs]
    size = sum(map(len, jpegs)) / len(jpegs) / 1e6
    say(f"{len(jpegs)} JPEGs of 4000 x 3000, {size:.1f} MB each, {jobs} jobs, {args.rounds} rounds, {CLIENTS} clients")
    ratios, whole, rates = [], [], []
    for round_ in range(args.rounds + 1):
        beginning = min(timed([*scan, "tests/data/astronaut.jpg"])[0] for _ in range(3))
        scanned = timed([*scan, *paths])[0]
        with tempfile.TemporaryDirectory() as data:
            service = Service(args.program, data, options=["--jobs", jobs])
            service.begin()
            site, key = service.site_and_key()
            service.ready()
            bodies = [form(site, [(pathlib.Path(p).name, jpeg)]) for p, jpeg in zip(paths, jpegs)]
            served = all_at_once(service, key, bodies)
            del bodies
            last = round_ == args.rounds
            if last:
                rate = args.load * statistics.median([*rates, len(jpegs) / served])
                took = paced(service, key, site, jpegs, rate, args.paced)
            service.end()
        if round_ == 0:  # warms the file cache
            continue
        net = scanned - beginning
        ratios.append(net / served)
        whole.append(scanned / served)
        rates.append(len(jpegs) / served)
        say(f"scan {scanned:.2f} s, of which {beginning:.2f} s to begin; served {served:.2f} s: "
            f"{net / served:.3f} x its throughput ({scanned / served:.3f} x with the beginning)")
    say(f"throughput: {statistics.median(rates):.1f} photos a second, {statistics.median(whole):.3f} x that of scan "
        f"(aim 0.9), {statistics.median(ratios):.3f} x that of a scan that had begun")
    at = lambda share: took[min(len(took) - 1, int(share * len(took)))]
    say(f"latency at {rate:.1f} photos a second, {len(took)} uploads: median {at(0.5) * 1e3:.0f} ms, "
        f"p95 {at(0.95) * 1e3:.0f} ms, p99 {at(0.99) * 1e3:.0f} ms: {at(0.99) / at(0.5):.2f} x the median (aim 3)")


if __name__ == "__main__":
    main()
