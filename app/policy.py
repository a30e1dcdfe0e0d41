"""What a visitor is allowed to do, checked where it is done and not only where it is offered.

The user of this machine (``AppConfig.paths``) may do everything. Any other visitor may use only
what is on the machine and offered by the page: nothing is downloaded for them and no path is
followed. On a public Space ``SPACE_LIMITS`` apply as well. ``RULES`` has it as a table
(docs/spaces.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.catalogue.sources import FIELD_GUIDE
from app.catalogue.teachers import teacher_choices
from app.catalogue.uploads import Uploads
from app.config import AppConfig
from app.studies.order import Order
from dait.data.sources.catalogue import list_datasets
from dait.errors import UserError
from dait.models.catalogue import CURATED_NAMES, IN_RECIPES, TORCHVISION
from dait.models.spec import NAMED_WEIGHTS, NetworkSpec
from dait.teachers.weights import is_here

LARGEST_SIZE = 224
"""Largest image side in pixels that other visitors may train with."""


class Policy:
    """What a visitor of one app is allowed to do.

    Every method raises ``UserError`` for what is not allowed, before anything is written, started
    or downloaded.
    """

    def __init__(self, config: AppConfig) -> None:
        self.config = config

    def require_order(self, order: Order) -> None:
        """Require that this order may be trained or estimated."""
        limits, recipe = self.config.limits, order.recipe
        epochs = max(recipe.train.epochs, recipe.dait.stage1_epochs or 0)
        if epochs > limits.epochs or len(order.seeds) > limits.seeds:
            raise UserError(
                f"This trains {epochs} epochs and {len(order.seeds)} seeds; at most "
                f"{limits.epochs} and {limits.seeds} are trained here. {limits.note}".strip()
            )
        if order.vary is not None and len(order.vary[1]) > limits.settings:
            most = f"at most {limits.settings} values are" if limits.settings else "no sweep is"
            said = f"This tries {len(order.vary[1])} values; {most} trained here. {limits.note}"
            raise UserError(said.strip())
        if not self.config.paths and recipe.data.size > LARGEST_SIZE:
            raise self._refusal(
                f"Images of {recipe.data.size} px are more than the {LARGEST_SIZE} px that "
                "visitors train on"
            )
        self.require_data(recipe.data.source)
        self.require_teacher(recipe.teacher.name)
        for spec in (recipe.student, recipe.intermediate, recipe.kd.network, recipe.takd.network):
            if spec is not None:
                self.require_network(spec)

    def require_data(self, source: str) -> None:
        """Require that this data may be opened; ``source`` as for ``open_dataset``."""
        if self.config.paths or source == FIELD_GUIDE:
            return
        known = {card.name: card.available for card in list_datasets()}
        name = source.partition(":")[0]
        if name in known:
            if not known[name]:
                raise self._refusal(f"The data set ‘{source}’ is not on this machine")
            return
        uploads = Uploads(self.config)
        files = [str(uploads.folder / name) for name in uploads.names()]
        if source not in [*files, *map(str, self.config.data.values())]:
            raise self._refusal("This data is not offered here")

    def require_teacher(self, name: str) -> None:
        """Require that this frozen teacher may be used for training or for scoring prompts."""
        if self.config.paths or name in [known for _, known in teacher_choices(self.config)]:
            return
        if not self.config.limits.any_network:
            raise self._refusal(f"The frozen teacher {_short(name)} is too large for this app")
        if not is_here(name):
            raise self._refusal(f"The frozen teacher {_short(name)} is not on this machine")

    def require_network(self, spec: NetworkSpec) -> None:
        """Require that this network may be built and trained from its initial weights."""
        if self.config.paths:
            return
        if spec.weights is not None and not spec.weights.startswith(NAMED_WEIGHTS):
            raise self._refusal(f"{spec.name} starts from a file of this machine")
        if spec.pretrained and not self._has_weights(spec.name):
            raise self._refusal(f"The pretrained weights of {spec.name} are not on this machine")
        if not self.config.limits.any_network and spec.name not in CURATED_NAMES | IN_RECIPES:
            raise self._refusal(f"The network {_short(spec.name)} is not offered here")

    def require_own(self, what: str) -> None:
        """Require the user of this machine. what: what is not done for others."""
        if not self.config.paths:
            raise UserError(f"{what} for other visitors: run the app on your own machine.")

    def require_uploaded(self, file: dict[str, Any]) -> None:
        """Require that a request's file is no web address; Gradio refuses other paths."""
        if not self.config.paths and "://" in str(file.get("path")):
            raise UserError(
                "Files are not fetched from web addresses here. Download it yourself and upload it."
            )

    def require_tidy(self) -> None:
        """Require that studies may be deleted, renamed and restored, and taken out of the queue."""
        if not self.config.limits.tidy:
            raise UserError(
                f"Nothing is deleted or renamed here. {self.config.limits.note}".strip()
            )

    def _has_weights(self, name: str) -> bool:
        return not name.startswith(TORCHVISION) and is_here(f"timm:{name}")

    def _refusal(self, found: str) -> UserError:
        advice = (
            "Choose from the lists, or run the app on your own machine."
            if self.config.limits.note
            else "Choose from the lists, or ask whoever runs this server to get it first "
            "(`python -m dait data check`, `python -m dait teacher fetch`)."
        )
        return UserError(f"{found}, so visitors cannot use it. {advice}")


