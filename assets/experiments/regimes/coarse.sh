#!/bin/bash
# Start weights that know two attributes of birds alone, under the 42 % generalist.
# usage: coarse.sh DIR SEED. Settings of the arms: plan.yaml, chosen for other start weights.
set -eu
DIR=$1 SEED=$2
for network in student intermediate; do
  [ -f "$DIR/$network.safetensors" ] || python -m dait backbone demo --network $network \
    --attributes shape,back --birds 16000 --epochs 3 --seed 0 --out "$DIR/$network.safetensors"
done
if [ -d "$DIR/seed-$SEED" ]; then exec python -m dait study --resume "$DIR/seed-$SEED"; fi
exec python -m dait study few-labels --arms independent,dait,direct,kd,vl2lite,dho --seeds "$SEED" \
  --out "$DIR/seed-$SEED" --set student.weights="$DIR/student.safetensors" \
  --set intermediate.weights="$DIR/intermediate.safetensors" \
  --set dait.head=both --set dait.logit_weight=1 --set dait.temperature=2 --set dho.temperature=2 \
  --set dho.classification_share=0.9 --set direct.head=both --set direct.temperature=2 \
  --set direct.text_weight=1 --set kd.head=own --set kd.temperature=2 --set kd.logit_weight=4 \
  --set vl2lite.head=both --set vl2lite.classification_share=0.5 --set vl2lite.temperature=2
