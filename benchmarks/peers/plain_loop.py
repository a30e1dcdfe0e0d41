"""A plain PyTorch loop: torchvision's image folder and transforms, a ``DataLoader``, AdamW."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmarks.peers.setting import (
    AREA,
    FEATURE_WEIGHT,
    GRADIENT_CLIP,
    LEARNING_RATE,
    RATIO,
    WEIGHT_DECAY,
    EpochDone,
    Setting,
    student,
    teacher,
)


class Distilled(nn.Module):
    """The student, which also says where in the teacher's space an image lies."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.student = student(classes)
        self.projection = nn.Linear(self.student.num_features, width)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, 3, S, S)`` → logits ``(B, C)`` and projected features ``(B, d)``."""
        pooled = self.student.forward_head(self.student.forward_features(images), pre_logits=True)
        return self.student.get_classifier()(pooled), self.projection(pooled)


def image_folder(setting: Setting) -> ImageFolder:
    """The training images with the augmentation of every peer that takes torchvision's."""
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(setting.size, scale=AREA, ratio=RATIO),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    return ImageFolder(str(setting.train_folder), transform)


def train(setting: Setting, epoch_done: EpochDone) -> None:
    """``CE + λ (1 − cos)`` to the frozen teacher, which runs in every step, or CE alone."""
    loader = DataLoader(
        image_folder(setting),
        setting.batch,
        shuffle=True,
        drop_last=True,
        num_workers=setting.workers,
        persistent_workers=setting.workers > 0,
    )
    frozen = teacher(setting.size) if setting.distil else None
    model = Distilled(setting.classes, frozen.dim if frozen else 1)
    for network in filter(None, (model, frozen)):
        network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(loader) * setting.epochs)
    model.train()
    for _ in range(setting.epochs):
        seen = 0
        for images, labels in loader:
            images = images.to(memory_format=torch.channels_last)
            logits, projected = model(images)
            loss = F.cross_entropy(logits, labels)
            if frozen is not None:
                with torch.no_grad():
                    features = frozen.network.model.forward_features(images)
                    wanted = frozen.network.model.forward_head(features, pre_logits=True)
                distance = 1 - F.cosine_similarity(projected, wanted).mean()
                loss = loss + FEATURE_WEIGHT * distance
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_CLIP)
            optimizer.step()
            rates.step()
            seen += len(labels)
        epoch_done(seen)
