"""The outputs of a trained teacher for views that are shown again, computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import psutil
import torch

from dait.config.train import TrainConfig
from dait.models.network import NetworkOutput
from dait.tasks.base import TaughtTask
from dait.training.precision import autocast
from dait.training.views import MOST_BYTES, StagePosition, TrainingViews


@dataclass(frozen=True)
class TeacherOutputs:
    """What ``task.teacher`` gives for the training images, view by view.

    The teacher does not learn, and a view is fixed by its image, its number and the seed: so are
    the outputs. Those of a whole view are computed when its first batch is asked for, in batches of
    the training's size, and held in memory for as many views as there is room for.
    """

    task: TaughtTask
    views: TrainingViews
    config: TrainConfig
    _held: dict[int, NetworkOutput] = field(default_factory=dict)

    def rows(self, view: int, index: np.ndarray) -> NetworkOutput | None:
        """The outputs of images ``index`` ``(B,)``; None where ``view`` is not held.

        Outputs that the task does not need are empty, ``(B, 0)``.
        """
        if view >= self.room:
            return None
        if view not in self._held:
            self._held[view] = self._whole(view)
        where = torch.as_tensor(index, device=self.views.device)
        return NetworkOutput(*(_selected(rows, where) for rows in self._held[view]))

    @cached_property
    def room(self) -> int:
        """How many views are held."""
        if not self.views.stage.repeats:
            return 0
        images, size = self.views.split.images.shape[:2]
        one = self._outputs(torch.zeros(1, 3, size, size, device=self.views.device))
        return outputs_to_hold(self.views.stage, images * output_bytes(one), self.views.processes)

    def _whole(self, view: int) -> NetworkOutput:
        images, size = len(self.views.split), self.config.batch_size
        parts = []
        for start in range(0, images, size):
            # The last batch is filled up: kernels may differ between batches of different sizes.
            index = np.resize(np.arange(start, min(start + size, images)), min(size, images))
            pixels = self.views.finish(self.views.load(index, view), index, view)
            parts.append(self._outputs(pixels))
        return NetworkOutput(*(torch.cat(rows)[:images] for rows in zip(*parts, strict=True)))

    def _outputs(self, pixels: torch.Tensor) -> NetworkOutput:
        if self.config.channels_last:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), autocast(self.config.precision, self.views.device):
            output = self.task.teacher(pixels)
        return self.task.needed(output)


def _selected(rows: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Rows in the memory format that they have, in which losses are summed in the same order."""
    if rows.ndim == 4 and rows.is_contiguous(memory_format=torch.channels_last):
        return rows.permute(0, 2, 3, 1).index_select(0, where).permute(0, 3, 1, 2)
    return rows.index_select(0, where)


def output_bytes(output: NetworkOutput) -> int:
    """Bytes of these outputs."""
    return sum(value.numel() * value.element_size() for value in output)


def outputs_to_hold(stage: StagePosition, view_bytes: int, processes: int = 1) -> int:
    """How many views ``TeacherOutputs`` should hold: those that come again, if there is room.

    None where several processes train together: each would compute the whole of a view.
    """
    if not stage.repeats or processes > 1:
        return 0
    room = min(MOST_BYTES, psutil.virtual_memory().available // 4)
    return int(min(stage.distinct_views, room // view_bytes))
