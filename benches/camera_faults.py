"""The cameras of `sitewarden serve` through what happens to cameras: a soak with faults over real RTSP.

Of each fault there are some cameras, all at once, for the time given: the server killed and started again,
the picture frozen, the line slow, bytes turned into others, the ffmpeg child killed; and some that nothing
happens to. All show one person without a vest. Afterwards every camera must be live, have that one
finding once, with its picture, and file the next one: a second person shown at another place. Memory, child
processes and open files must be level.

    python3 benches/camera_faults.py --program target/release/sitewarden --minutes 10

Two hours of cameras are 12 cameras for 10 minutes. Needs Python 3.11, ffmpeg and the packages of
tests/rtsp/server.py; loopback only.
"""

import argparse
import os
import pathlib
import random
import signal
import statistics
import sys
import tempfile
import threading
import time

from service import CONFIG, Service, say
from streams import Link, Server, arguments, children, ffmpeg, longer, resident_mib

HAZARD = "PPE-02"
FAULTS = ("none", "server killed", "frozen", "slow", "garbage", "child killed")


def scene(folder, name, left):
    """A person without a vest on the left or on the right of a wall, before a sensor's noise."""
    short = folder / f"{name}-short.mp4"
    pad = f"scale=360:360,pad=800:400:{20 if left else 420}:40:0x808080,noise=alls=4:allf=t"
    ffmpeg("-loop", "1", "-r", "10", "-i", "tests/data/astronaut.jpg", "-t", "20", "-vf", pad, "-c:v", "libx264",
           "-preset", "ultrafast", "-g", "10", "-bf", "0", "-pix_fmt", "yuv420p", "-threads", "1", "-y", short)
    return longer(short, folder / f"{name}.mp4", 20, 3600)


class Camera:
    def __init__(self, number, fault, clip):
        self.name, self.fault = f"c{number}", fault
        self.server = Server(clip)
        self.link = Link(self.server)
        self.id, self.done = None, 0

    def disturb(self, service, ends, times):
        """Its fault, again and again: `times` in all where the server is killed."""
        pause = (ends - time.monotonic()) / (times + 1)
        while (left := ends - time.monotonic()) > 0:
            match self.fault:
                case "none":
                    return
                case "server killed":
                    if self.done == times:
                        return
                    time.sleep(pause * random.uniform(0.5, 0.9))
                    self.server.kill()
                    time.sleep(random.uniform(0, min(8, 0.3 * pause)))
                    self.server.start()
                case "child killed":
                    time.sleep(min(left, random.uniform(5, 20)))
                    for child in children(service.process.pid):
                        if self.id in arguments(child):
                            os.kill(child, signal.SIGKILL)
                case mode:
                    time.sleep(min(left, random.uniform(5, 20)))
                    self.link.mode = mode
                    time.sleep(random.uniform(3, 25))
                    self.link.mode = "whole"
            self.done += 1


