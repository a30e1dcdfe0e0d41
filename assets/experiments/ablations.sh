#!/bin/bash
# DAIT without one thing at a time: assets/experiments/README.md says what for.
# Usage: bash assets/experiments/ablations.sh OUT [FIRST...]
# FIRST: studies of few-shot with seeds 0,1,2 that have trained the intermediate teacher already.
# Some 90 minutes on one core. Interrupted: run it again.
set -euo pipefail
out=$1
shift
reuse=()
for first in "$@"; do reuse+=(--reuse "$first"); done

without() { # NAME, then changes of the recipe
    local name=$1
    shift
    local changes=()
    for change in "$@"; do changes+=(--set "$change"); done
    if [ -f "$out/$name/study.json" ]; then
        python -m dait study --resume "$out/$name" --json
    else
        python -m dait study few-shot --seeds 0,1,2 --arms dait "${changes[@]}" "${reuse[@]}" --out "$out/$name" --json
    fi
}

without maps-alone dait.text_weight=0
reuse+=(--reuse "$out/maps-alone")
without pooled-alone dait.text_weight=0 dait.spatial_weight=0 dait.pooled_weight=5
without logits-alone dait.text_weight=0 dait.spatial_weight=0 dait.logit_weight=16
without texts-alone dait.spatial_weight=0
without original-views dait.views=original
without full-views dait.views=full
without no-semantic dait.semantic_weight=0
without no-representation dait.representation_weight=0
without no-classification dait.classification_weight=0
without joint-teacher dait.text_weight=0 dait.teacher=joint
without random-teacher dait.text_weight=0 dait.teacher=random
without random-weights dait.text_weight=0 dait.teacher=random intermediate.weights=null
