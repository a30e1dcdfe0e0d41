"""The script that a SLURM cluster needs to train a planned study as an array of tasks."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from dait.storage.paths import FOLDERS, environment
from dait.study.plan import StudyPlan

FILE = "array.sbatch"


def array_script(plan: StudyPlan, project: Path) -> str:
    """A batch script with a task for every run; cluster, account and hours are the reader's.

    project: the folder in which ``python -m dait`` works.
    """
    folder = plan.folder.path.absolute()
    return "\n".join(
        [
            "#!/bin/bash",
            f"#SBATCH --job-name={plan.recipe.name}",
            f"#SBATCH --array=0-{len(plan.runs) - 1}",
            "#SBATCH --cpus-per-task=4",
            "#SBATCH --mem=16G",
            "#SBATCH --time=12:00:00",
            "# One GPU a task:  #SBATCH --gres=gpu:1",
            "# An interrupted task is resumed from its last checkpoint when it is requeued.",
            "#SBATCH --requeue",
            f"#SBATCH --output={_plain(folder)}/task-%a.txt",
            f"cd {shlex.quote(str(project))}",
            *_exports(),
            'export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-4}"',
            f"{shlex.quote(sys.executable)} -m dait study run {shlex.quote(str(folder))} "
            '--task "$SLURM_ARRAY_TASK_ID"',
            "",
        ]
    )


def _exports() -> list[str]:
    """The folders of this process, absolute: the tasks work in another folder."""
    here = environment()
    return [f"export {name}={shlex.quote(here[name])}" for name in FOLDERS if here.get(name)]


def _plain(path: Path) -> str:
    """A path as SLURM reads it in a comment: a space is written with a backslash."""
    return str(path).replace(" ", "\\ ")
