"""A sweep over the intermediate teacher in the report: one bar a network."""

from __future__ import annotations

import json
from pathlib import Path

from dait.evidence.report.ablations import of_sweep
from dait.evidence.report.section import Section


def test_networks_of_one_name_are_told_apart(tmp_path: Path) -> None:
    log, rows = tmp_path / "sweep.jsonl", []
    for width, size, top1 in ((None, 900, 0.5), (8, 300, 0.6), (16, 600, 0.8)):
        network = {"name": "resnet10t", "options": {"stem_width": width}}
        setting = {} if width is None else {"intermediate": network}
        rows.append({"setting": setting, "arm": "dait", "seed": 0, "top1": top1})
        rows[-1]["intermediate_parameters"] = size
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    section = Section("teachers", "")
    assert of_sweep(section, log, teachers=True)
    (table,) = [block for block in section.blocks if block["kind"] == "table"]
    values = [[cell[0] for cell in cells] for _, cells in table["rows"]]
    assert [row[1] for row in values] == ["60.0\u00a0%", "80.0\u00a0%", "50.0\u00a0%"]
    assert "300" in values[0][0] and "600" in values[1][0]
