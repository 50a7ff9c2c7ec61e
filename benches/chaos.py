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
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid


# the count at the end must not run into the limit on requests
CONFIG = """
[serve]
requests_per_second = 100000
request_burst = 100000
"""


def say(text):
    print(text, flush=True)


def unlike(jpeg, number):
    """The same picture under another digest: a comment behind the start of the file."""
    note = f"chaos {number}".encode()
    return jpeg[:2] + b"\xff\xfe" + struct.pack(">H", len(note) + 2) + note + jpeg[2:]


class Service:
    """The program, and how to talk to it."""

    def __init__(self, args, data):
        self.args, self.data = args, data
        self.process = None
        self.port = None
        self.key = None

    def start(self):
        config = pathlib.Path(self.data, "chaos.toml")
        config.write_text(CONFIG)
        command = [self.args.program, "serve", "--listen", "127.0.0.1:0", "--data", self.data, "--config", config]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.port = None
        for line in self.process.stdout:
            if found := re.search(r"\bsw_[\w-]{40,}", line):
                self.key = found[0]
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                break
        if self.port is None:
            sys.exit(f"the service did not start: {self.process.stderr.read()}")
        # what it says later must not fill the pipes
        for pipe in (self.process.stdout, self.process.stderr):
            threading.Thread(target=lambda p=pipe: [None for _ in p], daemon=True).start()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def call(self, method, path, body=None, headers=None, key=None, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            headers = {"Authorization": f"Bearer {key or self.key}", **(headers or {})}
            if isinstance(body, dict):
                body = json.dumps(body)
                headers["Content-Type"] = "application/json"
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def json(self, method, path, body=None, **more):
        status, text = self.call(method, path, body, **more)
        if status >= 300:
            sys.exit(f"{method} {path}: {status} {text.decode(errors='replace')}")
        return json.loads(text)

    def ready(self):
        until = time.monotonic() + 120
        while time.monotonic() < until:
            status, text = self.call("GET", "/readyz")
            if status == 200:
                return
            time.sleep(0.1)
        sys.exit(f"not ready after two minutes: {text.decode()}")


def form(site, photos):
    boundary = uuid.uuid4().hex
    body = f'--{boundary}\r\nContent-Disposition: form-data; name="site"\r\n\r\n{site}\r\n'.encode()
    for name, jpeg in photos:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="photo"; filename="{name}"\r\n\r\n'
        body += head.encode() + jpeg + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


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


def pages(service, path):
    cursor = ""
    while True:
        page = service.json("GET", f"{path}{'&' if '?' in path else '?'}limit=200{cursor}")
        yield from page["items"]
        if not page["next_cursor"]:
            return
        cursor = f"&cursor={page['next_cursor']}"


def count(service, accepted, faults):
    """Holds what is there against what was accepted; gives what is wrong."""
    wrong = [f"an answer of {status}: {text}" for status, text in faults]
    photos = list(pages(service, "/api/v1/photos"))
    by_digest = {}
    for photo in photos:
        by_digest.setdefault(photo["sha256"], []).append(photo)
    for digest, same in by_digest.items():
        if len(same) > 1:
            wrong.append(f"photo {digest} is there {len(same)} times")
    for digest, photo_id in accepted:
        found = by_digest.get(digest)
        if not found:
            wrong.append(f"photo {digest} was accepted and is lost")
        elif found[0]["id"] != photo_id:
            wrong.append(f"photo {digest} has another id than was answered")
        elif found[0]["state"] != "judged":
            wrong.append(f"photo {digest} is {found[0]['state']}: {found[0]['result']}")
    expected = {}
    for photo in photos:
        status, original = service.call("GET", f"/api/v1/photos/{photo['id']}/original")
        if status != 200 or hashlib.sha256(original).hexdigest() != photo["sha256"]:
            wrong.append(f"the original of {photo['id']} is not what was sent ({status})")
        codes = sorted(c["code"] for c in (photo["result"] or {}).get("candidates", []))
        expected[photo["sha256"]] = codes
    filed = {}
    for finding in pages(service, "/api/v1/findings"):
        for occurrence in pages(service, f"/api/v1/findings/{finding['id']}/occurrences"):
            filed.setdefault(occurrence["photo_sha256"], []).append(finding["hazard_code"])
    for digest, codes in expected.items():
        if sorted(filed.get(digest, [])) != codes:
            wrong.append(f"photo {digest} proposed {codes} and is filed as {filed.get(digest)}")
    return photos, wrong


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
        service = Service(args, data)
        service.start()
        admin = service.key
        enterprise = service.json("POST", "/api/v1/enterprises", {
            "credit_code": "91440300708461136T", "name": "Chaos Ltd", "industry": "warehousing"})
        site = service.json("POST", f"/api/v1/enterprises/{enterprise['id']}/sites", {
            "name": "Hall 1", "address": "1 Dock Road", "time_zone": "Asia/Shanghai"})
        account = service.json("POST", "/api/v1/accounts", {
            "login": "gate", "roles": ["ingest"], "enterprises": [enterprise["id"]]})
        key = service.json("POST", f"/api/v1/accounts/{account['id']}/keys", {"label": "chaos"})["key"]
        stop, numbers = threading.Event(), Numbers()
        clients = [Client(service, key, site["id"], pictures, numbers, stop) for _ in range(args.clients)]
        for client in clients:
            client.start()
        started = time.monotonic()
        for kill in range(1, args.kills + 1):
            time.sleep(random.uniform(0, args.longest))
            service.kill()
            service.start()
            if kill % 50 == 0 or kill == args.kills:
                accepted = sum(len(c.accepted) for c in clients)
                say(f"{kill} kills, {accepted} photos accepted, {time.monotonic() - started:.0f} s")
        stop.set()
        for client in clients:
            client.join(120)
        service.key = admin
        service.ready()
        while any(p["state"] in ("queued", "working") for p in pages(service, "/api/v1/photos")):
            time.sleep(0.5)
        accepted = [pair for c in clients for pair in c.accepted]
        faults = [fault for c in clients for fault in c.faults]
        photos, wrong = count(service, accepted, faults)
        service.process.send_signal(signal.SIGTERM)
        ended = service.process.wait(60)
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
