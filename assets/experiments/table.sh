#!/bin/bash
# Two students, two intermediate teachers, six arms: assets/experiments/README.md says what for.
# Usage: bash assets/experiments/table.sh OUT [FIRST...]
# FIRST: studies of few-shot with seeds 0,1,2 that have trained the half-width teacher, classifier or
# assistant already. Some 100 minutes on one core. Interrupted: run it again.
set -euo pipefail
out=$1
shift
reuse=()
for first in "$@"; do reuse+=(--reuse "$first"); done
mkdir -p "$out"

backbone() { # NETWORK SEED NAME
    [ -f "$out/$3.safetensors" ] || python -m dait backbone demo --network "$1" --seed "$2" --out "$out/$3.safetensors"
}
network() { # WIDTHS WEIGHTS
    echo "{\"name\":\"resnet10t\",\"output_stride\":16,\"options\":{\"channels\":$1,\"stem_width\":16},\"weights\":\"$2\"}"
}
study() { # NAME ARMS, then changes of the recipe
    local name=$1 arms=$2
    shift 2
    if [ -f "$out/$name/study.json" ]; then
        python -m dait study --resume "$out/$name" --json
    else
        python -m dait study few-shot --seeds 0,1,2 --arms "$arms" --set kd.logit_weight=4 \
            --set direct.text_weight=0 --set direct.temperature=2 "$@" --out "$out/$name" --json
    fi
}

backbone student 1 quarter-1
backbone intermediate 0 half-0
quarter='[16,32,64,128]' half='[32,64,128,256]'
half_teacher=$(network $half backbone:half-1)
quarter_teacher=$(network $quarter "$(realpath "$out")/quarter-1.safetensors")
half_student=$(network $half "$(realpath "$out")/half-0.safetensors")

study quarter-half independent,direct,vl2lite,kd,takd,dait --set "takd.network=$half_teacher" "${reuse[@]}"
study quarter-quarter kd,takd,dait --set "intermediate=$quarter_teacher" --set "takd.network=$quarter_teacher"
study half-half independent,direct,vl2lite,kd,takd,dait --set "student=$half_student" --set "takd.network=$half_teacher" \
    --reuse "$out/quarter-half" "${reuse[@]}"
study half-quarter kd,takd,dait --set "student=$half_student" --set "intermediate=$quarter_teacher" \
    --set "takd.network=$quarter_teacher" --reuse "$out/quarter-quarter"

texts=(--set direct.text_weight=1 --set direct.temperature=8)
study quarter-direct-texts direct "${texts[@]}"
study half-direct-texts direct "${texts[@]}" --set "student=$half_student"
