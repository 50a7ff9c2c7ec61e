"""Golden tracks: the detections of persons in a clip, and what a reference makes of them.

pip install supervision==0.25.1 opencv-python-headless
python make_golden.py detections.jsonl vtest.json

Reference: ByteTrack of the package supervision (MIT), one update a frame, fed with the boxes of
`sitewarden scan FRAMES --min-score 0.1 --format jsonl` on the clip's frames at 5 a second.
"""
import json
import sys

import numpy as np
from supervision import ByteTrack

tracker = ByteTrack(track_activation_threshold=0.25, lost_track_buffer=30, frame_rate=30)
frames = []
for line in open(sys.argv[1]):
    photo = json.loads(line)["photos"][0]
    rows = [[*d["bbox"], d["score"]] for d in photo["detections"] if d["label"] == "person"]
    boxes = np.array(rows, float).reshape(-1, 5)
    tensors = boxes.copy()
    tensors[:, 2:4] += tensors[:, :2]
    tracks = tracker.update_with_tensors(tensors)
    frames.append({
        "detections": [[round(float(v), 4) for v in row] for row in boxes],
        "tracks": [[int(t.external_track_id), *(round(float(v), 2) for v in t.tlbr)] for t in tracks],
    })
json.dump({"lost_frames": 30, "frames": frames}, open(sys.argv[2], "w"), separators=(",", ":"))
print(len(frames), "frames,", max((t[0] for f in frames for t in f["tracks"]), default=0), "tracks")
