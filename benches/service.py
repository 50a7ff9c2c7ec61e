"""`sitewarden serve` as a child, and how to talk to it: for chaos.py, full_disk.py and the harness against peers.

Needs Python 3.11 and nothing else; loopback only.
"""

import hashlib
import http.client
import json
import pathlib
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid

# what is counted here must not run into the limit on requests
CONFIG = """
[serve]
requests_per_second = 100000
request_burst = 100000
"""


def say(text):
    print(text, flush=True)


def unlike(jpeg, number):
    """The same picture under another digest: a comment behind the start of the file."""
    note = f"number {number}".encode()
    return jpeg[:2] + b"\xff\xfe" + struct.pack(">H", len(note) + 2) + note + jpeg[2:]


def form(site, photos):
    """The body of an upload and its content type."""
    boundary = uuid.uuid4().hex
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="site"\r\n\r\n{site}\r\n'.encode()]
    for name, jpeg in photos:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="photo"; filename="{name}"\r\n\r\n'
        parts += [head.encode(), jpeg, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


class Service:
    """The program, over the data in one folder."""

    def __init__(self, program, data, config=CONFIG, options=()):
        self.program, self.data, self.config, self.options = program, data, config, options
        self.process = self.port = self.key = None
        self.said = []
        # not in the data folder, whose disk may be full
        self.folder = tempfile.TemporaryDirectory()

    def start(self):
        """False when it ended instead of listening; what it said is in `said`."""
        file = pathlib.Path(self.folder.name, "harness.toml")
        file.write_text(self.config)
        command = [self.program, "serve", "--listen", "127.0.0.1:0", "--data", self.data, "--config", file, *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.port, self.said = None, []
        # what it says must not fill the pipe
        threading.Thread(target=self.said.extend, args=[self.process.stderr], daemon=True).start()
        for line in self.process.stdout:
            if found := re.search(r"\bsw_[\w-]{40,}", line):
                self.key = found[0]
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                break
        if self.port is None:
            self.process.wait()
            return False
        threading.Thread(target=lambda: [None for _ in self.process.stdout], daemon=True).start()
        return True

    def begin(self):
        if not self.start():
            sys.exit(f"the service did not start: {''.join(self.said)}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self):
        """The exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

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

    def upload(self, key, site, photos, query=""):
        body, kind = form(site, photos)
        return self.call("POST", f"/api/v1/photos{query}", body, {"Content-Type": kind}, key)

    def ready(self):
        until = time.monotonic() + 120
        while time.monotonic() < until:
            status, text = self.call("GET", "/readyz")
            if status == 200:
                return
            time.sleep(0.1)
        said = "".join(self.said[-20:])
        sys.exit(f"not ready after two minutes: {text.decode()}\n{said}")

    def site_and_key(self):
        """A site of a new enterprise, and the key of a machine that may send photos of it."""
        enterprise = self.json("POST", "/api/v1/enterprises", {
            "credit_code": "91440300708461136T", "name": "Harness Ltd", "industry": "warehousing"})
        site = self.json("POST", f"/api/v1/enterprises/{enterprise['id']}/sites", {
            "name": "Hall 1", "address": "1 Dock Road", "time_zone": "Asia/Shanghai"})
        account = self.json("POST", "/api/v1/accounts", {
            "login": "gate", "roles": ["ingest"], "enterprises": [enterprise["id"]]})
        key = self.json("POST", f"/api/v1/accounts/{account['id']}/keys", {"label": "harness"})["key"]
        return site["id"], key

    def pages(self, path):
        cursor = ""
        while True:
            page = self.json("GET", f"{path}{'&' if '?' in path else '?'}limit=200{cursor}")
            yield from page["items"]
            if not page["next_cursor"]:
                return
            cursor = f"&cursor={page['next_cursor']}"

    def judged(self):
        """Waits until no photo waits."""
        while any(p["state"] in ("queued", "working") for p in self.pages("/api/v1/photos")):
            time.sleep(0.5)


def count(service, accepted):
    """Holds what is there against the accepted (digest, photo id); gives the photos and what is wrong."""
    wrong = []
    photos = list(service.pages("/api/v1/photos"))
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
    for finding in service.pages("/api/v1/findings"):
        for occurrence in service.pages(f"/api/v1/findings/{finding['id']}/occurrences"):
            filed.setdefault(occurrence["photo_sha256"], []).append(finding["hazard_code"])
    for digest, codes in expected.items():
        if sorted(filed.get(digest, [])) != codes:
            wrong.append(f"photo {digest} proposed {codes} and is filed as {filed.get(digest)}")
    return photos, wrong
