"""``kill -9`` at any moment of a study and of an export: what is resumed comes to the same."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from amount import amount, chance
from apart import start
from cut_off import whole
from deeds import NEVER, die_at

from dait.config.recipe import Recipe
from dait.runs.folder import StudyFolder

ARMS = "independent,dait"
RUNS = ("independent-s0", "dait-s0")

PHASES = {
    "plan and preparation": r"study\.json|teacher\.npz|config\.yaml",
    "cache": r"/cache/",
    "a run's first stage": r"independent-s0/.*(steps-|metrics)|steps-intermediate",
    "checkpoint of stage 1": r"steps-intermediate",
    "networks": r"s0/\.?(checkpoints/)?[^/]*\.safetensors",
    "checkpoint of stage 2": r"dait-s0/.*steps-student",
    "status and metrics": r"dait-s0/\.?(status|metrics|log)",
    "evaluation": r"dait-s0/\.?(predictions|familiarity|result)",
    "end of the study": r"tsne|study/\.?(status|log)",
    "export": r"/\.?bundle",
}
"""What a process is killed at, in the order in which it comes: by the files that it writes."""


@dataclass(frozen=True)
class Story:
    """A folder with a study of its own, a cache of its own, and the model exported from it."""

    folder: Path
    recipe: Path

    @property
    def out(self) -> Path:
        return self.folder / "runs" / "study"

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    def words(self) -> list[str]:
        """The command that comes next."""
        study = StudyFolder(self.out)
        if study.state() == "finished":
            return ["export", str(self.out / RUNS[-1]), "--to", str(self.bundle)]
        if (self.out / "study.json").exists():
            return ["study", "--resume", str(self.out)]
        return ["study", str(self.recipe), "--arms", ARMS, "--seeds", "0", "--out", str(self.out)]

    def goes_on(self, mark: str = "", number: int = NEVER, delay: float = 0.0) -> list[str] | None:
        """One process: all its deeds; None where it was killed."""
        self.folder.mkdir(exist_ok=True)
        log = self.folder.with_name(f"{self.folder.name}.deeds")
        begun = start(
            self.folder, die_at, self.words(), str(self.folder), mark, number, delay, str(log),
            DAIT_CACHE=str(self.folder / "cache"),
        )  # fmt: skip
        code = begun.ended()
        assert code in (0, -signal.SIGKILL), begun.said
        return log.read_text().splitlines() if code == 0 else None

    def finished(self) -> dict[str, tuple[int, bytes]]:
        """The files of finished runs, which nothing may change any more."""
        runs = (self.out / run for run in RUNS)
        return {
            str(file): (file.stat().st_mtime_ns, file.read_bytes())
            for run in runs
            if (run / "result.json").exists()
            for file in (run / "result.json", *run.glob("*.safetensors"), *run.glob("*.npz"))
        }

    def leftovers(self) -> list[str]:
        return [str(path.relative_to(self.folder)) for path in self.folder.rglob(".*.tmp")]

    def exported(self) -> dict[str, bytes]:
        """The model, without what was measured in seconds or names the day."""
        return {
            str(file.relative_to(self.bundle)): file.read_bytes()
            for file in sorted(self.bundle.rglob("*.safetensors"))
        } | {"names": "\n".join(sorted(f.name for f in self.bundle.rglob("*"))).encode()}


@pytest.fixture(scope="module")
def recipe_file(small_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "kills.yaml"
    recipe = small_recipe.changed({"train.epochs": 3, "dait.stage1_epochs": 2})
    path.write_text(recipe.to_yaml())
    return path


def test_killed_anywhere_it_comes_to_the_same(recipe_file: Path, tmp_path: Path) -> None:
    rng, kills = chance("kills"), Counter[str]()
    expected = Story(tmp_path / "whole", recipe_file)
    deeds = [*(expected.goes_on() or ()), *(expected.goes_on() or ())]  # the study, and the export
    counts = {
        phase: sum(bool(re.search(mark, deed)) for deed in deeds) for phase, mark in PHASES.items()
    }
    assert all(counts.values()) and expected.leftovers() == []
    number = 0
    while kills.total() < amount(5, 100):
        story = Story(tmp_path / f"story-{number}", recipe_file)
        before: dict[str, tuple[int, bytes]] = {}
        for phase in sorted(rng.sample(list(PHASES), 6), key=list(PHASES).index):
            delay = rng.choice([0.0, rng.uniform(0, 0.002), rng.uniform(0, 0.1)])
            due = rng.randint(1, counts[phase])
            while phase == "export" and story.words()[0] != "export":
                assert story.goes_on() is not None
            if story.goes_on(PHASES[phase], due, delay) is None:
                kills[phase] += 1
            state, exporting = StudyFolder(story.out).state(), story.words()[0] == "export"
            assert state in (("finished",) if exporting else ("queued", "lost")), (phase, due)
            for file, found in before.items():
                kept = Path(file)
                assert (kept.stat().st_mtime_ns, kept.read_bytes()) == found, (file, phase, due)
            before = story.finished()
            if story.bundle.exists():
                break
        while not story.bundle.exists():
            assert story.goes_on() is not None
        assert whole(story.out) == whole(expected.out)
        assert story.exported() == expected.exported()
        assert story.leftovers() == [], (number, kills)
        number += 1
    print(json.dumps({"kills": kills.total(), "studies": number, "at": kills}, indent=1))
