"""Ends the service without warning while clients add samples to its bank and ask it.

Each client adds parts of a photo, under an `Idempotency-Key` that it keeps when the answer does not come, searches for
what it has added, takes some away again and undoes that. A sample that was added has to be there once, one that was
taken away not at all; a search has to find what its client added before, as near as can be. At the end
`sitewarden ledger check` must find rows, originals, embeddings and index in agreement, and the bank out of its index
must answer as the bank out of its rows.

    python3 benches/bank_chaos.py --program target/release/sitewarden --operations 1000

Needs Python 3.11 and nothing else; loopback only.
"""

import argparse
import http.client
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time
import uuid

from service import Service, say

CODE = "EQP-02"
TRIES_S = 120


def form(photo, **fields):
    boundary = uuid.uuid4().hex
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in fields.items()]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'.encode())
    parts += [photo, f"\r\n--{boundary}--\r\n".encode()]
    return b"".join(parts), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


class Client(threading.Thread):
    """Works until enough was done by all."""

    def __init__(self, service, key, site, photo, done, seed):
        super().__init__(daemon=True)
        self.service, self.key, self.site, self.photo, self.done = service, key, site, photo, done
        self.random = random.Random(seed)
        self.alive = {}   # sample -> area, as answered
        self.gone = set()
        self.wrong = []
        self.counts = {"add": 0, "search": 0, "remove": 0, "undo": 0, "again": 0}

    def insist(self, method, path, body, headers):
        """The answer; asked again while the service is away or not ready."""
        until = time.monotonic() + TRIES_S
        while time.monotonic() < until:
            try:
                status, text = self.service.call(method, path, body, dict(headers), self.key)
            except (OSError, http.client.HTTPException):
                self.counts["again"] += 1
                time.sleep(0.05)
                continue
            if status in (429, 503):
                time.sleep(0.1)
                continue
            return status, json.loads(text)
        self.wrong.append(f"{method} {path} had no answer in {TRIES_S} s")
        return 0, {}

    def one(self, kind, method, path, body=None, headers=()):
        status, answer = self.insist(method, path, body, dict(headers))
        if status not in (200, 201):
            self.wrong.append(f"{kind}: {status} {answer}")
            return None
        self.counts[kind] += 1
        return answer

    def area(self):
        x, y = self.random.uniform(0, 0.7), self.random.uniform(0, 0.7)
        side = self.random.uniform(0.1, 0.3)
        return ",".join(f"{v:.9f}" for v in (x, y, x + side, y + side))

    def add(self):
        area = self.area()
        role = self.random.choice(["positive", "negative"])
        body, headers = form(self.photo, role=role, code=CODE, site=self.site, area=area)
        headers["Idempotency-Key"] = str(uuid.uuid4())
        answer = self.one("add", "POST", "/api/v1/bank/samples", body, headers)
        if answer is None:
            return
        if len(answer["added"]) != 1:
            self.wrong.append(f"an area of its own gave {answer}")
        for sample in answer["added"]:
            self.alive[sample] = area

    def search(self):
        sample, area = self.random.choice(list(self.alive.items()))
        body, headers = form(self.photo, site=self.site, area=area)
        answer = self.one("search", "POST", "/api/v1/bank/search?nearest=50", body, headers)
        if answer is None:
            return
        found = {n["id"]: n["similarity"] for n in answer["positives"] + answer["negatives"]}
        if found.get(sample, 0) < 0.9999:
            self.wrong.append(f"sample {sample} was added and is not found: {found.get(sample)}")
        if self.gone & found.keys():
            self.wrong.append(f"{self.gone & found.keys()} were taken away and are found")

    def remove_and_undo(self):
        sample = self.random.choice(list(self.alive))
        path = f"/api/v1/bank/samples/{sample}"
        status, answer = self.insist("DELETE", path, None, {})
        if status != 200 and "taken away before" not in json.dumps(answer):
            self.wrong.append(f"remove: {status} {answer}")
            return
        self.counts["remove"] += 1
        # an answer that was lost does not say which version it was
        if status == 200 and self.random.random() < 0.5:
            headers = {"Idempotency-Key": str(uuid.uuid4())}
            undone = self.one("undo", "POST", "/api/v1/bank/undo", {"version": answer["version"]}, headers)
            if undone and undone["added"] != [sample]:
                self.wrong.append(f"undoing {answer} gave {undone}")
        else:
            self.alive.pop(sample)
            self.gone.add(sample)

    def run(self):
        while not self.done():
            kind = self.random.random()
            if not self.alive or kind < 0.5:
                self.add()
            elif kind < 0.9:
                self.search()
            else:
                self.remove_and_undo()


