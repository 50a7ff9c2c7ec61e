"""Fills the disk under `sitewarden serve` to the last byte and makes room again.

New work must be refused with 507 and a next step, what was accepted must outlive it all (a SIGKILL and
a start on the full disk too), and the work must go on by itself once there is room.

    python3 benches/full_disk.py --program target/release/sitewarden

The disk is a small tmpfs in a mount namespace of its own: needs Linux with `unshare`, as root or where
users may make namespaces. Needs Python 3.11 and nothing else; loopback only.
"""

import argparse
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from service import CONFIG, Service, count, say, unlike

MIB = 1 << 20


def in_own_namespace():
    """Starts this again where it may mount: nobody else sees it, and it is gone with the process."""
    if os.environ.get("SITEWARDEN_OWN_MOUNTS"):
        return
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    os.environ["SITEWARDEN_OWN_MOUNTS"] = "1"
    os.execvp("unshare", ["unshare", *as_root, "--mount", sys.executable, *sys.argv])


class Check:
    """What is wrong so far."""

    def __init__(self):
        self.wrong = []

    def that(self, holds, text):
        say(f"{'ok   ' if holds else 'WRONG'} {text}")
        if not holds:
            self.wrong.append(text)

    def refused(self, answer, what):
        status, text = answer
        problem = json.loads(text) if status >= 400 else {}
        self.that(
            status == 507 and problem.get("type") == "/docs#problem-disk-full" and problem.get("next"),
            f"{what}: {status} {problem.get('detail', text[:200])}")


class Sender:
    """Sends photos, each unlike the others, and remembers what was accepted."""

    def __init__(self, service, site, key, jpeg):
        self.service, self.site, self.key, self.jpeg = service, site, key, jpeg
        self.sent, self.accepted = 0, []

    def send(self, photos=1, query=""):
        batch = []
        for _ in range(photos):
            self.sent += 1
            batch.append((f"{self.sent}.jpg", unlike(self.jpeg, self.sent)))
        status, text = self.service.upload(self.key, self.site, batch, query)
        if status in (200, 202):
            for (_, jpeg), photo in zip(batch, json.loads(text)["photos"]):
                self.accepted.append((hashlib.sha256(jpeg).hexdigest(), photo["id"]))
        return status, text

    def until_refused(self):
        while True:
            status, text = self.send()
            if status not in (200, 202, 429):
                return status, text
            if status == 429:
                time.sleep(0.2)


def fill(path):
    """Every byte that is left."""
    with open(path, "ab", buffering=0) as file:
        for piece in (MIB, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * piece)
            except OSError:
                pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--photo", default="tests/data/astronaut.jpg")
    parser.add_argument("--disk", type=int, default=32, help="MiB")
    args = parser.parse_args()
    in_own_namespace()
    check = Check()
    with tempfile.TemporaryDirectory() as disk:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={args.disk}m", "tmpfs", disk], check=True)
        try:
            drive(args, pathlib.Path(disk), check)
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)
    say(f"{len(check.wrong)} wrong")
    sys.exit(1 if check.wrong else 0)


def drive(args, disk, check):
    data, ballast = disk / "data", disk / "ballast"
    data.mkdir()
    jpeg = pathlib.Path(args.photo).read_bytes()
    reserve = f"{CONFIG}\n[evidence]\nmin_free_bytes = {args.disk * MIB // 3}\n"
    service = Service(args.program, data, reserve)
    service.begin()
    admin = service.key
    site, key = service.site_and_key()
    service.ready()
    sender = Sender(service, site, key, jpeg)
    place = f"/api/v1/sites/{site}/points"
    point = {"name": "Gate", "zone": "dock"}

    say("-- the disk runs into its reserve")
    check.refused(sender.until_refused(), f"a photo after {len(sender.accepted)} accepted ones")
    status, _ = service.call("POST", place, point)
    check.that(status == 201, f"the ledger still writes: {status}")
    service.judged()
    check.that(service.end() == 0, "it ends as asked")

    say("-- without a reserve, to the last byte, with photos in hand")
    service.config = f"{CONFIG}\n[evidence]\nmin_free_bytes = 0\n"
    service.begin()
    service.key = admin
    service.ready()
    before = len(sender.accepted)
    sender.send(8)
    fill(ballast)
    check.that(len(sender.accepted) == before + 8, "eight photos were accepted before the end")
    check.refused(sender.until_refused(), "a photo")
    status, text = 201, b""
    for _ in range(1000):  # the log of the database may have room for some
        status, text = service.call("POST", place, point)
        if status != 201:
            break
    check.refused((status, text), "a change of the register")
    for path in ("/api/v1/photos", "/api/v1/findings", place, "/healthz"):
        status, _ = service.call("GET", path)
        check.that(status == 200, f"GET {path}: {status}")
    waiting = [p for p in service.pages("/api/v1/photos") if p["state"] in ("queued", "working")]
    say(f"     {len(waiting)} photos wait")

    say("-- a SIGKILL, and a start on the full disk")
    service.kill()
    started = service.start()
    service.key = admin
    if started:
        time.sleep(3)
        status, text = service.call("GET", "/readyz")
        check.that(status in (200, 503), f"started, /readyz: {status} {text.decode()[:200]}")
    else:
        said = "".join(service.said)
        check.that("full" in said, f"it does not start and says: {said.strip()[:300]}")

    say("-- room again")
    ballast.unlink()
    if not started:
        service.begin()
        service.key = admin
    service.ready()
    status, _ = sender.send(query="?wait=60")
    check.that(status == 200, f"a photo: {status}")
    status, _ = service.call("POST", place, point)
    check.that(status == 201, f"a change of the register: {status}")
    service.judged()
    photos, wrong = count(service, sender.accepted)
    for text in wrong[:20]:
        check.that(False, text)
    check.that(not wrong, f"{len(sender.accepted)} photos accepted, {len(photos)} there, each with its effect once")
    check.that(service.end() == 0, "it ends as asked")
    checked = subprocess.run([args.program, "ledger", "check", "--data", data], capture_output=True, text=True)
    check.that(checked.returncode == 0, f"ledger check: {checked.stdout.strip()}")


if __name__ == "__main__":
    main()
