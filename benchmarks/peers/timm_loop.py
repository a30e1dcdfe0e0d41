"""timm's own data set, loader, tasks, optimiser and schedule, in the loop of its ``train.py``.

The script itself is no part of timm's package; these are the parts that it is made of.
"""

from __future__ import annotations

import torch
from timm.data import create_dataset, create_loader
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.task import ClassificationTask, FeatureDistillationTask
from timm.utils import dispatch_clip_grad
from torch import nn

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


def train(setting: Setting, epoch_done: EpochDone) -> None:
    """Cross-entropy, with ``--kd-distill-type feature`` of ``train.py`` if it distils."""
    device = torch.device("cpu")
    loader = create_loader(
        create_dataset("", root=str(setting.train_folder)),
        (3, setting.size, setting.size),
        setting.batch,
        is_training=True,
        scale=AREA,
        ratio=RATIO,
        color_jitter=0.0,
        interpolation="bilinear",
        num_workers=setting.workers,
        persistent_workers=setting.workers > 0,
        pin_memory=False,
        device=device,
    )
    model = student(setting.classes).to(memory_format=torch.channels_last)
    task: nn.Module
    if setting.distil:
        frozen = teacher(setting.size).network.model.to(memory_format=torch.channels_last)
        task = FeatureDistillationTask(
            model,
            frozen,
            nn.CrossEntropyLoss(),
            distill_loss_weight=FEATURE_WEIGHT,
            task_loss_weight=1.0,
            verbose=False,
        )
    else:
        task = ClassificationTask(model, nn.CrossEntropyLoss(), verbose=False)
    learner = task.trainable_module
    optimizer = create_optimizer_v2(
        learner, opt="adamw", lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
    )
    schedule, _ = create_scheduler_v2(
        optimizer,
        sched="cosine",
        num_epochs=setting.epochs,
        warmup_epochs=0,
        updates_per_epoch=len(loader),
        step_on_epochs=False,
    )
    task.train()
    updates = 0
    for _ in range(setting.epochs):
        seen = 0
        for images, labels in loader:
            loss = task(images.to(memory_format=torch.channels_last), labels)["loss"]
            loss.backward()
            dispatch_clip_grad(learner.parameters(), GRADIENT_CLIP)
            optimizer.step()
            optimizer.zero_grad()
            updates += 1
            schedule.step_update(updates)
            seen += len(labels)
        epoch_done(seen)
