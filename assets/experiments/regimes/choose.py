"""The best setting of each arm by validation top-1: what follows `plan-head.yaml` in `plan.yaml`.

DIR: what ``search.sh`` wrote. Among equals the first, in the order of the arms and the search.
Prints the number of settings tried, every arm's best, and `settings:` for a plan of regimes.
"""

import json
import sys
from pathlib import Path

rows = [
    json.loads(line)
    for log in sorted(Path(sys.argv[1]).glob("*/sweep.jsonl"))
    for line in log.read_text().splitlines()
]
print(f"# Chosen by assets/experiments/regimes/choose.py from {len(rows)} settings, on validation:")
best: dict[str, dict] = {}
for row in rows:
    if row["arm"] not in best or row["top1"] > best[row["arm"]]["top1"]:
        best[row["arm"]] = row
for arm, row in best.items():
    tried = sum(other["arm"] == arm for other in rows)
    print(f"# {arm}: {row['top1']:.3f} of {tried} settings")
print("settings:")
for row in best.values():
    for key, value in row["setting"].items():
        print(f"  {key}: {json.dumps(value)}")
