"""An RTSP server for the tests: a file, over and over, on an ephemeral port of the loopback.

usage: server.py FILE.mp4 [--port N] [--user NAME --password WORD] [--garbage]
Writes its port as the first line. Needs Debian's python3-gi, gir1.2-gst-rtsp-server-1.0,
gstreamer1.0-plugins-good and -bad.
"""

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("--port", default="0")
parser.add_argument("--user")
parser.add_argument("--password")
parser.add_argument("--garbage", action="store_true", help="a byte in 2000 of the stream is wrong")
args = parser.parse_args()

Gst.init(None)
server = GstRtspServer.RTSPServer.new()
server.set_address("127.0.0.1")
server.set_service(args.port)
factory = GstRtspServer.RTSPMediaFactory.new()
# identity drops buffers: what a bad line does to a stream
garbage = "! identity drop-probability=0.05 " if args.garbage else ""
factory.set_launch(
    f'( filesrc location="{args.file}" ! qtdemux ! h264parse config-interval=-1 '
    f"! rtph264pay config-interval=1 name=pay0 pt=96 {garbage})"
    if not args.garbage
    else f'( filesrc location="{args.file}" ! qtdemux ! h264parse config-interval=-1 '
    f"{garbage} ! rtph264pay config-interval=1 name=pay0 pt=96 )"
)
if args.user:
    auth = GstRtspServer.RTSPAuth.new()
    token = GstRtspServer.RTSPToken.new()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "user")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(args.user, args.password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions.new()
    permissions.add_permission_for_role("user", GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS, True)
    permissions.add_permission_for_role("user", GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/cam", factory)
loop = GLib.MainLoop()
if server.attach(None) == 0:
    sys.exit("cannot listen")
print(server.get_bound_port(), flush=True)
loop.run()