class Watcher(threading.Thread):
    """What the service takes, every five seconds."""

    def __init__(self, service):
        super().__init__(daemon=True)
        self.pid, self.stop, self.samples = service.process.pid, threading.Event(), []

    def run(self):
        while not self.stop.wait(5):
            files = len(os.listdir(f"/proc/{self.pid}/fd"))
            self.samples.append((resident_mib(self.pid), len(children(self.pid)), files))

    def quarter(self, n, what):
        size = max(1, len(self.samples) // 4)
        return statistics.median(s[what] for s in self.samples[n * size:][:size])


def inspector(service):
    enterprise = service.json("POST", "/api/v1/enterprises", {
        "credit_code": "91440300708461136T", "name": "Harness Ltd", "industry": "warehousing"})
    site = service.json("POST", f"/api/v1/enterprises/{enterprise['id']}/sites", {
        "name": "Hall 1", "address": "1 Dock Road", "time_zone": "Asia/Shanghai"})
    account = service.json("POST", "/api/v1/accounts", {"login": "li.wei", "roles": ["inspector"]})
    service.key = service.json("POST", f"/api/v1/accounts/{account['id']}/keys", {"label": "harness"})["key"]
    return site["id"]


def until(seconds, holds):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if holds():
            return True
        time.sleep(1)
    return holds()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--cameras", type=int, default=12)
    parser.add_argument("--kills", type=int, default=20, help="of each server that is killed")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()
    say(f"seed {args.seed}")
    random.seed(args.seed)
    wrong = []

    def check(holds, text):
        say(f"{'ok   ' if holds else 'WRONG'} {text}")
        if not holds:
            wrong.append(text)

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        clips = [scene(folder, "left", True), scene(folder, "right", False)]
        cameras = [Camera(i, FAULTS[i % len(FAULTS)], clips[0]) for i in range(args.cameras)]
        sources = "".join(f'\n[cameras.{c.name}]\naddress = "{c.link.url}"\n' for c in cameras)
        service = Service(args.program, folder / "data", CONFIG + sources)
        service.begin()
        try:
            service.ready()
            site = inspector(service)
            for camera in cameras:
                camera.id = service.json("POST", f"/api/v1/sites/{site}/cameras", {
                    "name": f"{camera.name}: {camera.fault}", "source": camera.name})["id"]

            def status(camera):
                return service.json("GET", f"/api/v1/cameras/{camera.id}")["status"]

            def live():
                return [c for c in cameras if (s := status(c))["state"] == "live" and s["frame_age_s"] < 10]

            def filed(camera):
                """Findings of a camera by code."""
                codes = {}
                for finding in service.pages(f"/api/v1/findings?site={site}"):
                    if finding["camera_id"] == camera.id:
                        codes.setdefault(finding["hazard_code"], []).append(finding)
                return codes

            def heads(n):
                return [c for c in cameras if len(filed(c).get(HAZARD, [])) == n]

            check(until(120, lambda: len(heads(1)) == len(cameras)), "each camera has its finding before any fault")
            say(f"faults for {args.minutes:g} minutes on {len(cameras)} cameras")
            watcher = Watcher(service)
            watcher.start()
            ends = time.monotonic() + 60 * args.minutes
            disturbing = [threading.Thread(target=c.disturb, args=(service, ends, args.kills)) for c in cameras]
            for thread in disturbing:
                thread.start()
            for thread in disturbing:
                thread.join()
            time.sleep(max(0, ends - time.monotonic()))
            watcher.stop.set()
            check(until(180, lambda: len(live()) == len(cameras)), "every camera is live afterwards")
            for camera in cameras:
                s = status(camera)
                codes = {code: len(found) for code, found in filed(camera).items()}
                say(f"      {camera.name:4} {camera.fault:14} {camera.done:3} times, {s['state']}, {s['frames']} frames, "
                    f"{s['dropped']} dropped, {s['damaged']} damaged, opened again {s['restarts']} times, findings {codes}")
                check(codes.get(HAZARD) == 1, f"{camera.name}: one finding of the person, neither lost nor doubled")
                false = [code for code in codes if code != HAZARD and not code.startswith("CAM-")]
                check(not false, f"{camera.name}: no finding of what is not there {false or ''}")
                for finding in filed(camera).get(HAZARD, []):
                    pictures = [e for e in service.pages(f"/api/v1/evidence?finding={finding['id']}")
                                if e["role"] == "origin"]
                    check(pictures, f"{camera.name}: the finding has its picture")
            for what, name, slack in ((0, "resident MiB", 24), (1, "children", 4), (2, "open files", 24)):
                early, late = watcher.quarter(1, what), watcher.quarter(3, what)
                check(late <= 1.1 * early + slack,
                      f"{name}: {early:.0f} in the second quarter of the time, {late:.0f} in the last")
            for camera in cameras:
                camera.server.clip = clips[1]
                camera.server.kill()
                camera.server.start()
            check(until(180, lambda: len(heads(2)) == len(cameras)), "each camera files what appears after the faults")
            time.sleep(20)
            check(len(heads(2)) == len(cameras), "and files it once")
            check(until(60, lambda: len(children(service.process.pid)) == len(cameras)), "one child for each camera")
            check(service.end() == 0, "the service ends in order")
        finally:
            if service.process.poll() is None:
                service.process.kill()
            for camera in cameras:
                camera.server.kill()
    hours = len(cameras) * args.minutes / 60
    say(f"{hours:.1f} camera-hours, {sum(c.done for c in cameras)} faults, {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
