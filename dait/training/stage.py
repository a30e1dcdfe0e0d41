"""Where a stage stands in its run, and what it draws its randomness from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StagePosition:
    """One network's training within a run: stage ``index`` (from 0) of ``count``.

    distinct_views: epochs go round this many views of each image; 0 means a new one every epoch.
    """

    index: int
    count: int
    epochs: int
    seed: int
    distinct_views: int = 0

    def view(self, epoch: int) -> int:
        """The number of the view that an epoch shows."""
        return epoch % self.distinct_views if self.distinct_views else epoch
