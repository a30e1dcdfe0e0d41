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

    help: str
    module: str
    options: str = "add_options"


@dataclass(frozen=True)
class Group:
    """A word before several commands: ``data list``, ``data check``."""

    help: str
    description: str
    commands: dict[str, Command]


COMMANDS: dict[str, Command | Group] = {
    "train": Command(
        "train one arm with one seed, or resume a run that was cut off", "dait.cli.train"
    ),
    "study": Command(
        "train several arms and seeds of one recipe and compare them, or resume a study",
        "dait.cli.study",
    ),
    "study plan": Command(
        "write down a study's runs as numbered tasks, to be trained apart",
        "dait.cli.study_tasks",
        "add_plan_options",
    ),
    "study run": Command(
        "train one task of a planned study", "dait.cli.study_tasks", "add_task_options"
    ),
    "study finish": Command(
        "complete a planned study whose tasks are all done",
        "dait.cli.study_tasks",
        "add_finish_options",
    ),
    "estimate": Command("how much time, disk and memory a study will take", "dait.cli.estimate"),
    "sweep": Command("try settings of a recipe on the validation split", "dait.cli.sweep"),
    "evaluate": Command(
        "measure runs on a split: accuracy, calibration, confusions, tests between arms",
        "dait.cli.evaluate",
    ),
    "compare": Command("a report on studies and runs: one self-contained page", "dait.cli.compare"),
    "predict": Command("name what is in photographs", "dait.cli.predict"),
    "explain": Command("show where networks look in an image", "dait.cli.explain"),
    "embed": Command(
        "place a study's test images by t-SNE or UMAP, and print what the features are like",
        "dait.cli.embed",
    ),
    "localise": Command(
        "how much of their heatmaps networks put on the object", "dait.cli.localise"
    ),
    "merge": Command(
        "put studies of the same recipe together, say one seed from each machine",
        "dait.cli.merge",
    ),
    "export": Command(
        "copy a finished study with fp16 weights, to be shipped with an app", "dait.cli.export"
    ),
    "data": Group(
        "list the data sets known by name, or look at one",
        "List the data sets known by name, or look at one.",
        {
            "list": Command("the data sets known by name", "dait.cli.data", "add_list_options"),
            "check": Command(
                "what is in a data set, and what is wrong with it, before training",
                "dait.cli.data_check",
            ),
            "preview": Command(
                "count, check and draw a contact sheet of a data set",
                "dait.cli.data",
                "add_preview_options",
            ),
        },
    ),
    "teacher": Group(
        "find, download and measure frozen teachers, or train the demo teacher",
        "List the frozen teachers there are, download their weights, measure what they know "
        "without any training, or train the demo teacher fieldguide-clip again.",
        {
            "list": Command(
                "the teachers that a recipe can name", "dait.cli.teacher_list", "add_list_options"
            ),
            "fetch": Command(
                "download a teacher's weights, for later or for another machine",
                "dait.cli.teacher_list",
                "add_fetch_options",
            ),
            "eval": Command(
                "zero-shot (or class-mean) accuracy of a teacher on a data set",
                "dait.cli.teacher_eval",
            ),
            "pretrain": Command(
                "train fieldguide-clip from nothing (about an hour on two cores)",
                "pretraining.commands",
                "add_teacher_options",
            ),
            "probe": Command(
                "what a teacher knows: classes, captions, attributes, habitat, pose, light",
                "dait.cli.teacher_probe",
            ),
        },
    ),
    "networks": Command(
        "find students and intermediate teachers, with their size and cost", "dait.cli.networks"
    ),
    "backbone": Command(
        "pretrain a student or intermediate teacher on invented birds",
        "pretraining.commands",
        "add_backbone_options",
    ),
    "cache": Group(
        "the frozen teacher's embeddings of augmented views, kept on disk",
        "Build, list, verify and prune the frozen teacher's embeddings of augmented views. "
        "Training fills and uses them by itself; they are in the folder DAIT_CACHE.",
        {
            "build": Command(
                "compute them before a training, on several processes or machines if need be",
                "dait.cli.cache",
                "add_build_options",
            ),
            "list": Command("what is kept", "dait.cli.cache", "add_list_options"),
            "verify": Command(
                "recompute a sample and compare", "dait.cli.cache_upkeep", "add_verify_options"
            ),
            "prune": Command(
                "remove what is no longer needed", "dait.cli.cache_upkeep", "add_prune_options"
            ),
        },
    ),
    "bench": Group(
        "measure speed and memory on this machine",
        "Measure speed and memory on this machine (from a clone of the project).",
        {
            "demo": Command(
                "start-up of the app, a heatmap row, the demo study, memory", "benchmarks.demo"
            ),
            "data": Command(
                "images a second drawn, decoded, and read from the store; memory",
                "benchmarks.data",
            ),
            "app": Command(
                "the app in a real browser: start, first view, another view, a row of heatmaps",
                "benchmarks.app",
            ),
            "embed": Command(
                "throughput of embedding a data set, over a bare loop of the same model",
                "benchmarks.embed",
            ),
            "cache": Command(
                "the whole DAIT pipeline with and without kept views", "benchmarks.cache"
            ),
            "views": Command(
                "accuracy, time and bytes against the number of distinct views (hours)",
                "benchmarks.views",
            ),
            "train": Command(
                "throughput of the training loop, over a bare loop of the same networks; memory",
                "benchmarks.train",
            ),
            "explain": Command(
                "a heatmap row of five networks, over a forward and backward pass of each",
                "benchmarks.explain",
            ),
            "report": Command("the report on the shipped study", "benchmarks.report"),
        },
    ),
    "app": Command("start the app in the browser", "dait.cli.app"),
}
