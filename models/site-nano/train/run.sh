#!/bin/sh
# From the data to the ONNX file: sh run.sh DATA COCO_ONNX WORK [MINUTES [SIZE]]
#   DATA       folder with one folder a set (train.json, val.json, train/, val/)
#   COCO_ONNX  yolox_nano_coco.onnx
#   WORK       folder for the virtual environment, cache, checkpoints and results (some 6 GB)
# Run again after a break it goes on from the last checkpoint.
set -eu
data=$1 weights=$2 work=$3 minutes=${4:-120} size=${5:-512}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work"
[ -x "$work/venv/bin/python" ] || python3 -m venv "$work/venv"
py="$work/venv/bin/python"
"$py" -m pip install --quiet -r "$here/requirements.txt"
[ -f "$work/cache/index.json" ] || "$py" "$here/prepare.py" --data "$data" --weights "$weights" --cache "$work/cache"
"$py" "$here/train.py" --cache "$work/cache" --weights "$weights" --out "$work/run" --minutes "$minutes" --resume
# Then a second run of a third of the time, with boxes of hat and hair drawn by the first.
[ -f "$work/cache/tight.json" ] || "$py" "$here/tight.py" --cache "$work/cache" --weights "$work/run/last.pt"
"$py" "$here/train.py" --cache "$work/cache" --weights "$weights" --out "$work/run2" --init "$work/run/last.pt" \
    --minutes $((minutes / 3)) --late 0 --lr 1.2e-4 --head-lr 3e-4 --head-weight 1.3 --ema 0.997 --resume
"$py" "$here/export.py" --checkpoint "$work/run2/last.pt" --size "$size" --out "$work/out/site-nano.onnx" --golden "$work/out/golden.json"
"$py" "$here/thresholds.py" --cache "$work/cache" --onnx "$work/out/site-nano.onnx" --out "$work/out/thresholds.json"
"$py" "$here/evaluate.py" --cache "$work/cache" --onnx "$work/out/site-nano.onnx" --out "$work/out/metrics.json"
cp "$work/run/curve.csv" "$work/out/curve.csv"
cp "$work/run2/curve.csv" "$work/out/curve-2.csv"
