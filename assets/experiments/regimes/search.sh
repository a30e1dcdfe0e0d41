#!/bin/bash
# The settings of every distilling arm for the map of regimes: 8 each, on validation, seed 100, under
# the generalist, with unlabelled images, for the quarter student. usage: search.sh DIR
# One process each; `choose.py DIR` then takes the best of each arm by validation top-1.
set -u
try() { # name arm vary...
  local out=$1 arm=$2; shift 2
  python3 -m dait sweep few-labels --arms "$arm" --grid --out "$DIR/$out" "$@" >"$DIR/$out.log" 2>&1 &
}
DIR=$1; mkdir -p "$DIR"
for head in own both; do
  try "direct-$head" direct --vary "direct.head=[$head]" --vary 'direct.temperature=[2,8]' --vary 'direct.text_weight=[1,4]'
  try "vl2lite-$head" vl2lite --vary "vl2lite.head=[$head]" --vary 'vl2lite.classification_share=[0.125,0.5]' --vary 'vl2lite.temperature=[2,4]'
  try "kd-$head" kd --vary "kd.head=[$head]" --vary 'kd.temperature=[2,4]' --vary 'kd.logit_weight=[1,4]'
  try "takd-$head" takd --vary "takd.head=[$head]" --vary 'takd.logit_weight=[1,4]' --vary 'takd.zero_shot_weight=[0.25,1]'
  for logits in 0 1; do
    try "dait-$head-$logits" dait --vary "dait.head=[$head]" --vary "dait.logit_weight=[$logits]" --vary 'dait.temperature=[2,8]'
  done
done
for tau in 2 8; do
  try "dho-$tau" dho --vary "dho.temperature=[$tau]" --vary 'dho.classification_share=[0.3,0.5,0.7,0.9]'
done
wait
