#!/bin/bash
# Photographs with pretrained networks, three seeds: ten labelled images a class, with and without the
# others as unlabelled images, and all images. usage: photos.sh FOLDER OUT [SEEDS]
# FOLDER: train, val, test. Nothing here was searched but what the recipe says of itself.
set -eu
FOLDER=$1 OUT=$2 SEEDS=${3:-0,1,2} ARMS=independent,direct,vl2lite,dho,kd,takd,dait
run() { # name settings...
  local name=$1; shift
  if [ -d "$OUT/$name" ]; then python -m dait study --resume "$OUT/$name"; return; fi
  python -m dait study photos --data "$FOLDER" --arms $ARMS --seeds "$SEEDS" --out "$OUT/$name" "$@"
}
run ten-labels --set data.labelled_per_class=10 --set data.use_unlabelled=false --set train.batch_size=32
run ten-labels-and-unlabelled --set data.labelled_per_class=10
run all
