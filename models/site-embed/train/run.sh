#!/bin/sh
# From the data to the ONNX file: sh run.sh DATA WORK
#   DATA   folder with one folder a set (train.json, val.json, train/, val/)
#   WORK   folder for the virtual environment, cache and results (some 5 GB)
# Some 40 minutes of CPU time on two cores. Run again after a break it goes on where it was.
set -eu
data=$1 work=$2
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work/out"
[ -x "$work/venv/bin/python" ] || python3 -m venv "$work/venv"
py="$work/venv/bin/python"
"$py" -m pip install --quiet -r "$here/requirements.txt"
[ -f "$work/cache/crops.json" ] || "$py" "$here/prepare.py" --data "$data" --cache "$work/cache"
[ -f "$work/cache/teacher.npy" ] || "$py" "$here/views.py" --cache "$work/cache" --dev
[ -f "$work/patches.pt" ] || "$py" "$here/patches.py" --data "$data" --out "$work/patches.pt"
"$py" "$here/train.py" --cache "$work/cache" --out "$work/run" --dev
"$py" "$here/export.py" --checkpoint "$work/run/last.pt" --patches "$work/patches.pt" \
    --example "$here/../../../tests/data/astronaut.jpg" --out "$work/out"
"$py" "$here/evaluate.py" --cache "$work/cache" --onnx "$work/out/site-embed.onnx" --out "$work/out/metrics.json"
"$py" "$here/reference_roc.py" --data "$data" --onnx "$work/out/site-embed.onnx" --out "$work/out/reference_roc.json"
"$py" "$here/few_shot.py" --data "$data" --onnx "$work/out/site-embed.onnx" --cache "$work/few-shot" \
    --out "$work/out/few_shot.json" --html "$work/out/few_shot.html" --svg "$work/out/few-shot.svg"
