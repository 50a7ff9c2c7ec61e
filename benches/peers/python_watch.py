"""The peer of `sitewarden watch`: a loop of OpenCV and ONNX Runtime that looks at every frame of a stream,
as a competent user writes it. Tells once a second how many frames it has looked at.
"""

import argparse
import time

import cv2

import python_scan


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("url")
    args = parser.parse_args()
    python_scan.start(args.model, "plain")
    video = cv2.VideoCapture(args.url, cv2.CAP_FFMPEG)
    frames, found, since = 0, 0, time.monotonic()
    while True:
        there, image = video.read()
        if not there:
            break
        found += len(python_scan.detect(image, image.shape[1::-1]))
        frames += 1
        if frames % 25 == 0:
            rate = frames / (time.monotonic() - since)
            print(f"{rate:.1f} frames a second, {found} objects", flush=True)


if __name__ == "__main__":
    main()
