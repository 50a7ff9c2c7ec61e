"""Ends `sitewarden serve` with SIGKILL at random points under load, again and again, then counts.

Every photo that was accepted (202 or 200 was received) must have its effect exactly once: it is
there once, it is judged, its original is what was sent, and it is one occurrence of each of its
candidates. A photo whose answer was cut off may be there or not.

    python3 benches/chaos.py --program target/release/sitewarden --kills 1000

Needs Python 3.11 and nothing else; loopback only.
"""

import argparse
import hashlib
import http.client
import json
import pathlib
import random
import sys
import tempfile
import threading
import time
import uuid

from service import Service, count, form, say, unlike


class Client(threading.Thread):
    """Uploads until told to stop. An upload that broke off is sent again under its own key."""

    def __init__(self, service, key, site, pictures, numbers, stop):
        super().__init__(daemon=True)
        self.service, self.key, self.site = service, key, site
        self.pictures, self.numbers, self.stop = pictures, numbers, stop
        self.accepted = []  # (digest, photo id)
        self.faults = []

    def run(self):
        while not self.stop.is_set():
            batch = []
            for _ in range(random.randint(1, 3)):
                number = next(self.numbers)
                batch.append((f"{number}.jpg", unlike(random.choice(self.pictures), number)))
            name = str(uuid.uuid4())
            while not self.stop.is_set():
                body, kind = form(self.site, batch)
                headers = {"Content-Type": kind, "Idempotency-Key": name}
                try:
                    status, text = self.service.call("POST", "/api/v1/photos", body, headers, self.key)
                except (OSError, http.client.HTTPException):
                    time.sleep(0.05)
                    continue
                if status in (200, 202):
                    for (_, jpeg), photo in zip(batch, json.loads(text)["photos"]):
                        self.accepted.append((hashlib.sha256(jpeg).hexdigest(), photo["id"]))
                    break
                if status >= 500 and status != 503:
                    self.faults.append((status, text.decode(errors="replace")))
                time.sleep(0.2)


class Numbers:
    """Counts for all clients."""

    def __init__(self):
        self.lock, self.n = threading.Lock(), 0

    def __next__(self):
        with self.lock:
            self.n += 1
            return self.n


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--photo", default="tests/data/astronaut.jpg")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--longest", type=float, default=2.0, help="seconds between start and kill, at most")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()
    say(f"seed {args.seed}")
    random.seed(args.seed)
    pictures = [pathlib.Path(args.photo).read_bytes()]
    with tempfile.TemporaryDirectory() as data:
        service = Service(args.program, data)
        service.begin()
        admin = service.key
        site, key = service.site_and_key()
        stop, numbers = threading.Event(), Numbers()
        clients = [Client(service, key, site, pictures, numbers, stop) for _ in range(args.clients)]
        for client in clients:
            client.start()
        started = time.monotonic()
        for kill in range(1, args.kills + 1):
            time.sleep(random.uniform(0, args.longest))
            service.kill()
            service.begin()
            if kill % 50 == 0 or kill == args.kills:
                accepted = sum(len(c.accepted) for c in clients)
                say(f"{kill} kills, {accepted} photos accepted, {time.monotonic() - started:.0f} s")
        stop.set()
        for client in clients:
            client.join(120)
        service.key = admin
        service.ready()
        service.judged()
        accepted = [pair for c in clients for pair in c.accepted]
        photos, wrong = count(service, accepted)
        wrong += [f"an answer of {status}: {text}" for c in clients for status, text in c.faults]
        ended = service.end()
        if ended != 0:
            wrong.append(f"the service ended with {ended} on SIGTERM")
    if not accepted:
        wrong.append("nothing was accepted: the harness proves nothing")
    for line in wrong[:50]:
        say(f"WRONG: {line}")
    say(f"{args.kills} kills: {len(accepted)} photos accepted, {len(photos)} there, {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
