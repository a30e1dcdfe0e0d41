"""``Familiarity`` as a module of tensors, to be part of an exported graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dait.evaluation.features.familiarity import Familiarity


class UnlikeScore(nn.Module):
    """Pooled features ``(B, d)`` → ``(B,)``: above ``threshold`` unlike anything trained on.

    The same as ``Familiarity.distance``, in fp32 and of operators that every runtime has.
    """

    threshold = 1.0
    means: Tensor
    directions: Tensor
    variances: Tensor
    rest: Tensor
    scale: Tensor

    def __init__(self, familiarity: Familiarity) -> None:
        super().__init__()
        for name, values in familiarity.arrays().items():
            self.register_buffer(name, torch.from_numpy(values.copy()).float())

    def forward(self, features: Tensor) -> Tensor:
        length = torch.sqrt((features * features).sum(dim=1, keepdim=True)).clamp_min(1e-12)
        sides = [self._side(0, features), self._side(1, features / length)]
        return torch.maximum(*sides)

    def _side(self, side: int, rows: Tensor) -> Tensor:
        """``(B, d)`` → ``(B,)``, in units of the scale."""
        directions = self.directions[side]
        apart = rows[:, None, :] - self.means[side][None]  # (B, M, d)
        along = torch.matmul(apart, directions.T)
        along = along * along
        others = ((apart * apart).sum(dim=2) - along.sum(dim=2)).clamp_min(0)
        squared = (along / self.variances[side]).sum(dim=2) + others / self.rest[side]
        return squared.amin(dim=1) / self.scale[side]
