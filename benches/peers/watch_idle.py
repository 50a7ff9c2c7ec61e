"""CPU of an idle 1080p25 camera: sitewarden against ffmpeg's own full decode of the same stream.

Makes a clip of a still scene with a sensor's noise, sends it by RTSP (see tests/rtsp/server.py for the
packages), and reads the processors' time of each process tree over the same window, after sitewarden has
gone over to key frames. Also the time from opening the source to its first frame.
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
TICKS = os.sysconf("SC_CLK_TCK")


def run(*words, **more):
    return subprocess.run(words, check=True, **more)


def clip(folder, seconds):
    still = folder / "still.png"
    scene = "mandelbrot=size=1920x1080:start_scale=0.4:end_scale=0.4"
    run("ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", scene, "-frames:v", "1", still)
    short, path = folder / "short.mp4", folder / "idle.mp4"
    # 10 s are enough to encode; the rest is the same again
    run("ffmpeg", "-nostdin", "-v", "error", "-loop", "1", "-r", "25", "-i", still, "-t", "10",
        "-vf", "noise=alls=4:allf=t", "-c:v", "libx264", "-preset", "veryfast", "-b:v", "4M",
        "-g", "50", "-bf", "0", "-pix_fmt", "yuv420p", short)
    run("ffmpeg", "-nostdin", "-v", "error", "-stream_loop", str(seconds // 10), "-i", short,
        "-c", "copy", path)
    return path


def tree(pid):
    """A process and its living children."""
    found = [pid]
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(") ", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(entry.parent.name))
    return found


def cpu_s(processes):
    total = 0
    for one in processes:
        fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(") ", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def measure(process, settle_s, window_s):
    """Shares of a core: of the process and its children, and of the children alone."""
    time.sleep(settle_s)
    whole = tree(process.pid)
    before, since = [cpu_s(whole), cpu_s(whole[1:])], time.monotonic()
    time.sleep(window_s)
    took = time.monotonic() - since
    return [(cpu_s(p) - b) / took for p, b in zip((whole, whole[1:]), before)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=ROOT / "target/release/sitewarden")
    parser.add_argument("--window", type=float, default=30)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = clip(pathlib.Path(folder), int(150 + 2 * args.window))
        server = subprocess.Popen(["/usr/bin/python3", ROOT / "tests/rtsp/server.py", video],
                                  stdout=subprocess.PIPE, text=True)
        try:
            port = server.stdout.readline().strip() or sys.exit("the RTSP server does not start")
            url = f"rtsp://127.0.0.1:{port}/cam"
            full = subprocess.Popen(["ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp",
                                     "-threads", "1", "-i", url, "-f", "null", "-"])
            decode, _ = measure(full, 5, args.window)
            full.terminate()
            watch = subprocess.Popen([args.program, "watch", url, "--format", "jsonl"],
                                     stdout=subprocess.PIPE, text=True, cwd=ROOT)
            states = {}

            def read():
                for line in watch.stdout:
                    states.setdefault(json.loads(line).get("state"), time.monotonic())

            threading.Thread(target=read, daemon=True).start()
            idle, child = measure(watch, 45, args.window)
            watch.terminate()
            watch.wait()
        finally:
            server.kill()
    first = states.get("live", float("nan")) - states.get("connecting", float("nan"))
    print(f"full decode by ffmpeg   {100 * decode:6.1f} % of a core")
    print(f"sitewarden, idle        {100 * idle:6.1f} % of a core, its child {100 * child:.1f} %")
    print(f"ratio                   {idle / decode:6.2f}")
    print(f"first frame after       {first:6.2f} s")


if __name__ == "__main__":
    main()
