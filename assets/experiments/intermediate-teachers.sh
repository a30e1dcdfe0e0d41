#!/bin/bash
# Figure 5: the student of few-shot behind intermediate teachers of three sizes, on validation.
# Usage: bash assets/experiments/intermediate-teachers.sh OUT   (some 40 minutes on one core)
# The smallest is half as wide as the student; the middle one is the student's own network.
set -euo pipefail
network() { # WEIGHTS CHANNELS
    echo "{name: resnet10t, weights: 'backbone:$1', output_stride: 16, options: {channels: [$2], stem_width: 16}}"
}
seeds=100,101,102
python -m dait sweep few-shot --arms independent,direct --seeds $seeds --out "$1"
python -m dait sweep few-shot --arms dait --seeds $seeds --out "$1" \
    --vary "intermediate=[$(network eighth-0 "8, 16, 32, 64"), $(network quarter-0 "16, 32, 64, 128")]"