def _short(name: str) -> str:
    return f"‘{name[:80]}’"


@dataclass(frozen=True)
class Rule:
    """A row of the table: what is wanted, where it is allowed, and what checks it."""

    name: str
    wants: str
    own: str
    space: str
    where: str


RULES = (
    Rule(
        "data-set-to-download",
        "Train or look at a data set that must be downloaded, by its name or by a recipe's",
        "yes",
        "no",
        "`Policy.require_data`, asked by `TrainingQueue`, `Probe`, `Advisor` and `Readings`",
    ),
    Rule(
        "path-of-the-machine",
        "Train or look at a folder, archive or table by its path, or `hf:owner/name`",
        "yes",
        "no",
        "`Policy.require_data`, asked by `TrainingQueue`, `Probe`, `Advisor` and `Readings`",
    ),
    Rule(
        "teacher",
        "Train with, or score prompts with, a frozen teacher that is not offered",
        "yes",
        "no",
        "`Policy.require_teacher`, asked by `TrainingQueue`, `Probe`, `Advisor` and `Readings`",
    ),
    Rule(
        "pretrained",
        "Train networks that start from weights to be downloaded, or from a file of the machine",
        "yes",
        "no",
        "`Policy.require_network`, asked by `TrainingQueue`, `Probe` and `Advisor`",
    ),
    Rule(
        "network",
        "Train any network of timm's or torchvision's",
        "yes",
        "the offered ones",
        "`Policy.require_network`, asked by `TrainingQueue`, `Probe` and `Advisor`",
    ),
    Rule(
        "recipe-file",
        "Train a recipe from a file, with whatever it extends",
        "yes",
        "no: the form takes over what it can say",
        "`chosen_recipe`, which reads the form",
    ),
    Rule(
        "epochs",
        "Epochs of a training",
        "2,000",
        "5",
        "`Policy.require_order`, asked by `TrainingQueue`, `Probe` and `Advisor`",
    ),
    Rule(
        "seeds",
        "Seeds of a study",
        "5",
        "1",
        "`Policy.require_order`, asked by `TrainingQueue`, `Probe` and `Advisor`",
    ),
    Rule(
        "sweep",
        "Values that a sweep over one setting tries",
        "20",
        "0",
        "`Policy.require_order`, asked by `TrainingQueue`",
    ),
    Rule(
        "again",
        "Resume or retry a study that was started elsewhere",
        "yes",
        "as far as it could be started here",
        "`Policy.require_order`, asked by `TrainingQueue`",
    ),
    Rule("waiting", "Studies that wait in the queue", "50", "3", "`TrainingQueue`"),
    Rule(
        "estimate",
        "Estimates that are measured at the same time",
        "1",
        "1, of what could be trained",
        "`Probe`",
    ),
    Rule(
        "advice",
        "Ask which arms are worth training",
        "yes",
        "of what could be trained",
        "`Policy.require_order`, asked by `Advisor`",
    ),
    Rule(
        "stop", "Pause or stop what trains", "yes", "yes, whoever started it", "`app.queue.actions`"
    ),
    Rule(
        "tidy",
        "Rename or delete studies, bring one back, take others' out of the queue",
        "yes",
        "no",
        "`app.queue.actions` and `Policy.require_tidy`",
    ),
    Rule(
        "upload",
        "Upload an archive of photographs",
        "2 GiB each, 50 kept",
        "200 MiB each, 5 kept",
        "`Uploads.keep`",
    ),
    Rule(
        "delete-upload",
        "Delete an upload that no training needs",
        "yes",
        "yes, whoever sent it: there is room for few",
        "`app.data.tab`",
    ),
    Rule(
        "photographs",
        "Photographs that are predicted at once",
        "200 of 20 MiB",
        "200 of 20 MiB",
        "`app.predict.views`, `app.ui.photo_uploads`",
    ),
    Rule(
        "download-student",
        "Download the student of a finished run",
        "yes",
        "yes, if its images are on the machine; one is packed at a time",
        "`app.export.bundles`",
    ),
    Rule(
        "page-for-a-phone",
        "Download a page that runs a student in a browser",
        "yes: npm gets its runtime once",
        "only where its runtime is in the cache",
        "`Bundles.task`",
    ),
    Rule(
        "push",
        "Push a student to the Hugging Face hub, with the token of the machine",
        "yes",
        "no",
        "`Policy.require_own`, asked by `Pushes`",
    ),
    Rule(
        "file-by-address",
        "Hand over a file by a web address or a path instead of uploading it",
        "no",
        "no",
        "`Page.preprocess_data`, and Gradio for paths",
    ),
    Rule(
        "outside-the-queue",
        "Call an endpoint without waiting in the queue (`/run`, `/api`)",
        "no",
        "no",
        "Gradio's `queue(api_open=False)`",
    ),
    Rule(
        "anything-else-downloaded",
        "Look at a study whose teacher or photographs must be downloaded",
        "yes",
        "no",
        "`HF_HUB_OFFLINE`, which the server sets for itself and its trainers",
    ),
)


def rules_table() -> str:
    """``RULES`` in Markdown."""
    head = ("", "Own machine", "Public Space", "Checked by")
    rows = [(rule.wants, rule.own, rule.space, rule.where) for rule in RULES]
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
