"""An RTSP server for the tests: a file, on a port of the loopback.

usage: server.py FILE.mp4 [--port N] [--drop SHARE] [--shared]
With a user name and a password in CAMERA_USER and CAMERA_PASSWORD it asks for them. Writes its port as
the first line; each client gets the file from its beginning, or, shared, what all get at that time. Needs Debian's python3-gi,
gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-good and -bad.
"""

import argparse
import os
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("--port", default="0", help="0: any that is free")
parser.add_argument("--drop", type=float, default=0.0, help="share of the packets that get lost")
parser.add_argument("--shared", action="store_true", help="one stream for all clients, as a camera sends it")
args = parser.parse_args()

Gst.init(None)
server = GstRtspServer.RTSPServer.new()
server.set_address("127.0.0.1")
server.set_service(args.port)
factory = GstRtspServer.RTSPMediaFactory.new()
factory.set_shared(args.shared)
# a lost fragment leaves garbage for the decoder
factory.set_launch(
    f'( filesrc location="{args.file}" ! qtdemux ! h264parse config-interval=-1 '
    f"! identity drop-probability={args.drop} "
    "! rtph264pay config-interval=1 name=pay0 pt=96 )"
)
user = os.environ.get("CAMERA_USER")
if user:
    auth = GstRtspServer.RTSPAuth.new()
    token = GstRtspServer.RTSPToken.new()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "user")
    password = os.environ["CAMERA_PASSWORD"]
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    allowed = GstRtspServer.RTSPPermissions.new()
    for what in (
        GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS,
        GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT,
    ):
        allowed.add_permission_for_role("user", what, True)
    factory.set_permissions(allowed)
server.get_mount_points().add_factory("/cam", factory)
if server.attach(None) == 0:
    sys.exit("cannot listen")
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