def searched(service, key, site, photo, areas):
    """What searches answer, to the last bit."""
    answers = []
    for area in areas:
        body, headers = form(photo, site=site, area=area)
        while True:
            status, text = service.call("POST", "/api/v1/bank/search?nearest=20", body, headers, key)
            if status == 200:
                break
            if status not in (429, 503):
                sys.exit(f"search: {status} {text.decode(errors='replace')}")
            time.sleep(0.2)
        answers.append(json.loads(text))
    return answers


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--photo", default="tests/data/astronaut.jpg")
    parser.add_argument("--operations", type=int, default=1000, help="adds and searches that have to be answered")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--longest", type=float, default=3.0, help="seconds between start and kill, at most")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()
    say(f"seed {args.seed}")
    random.seed(args.seed)
    photo = pathlib.Path(args.photo).read_bytes()
    wrong = []
    with tempfile.TemporaryDirectory() as data:
        service = Service(args.program, data)
        service.begin()
        site, _ = service.site_and_key()
        account = service.json("POST", "/api/v1/accounts", {"login": "li.wei", "roles": ["inspector"]})
        key = service.json("POST", f"/api/v1/accounts/{account['id']}/keys", {"label": "harness"})["key"]
        clients = []
        answered = lambda: sum(c.counts["add"] + c.counts["search"] for c in clients)
        done = lambda: answered() >= args.operations
        clients += [Client(service, key, site, photo, done, args.seed + n) for n in range(args.clients)]
        for client in clients:
            client.start()
        started, kills = time.monotonic(), 0
        while not done() and any(c.is_alive() for c in clients):
            if random.random() < 0.3:
                # lives too short to answer anything must not follow one another for ever
                before, until = answered(), time.monotonic() + TRIES_S / 4
                while answered() == before and time.monotonic() < until:
                    time.sleep(0.05)
            time.sleep(random.uniform(0, args.longest))
            service.kill()
            kills += 1
            service.begin()
            if kills % 20 == 0:
                say(f"{kills} kills, {answered()} adds and searches, {time.monotonic() - started:.0f} s")
        for client in clients:
            client.join(TRIES_S)
            wrong += client.wrong
        alive = {sample for c in clients for sample in c.alive}
        gone = {sample for c in clients for sample in c.gone}
        listed = [s["id"] for s in service.pages("/api/v1/bank/samples")]
        if sorted(listed) != sorted(alive):
            wrong.append(f"{len(alive)} samples should be alive, {len(listed)} are listed: "
                         f"{sorted(alive ^ set(listed))[:5]}")
        if gone & set(listed):
            wrong.append(f"{len(gone & set(listed))} samples were taken away and are listed")
        service.kill()
        kills += 1

        def check(when):
            checked = subprocess.run([args.program, "ledger", "check", "--data", data],
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            say(f"{when}: ledger check: {checked.stdout.strip()}")
            if checked.returncode != 0:
                wrong.append(f"{when}: ledger check ended with {checked.returncode}")

        check("after the last kill")
        areas = [clients[0].area() for _ in range(10)]
        service.begin()
        service.ready()
        by_index = searched(service, key, site, photo, areas)
        if (ended := service.end()) != 0:
            wrong.append(f"the service ended with {ended} on SIGTERM")
        check("after a clean end")
        pathlib.Path(data, "bank.index").unlink(missing_ok=True)
        service.begin()
        service.ready()
        if searched(service, key, site, photo, areas) != by_index:
            wrong.append("the bank out of its rows answers otherwise than the bank out of its index")
        if by_index[0]["samples"] != len(alive):
            wrong.append(f"{by_index[0]['samples']} samples were asked of {len(alive)}")
        service.end()
        if strays := [p.name for p in pathlib.Path(data).iterdir() if p.name.startswith(".tmp")]:
            wrong.append(f"{len(strays)} files of writes that broke off were left behind")
        counts = {name: sum(c.counts[name] for c in clients) for name in clients[0].counts}
    if kills < 5:
        wrong.append("hardly a kill: the harness proves nothing")
    for line in wrong[:50]:
        say(f"WRONG: {line}")
    say(f"{kills} kills; answered: {counts['add']} adds, {counts['search']} searches, {counts['remove']} removals, "
        f"{counts['undo']} undone; {counts['again']} requests broken off and sent again; {len(alive)} samples at the "
        f"end; {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
