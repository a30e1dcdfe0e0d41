"""Every command: its name, one line about it, and where it is.

Light on purpose: ``python -m dait --help`` reads this table and imports no command.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    module: imported when the command is asked for. options: the function in it that describes the
    command and adds its options to a parser, ``run`` among its defaults.
    """

    module: str
    help: str
    options: str = "add_options"


@dataclass(frozen=True)
class Group:
    """A word before several commands: ``data list``, ``data check``."""

    help: str
    description: str
    commands: dict[str, Command]


_DATA = Group(
    "list the data sets known by name, or look at one",
    "List the data sets known by name, or look at one.",
    {
        "list": Command("dait.cli.data", "the data sets known by name", "add_list_options"),
        "check": Command("dait.cli.data_check", "what is in a data set, and what is wrong with it"),
        "preview": Command("dait.cli.data", "draw a contact sheet", "add_preview_options"),
    },
)
_TEACHER = Group(
    "find, download and measure frozen teachers, or train the demo teacher",
    "List the frozen teachers there are, download their weights, measure what they know without "
    "any training, or train the demo teacher fieldguide-clip again.",
    {
        "list": Command("dait.cli.teacher_list", "the teachers to choose from", "add_list_options"),
        "fetch": Command("dait.cli.teacher_list", "download a teacher", "add_fetch_options"),
        "eval": Command(
            "dait.cli.teacher_eval", "zero-shot (or class-mean) accuracy on a data set"
        ),
        "pretrain": Command(
            "pretraining.commands",
            "train fieldguide-clip from nothing (about an hour on two cores)",
            "add_teacher_options",
        ),
        "probe": Command(
            "dait.cli.teacher_probe",
            "what a teacher knows: classes, captions, attributes, habitat, pose, light",
        ),
    },
)
_CACHE = Group(
    "the frozen teacher's embeddings of augmented views, kept on disk",
    "Build, list, verify and prune the frozen teacher's embeddings of augmented views. Training "
    "fills and uses them by itself; they are in the folder DAIT_CACHE.",
    {
        "build": Command("dait.cli.cache", "compute them before a training", "add_build_options"),
        "list": Command("dait.cli.cache_list", "what is kept", "add_list_options"),
        "verify": Command(
            "dait.cli.cache_upkeep", "recompute a sample and compare", "add_verify_options"
        ),
        "prune": Command(
            "dait.cli.cache_upkeep", "remove what is no longer needed", "add_prune_options"
        ),
    },
)
_BENCH = Group(
    "measure speed and memory on this machine",
    "Measure speed and memory on this machine (from a clone of the project).",
    {
        "demo": Command(
            "benchmarks.demo", "start of the app, a heatmap row, the demo study, memory"
        ),
        "data": Command(
            "benchmarks.data", "images drawn, decoded and read from the store a second"
        ),
        "app": Command("benchmarks.app", "the app in a real browser: what a visitor waits for"),
        "embed": Command("benchmarks.embed", "embedding a data set, over a bare loop of the model"),
        "cache": Command("benchmarks.cache", "the whole DAIT pipeline with and without kept views"),
        "views": Command(
            "benchmarks.views", "accuracy and time by number of distinct views (hours)"
        ),
        "train": Command("benchmarks.train", "the training loop, over a bare loop; memory"),
        "explain": Command(
            "benchmarks.explain", "a heatmap row, over bare forward and backward passes"
        ),
        "report": Command("benchmarks.report", "the report on the shipped study"),
        "distributed": Command("benchmarks.distributed", "several processes, and Ray, over one"),
        "export": Command("benchmarks.export", "curated networks in ONNX, against PyTorch"),
        "unlike": Command("benchmarks.unlike", "what tells strange images from test images"),
    },
)
COMMANDS: dict[str, Command | Group] = {
    "train": Command("dait.cli.train", "train one arm with one seed, or resume a run"),
    "study": Command(
        "dait.cli.study", "train several arms and seeds of one recipe, or resume them"
    ),
    "study plan": Command(
        "dait.cli.study_tasks",
        "write down a study's runs as numbered tasks, to be trained apart",
        "add_plan_options",
    ),
    "study run": Command(
        "dait.cli.study_tasks", "train one task of a planned study", "add_task_options"
    ),
    "study finish": Command(
        "dait.cli.study_tasks",
        "complete a planned study whose tasks are all done",
        "add_finish_options",
    ),
    "estimate": Command("dait.cli.estimate", "how much time, disk and memory a study will take"),
    "advise": Command("dait.cli.advise", "which arms are worth training on some data"),
    "regimes": Command("dait.cli.regimes", "the map: which arm wins under which teacher"),
    "sweep": Command("dait.cli.sweep", "try settings of a recipe on the validation split"),
    "evaluate": Command(
        "dait.cli.evaluate",
        "measure runs on a split: accuracy, calibration, confusions, tests between arms",
    ),
    "compare": Command("dait.cli.compare", "a report on studies and runs: one self-contained page"),
    "predict": Command("dait.cli.predict", "name what is in photographs"),
    "explain": Command("dait.cli.explain", "show where networks look in an image"),
    "embed": Command(
        "dait.cli.embed", "t-SNE or UMAP of a study's test images, and their features"
    ),
    "localise": Command("dait.cli.localise", "how much of their heatmaps lies on the object"),
    "merge": Command("dait.cli.merge", "put studies of the same recipe together, say one per seed"),
    "export": Command(
        "dait.cli.export", "a run's student as a model for elsewhere, or a study as a small copy"
    ),
    "push": Command("dait.cli.push", "upload a run's student to the Hugging Face hub"),
    "data": _DATA,
    "teacher": _TEACHER,
    "networks": Command("dait.cli.networks", "find students and intermediate teachers, their cost"),
    "backbone": Command(
        "pretraining.commands",
        "pretrain a student or intermediate teacher on invented birds",
        "add_backbone_options",
    ),
    "cache": _CACHE,
    "bench": _BENCH,
    "app": Command("dait.cli.app", "start the app in the browser"),
}
