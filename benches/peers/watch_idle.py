"""What watching costs: sitewarden's idle cameras against a full decode and against a loop in Python.

Makes 1080p25 clips, of a still scene with a sensor's noise and of one in which people walk, and sends them
by RTSP (see tests/rtsp/server.py for the packages). Reads the processors' time of each process tree over the
same length of time:

1. one idle camera: ffmpeg's own full decode of it, a loop in Python that looks at every frame
   (python_watch.py), and sitewarden after it has gone over to key frames;
2. many cameras of `sitewarden serve`, one in ten of them with people: how many it takes until pictures are
   dropped or the busy ones are looked at less than 4.5 times a second (of 5). The servers run on the same
   processors; what they take is told, too.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benches"))
from camera_faults import inspector
from service import CONFIG, Service
from streams import Server, children, cpu_s, ffmpeg, longer, shares

ENCODE = ("-c:v", "libx264", "-preset", "veryfast", "-b:v", "4M", "-g", "50", "-bf", "0", "-pix_fmt", "yuv420p")
# of a busy camera: looked at this often a second, at the least
ENOUGH = 4.5


def still(folder, seconds):
    picture = folder / "still.png"
    scene = "mandelbrot=size=1920x1080:start_scale=0.4:end_scale=0.4"
    ffmpeg("-f", "lavfi", "-i", scene, "-frames:v", "1", picture)
    short = folder / "still-short.mp4"
    # 10 s are enough to encode; the rest is the same again
    ffmpeg("-loop", "1", "-r", "25", "-i", picture, "-t", "10", "-vf", "noise=alls=4:allf=t", *ENCODE, short)
    return longer(short, folder / "still.mp4", 10, seconds)


def busy(folder, clip, seconds):
    short = folder / "busy-short.mp4"
    ffmpeg("-i", clip, "-t", "40", "-vf", "fps=25,scale=1920:1080,noise=alls=4:allf=t", *ENCODE, short)
    return longer(short, folder / "busy.mp4", 40, seconds)


def one_camera(args, url):
    full = subprocess.Popen(["ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-threads", "1",
                             "-i", url, "-f", "null", "-"])
    decode, _ = shares(full.pid, 5, args.window)
    full.terminate()
    full.wait()
    loop = subprocess.Popen([sys.executable, ROOT / "benches/peers/python_watch.py", "--model", args.model, url],
                            stdout=subprocess.PIPE, text=True)
    python, _ = shares(loop.pid, 8, args.window)
    loop.terminate()
    seen = loop.communicate()[0].splitlines()[-1:] or ["nothing"]
    watch = subprocess.Popen([args.program, "watch", url, "--format", "jsonl"], stdout=subprocess.PIPE,
                             text=True, cwd=ROOT)
    states = {}

    def read():
        for line in watch.stdout:
            states.setdefault(json.loads(line).get("state"), time.monotonic())

    threading.Thread(target=read, daemon=True).start()
    idle, child = shares(watch.pid, 45, args.window)
    watch.terminate()
    watch.wait()
    first = states.get("live", float("nan")) - states.get("connecting", float("nan"))
    print(f"full decode by ffmpeg   {100 * decode:6.1f} % of a core")
    print(f"loop in Python          {100 * python:6.1f} % of a core, {seen[0]}")
    print(f"sitewarden, idle        {100 * idle:6.1f} % of a core, its child {100 * child:.1f} %")
    print(f"idle / full decode      {idle / decode:6.3f}")
    print(f"idle / loop in Python   {idle / python:6.3f}")
    print(f"first frame after       {first:6.2f} s", flush=True)


def many(args, tens, count):
    """Whether so many cameras are watched as they should be; prints what it took. Ten cameras share two servers."""
    names = [f"c{i}" for i in range(count)]
    servers = [server for ten in tens for server in ten]
    sources = "".join(f'\n[cameras.{n}]\naddress = "{tens[i // 10][i % 10 == 0].url}"\n' for i, n in enumerate(names))
    with tempfile.TemporaryDirectory() as data:
        service = Service(args.program, data, CONFIG + sources)
        service.begin()
        try:
            service.ready()
            site = inspector(service)
            ids = [service.json("POST", f"/api/v1/sites/{site}/cameras", {"name": n, "source": n})["id"] for n in names]

            def statuses():
                return [service.json("GET", f"/api/v1/cameras/{i}")["status"] for i in ids]

            # two for each core are awake at first, the next ones in turns of 25 s; they calm down after 20 s
            time.sleep(45 + count + 25 * ((count - 1) // (2 * os.cpu_count())))
            before, since = statuses(), time.monotonic()
            of = [service.process.pid, *children(service.process.pid)]
            theirs = [s.process.pid for s in servers]
            spent = [sum(map(cpu_s, pids)) for pids in (of, theirs)]
            time.sleep(args.window)
            after, took = statuses(), time.monotonic() - since
            spent = [(sum(map(cpu_s, pids)) - s) / took for pids, s in zip((of, theirs), spent)]
            # before the service ends: they may not survive that so many leave at once
            ended = any(server.process.poll() is not None for server in servers)
        finally:
            service.end()
    if ended:
        sys.exit(f"{count:4} cameras: an RTSP server has ended; how many cameras can be watched is not measured")
    lost = [a["dropped"] - b["dropped"] for a, b in zip(after, before)]
    dropped = sum(lost)
    at_first = sum(b["dropped"] for b in before)
    looked = [(a["frames"] - b["frames"] - d) / took for a, b, d in zip(after, before, lost)]
    awake = looked[::10]
    live = sum(a["state"] == "live" for a in after)
    idle = sum(a["idle"] for a in after)
    good = live == count and dropped == 0 and min(awake) >= ENOUGH
    print(f"{count:4} cameras: {live} live, {idle} idle, {dropped} pictures dropped ({at_first} before, while they "
          f"began), busy ones looked at "
          f"{min(awake):.1f} times a second or more; {100 * spent[0]:.0f} % of a core, the servers "
          f"{100 * spent[1]:.0f} %{'' if good else '  TOO MANY'}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=ROOT / "target/release/sitewarden")
    parser.add_argument("--model", default="models/site-nano")
    parser.add_argument("--people", default=ROOT / ".cache/demo/vtest.avi", help="a clip in which people walk")
    parser.add_argument("--window", type=float, default=30)
    parser.add_argument("--steps", type=int, nargs="*", default=[10, 20, 30, 40, 60, 80], help="numbers of cameras to try")
    args = parser.parse_args()
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        quiet, walked = still(folder, 3600), busy(folder, args.people, 3600)
        alone = Server(quiet)
        try:
            one_camera(args, alone.url)
        finally:
            alone.kill()
        sustained = 0
        for count in args.steps:
            # each client has a stream of its own: the servers end when many share one
            tens = [(Server(quiet), Server(walked)) for _ in range(-(-count // 10))]
            try:
                good = many(args, tens, count)
            finally:
                for server in (server for ten in tens for server in ten):
                    server.kill()
            if not good:
                break
            sustained = count
        if args.steps:
            print(f"sustained               {sustained:6} cameras, one in ten busy, on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
