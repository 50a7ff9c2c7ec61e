"""Cameras for the harnesses: clips, RTSP servers, a link that can be disturbed, and what processes cost.

Needs ffmpeg and what tests/rtsp/server.py needs; loopback only.
"""

import os
import pathlib
import random
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
TICKS = os.sysconf("SC_CLK_TCK")


def ffmpeg(*words):
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *map(str, words)], check=True)


def longer(short, path, seconds_of_short, seconds):
    """A clip again and again, without encoding."""
    ffmpeg("-stream_loop", int(seconds // seconds_of_short), "-i", short, "-c", "copy", "-y", path)
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """An RTSP server that sends a clip, on a port that stays its own over restarts."""

    def __init__(self, clip, *options):
        self.clip, self.options, self.port, self.process = clip, options, 0, None
        self.start()

    def start(self):
        # the port may still be taken by connections of the one before
        until = time.monotonic() + 60
        while time.monotonic() < until:
            self.process = subprocess.Popen(
                ["/usr/bin/python3", ROOT / "tests/rtsp/server.py", self.clip, "--port", str(self.port),
                 *self.options],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            port = self.process.stdout.readline().strip()
            if port.isdigit():
                self.port = int(port)
                return
            self.process.wait()
            time.sleep(0.2)
        sys.exit("the RTSP server does not start; see tests/rtsp/server.py for its packages")

    def kill(self):
        self.process.kill()
        self.process.wait()

    @property
    def url(self):
        return f"rtsp://127.0.0.1:{self.port}/cam"


class Link:
    """A TCP relay before a server that can be frozen, slow, or turn bytes into others."""

    def __init__(self, server):
        self.server, self.mode = server, "whole"
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"rtsp://127.0.0.1:{self.port}/cam"

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", self.server.port), 5)
            except OSError:
                client.close()
                continue
            for source, sink, disturbed in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass, args=(source, sink, disturbed), daemon=True).start()

    def _pass(self, source, sink, disturbed):
        try:
            while data := source.recv(4096):
                while disturbed and self.mode == "frozen":
                    time.sleep(0.1)
                if disturbed and self.mode == "slow":
                    time.sleep(len(data) / 4000)
                if disturbed and self.mode == "garbage":
                    data = bytearray(data)
                    for _ in range(1 + len(data) // 1000):
                        data[random.randrange(len(data))] ^= random.randrange(1, 256)
                sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()


def children(pid):
    """Living children of a process, zombies too."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(") ", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(entry.parent.name))
    return found


def arguments(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def cpu_s(pid):
    """Processors' time of a process; 0 when it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mib(pid):
    fields = pathlib.Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def shares(pid, settle_s, window_s):
    """Shares of a core, after a while: of a process and its children, and of the children alone."""
    time.sleep(settle_s)
    of = children(pid)
    before, since = [cpu_s(p) for p in (pid, *of)], time.monotonic()
    time.sleep(window_s)
    took = time.monotonic() - since
    spent = [(cpu_s(p) - b) / took for p, b in zip((pid, *of), before)]
    return sum(spent), sum(spent[1:])
