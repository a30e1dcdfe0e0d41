"""torchdistill's boxes, which a configuration fills, in the loop of its examples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import RandomSampler
from torchdistill.core.distillation import get_distillation_box
from torchdistill.core.training import get_training_box

from benchmarks.peers.plain_loop import Distilled, image_folder
from benchmarks.peers.setting import (
    FEATURE_WEIGHT,
    GRADIENT_CLIP,
    LEARNING_RATE,
    WEIGHT_DECAY,
    EpochDone,
    Setting,
    teacher,
)


class _Classifier(Distilled):
    """Its logits alone; the projected features are taken by a hook."""

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(images)[0]


class _Pooled(nn.Module):
    """The teacher's pooled features."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        features = self.model.forward_features(images)  # type: ignore[operator]
        return self.model.forward_head(features, pre_logits=True)  # type: ignore[operator]


def train(setting: Setting, epoch_done: EpochDone) -> None:
    """Cross-entropy, with the squared distance to the teacher's features if it distils."""
    data = {"train": image_folder(setting)}
    config, device = _config(setting), torch.device("cpu")
    frozen = teacher(setting.size)
    model = _Classifier(setting.classes, frozen.dim).to(memory_format=torch.channels_last)
    if setting.distil:
        pooled = _Pooled(frozen.network.model).to(memory_format=torch.channels_last)
        pooled.eval()
        box = get_distillation_box(pooled, model, data, config, device, [], False, 1)
    else:
        box = get_training_box(model, data, config, device, [], False, 1)
    for epoch in range(setting.epochs):
        seen = 0
        box.pre_epoch_process(epoch=epoch)
        for images, labels, extra in box.train_data_loader:
            images = images.to(memory_format=torch.channels_last)
            box.pre_forward_process()
            loss = box.forward_process(images, labels, extra)
            box.post_forward_process(loss=loss)
            seen += len(labels)
        box.post_epoch_process()
        epoch_done(seen)


def _config(setting: Setting) -> dict[str, Any]:
    def term(criterion: str, weight: float, module: str, target: dict[str, Any]) -> dict[str, Any]:
        source = {"is_from_teacher": False, "module_path": module, "io": "output"}
        return {
            "criterion": {"key": criterion, "kwargs": {}},
            "criterion_wrapper": {
                "key": "SimpleLossWrapper",
                "kwargs": {"input": source, "target": target},
            },
            "weight": weight,
        }

    terms = {"labels": term("CrossEntropyLoss", 1.0, ".", {"uses_label": True})}
    if setting.distil:
        wanted = {"is_from_teacher": True, "module_path": ".", "io": "output"}
        terms["features"] = term("MSELoss", FEATURE_WEIGHT, "projection", wanted)
    part = {"forward_proc": "forward_batch_only", "requires_grad": True, "adaptations": {}}
    hooked = {"forward_hook": {"input": [], "output": ["projection"]}}
    own = part | hooked if setting.distil else part
    steps = len(image_folder(setting)) // setting.batch * setting.epochs
    return {
        "num_epochs": setting.epochs,
        "train_data_loader": {
            "dataset_id": "train",
            "sampler": {"class_or_func": RandomSampler},
            "kwargs": {
                "batch_size": setting.batch,
                "num_workers": setting.workers,
                "persistent_workers": setting.workers > 0,
                "drop_last": True,
            },
        },
        "val_data_loader": {},
        "teacher": part | {"requires_grad": False},
        "student": own,
        "model": own,
        "optimizer": {
            "key": "AdamW",
            "kwargs": {"lr": LEARNING_RATE, "weight_decay": WEIGHT_DECAY},
            "max_grad_norm": GRADIENT_CLIP,
        },
        "scheduler": {
            "key": "CosineAnnealingLR",
            "kwargs": {"T_max": steps},
            "scheduling_step": 1,
        },
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": terms}},
    }
