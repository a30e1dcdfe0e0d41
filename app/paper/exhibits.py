"""The exhibits of the Paper tab: what each claims, which section of the report it is, what made it.

Imports nothing heavy; the sections are written by ``app.engine``.
"""

from __future__ import annotations

from dataclasses import dataclass

STUDY, STUDIES = "STUDY", "STUDIES"
"""Places of the folders in a command."""


@dataclass(frozen=True)
class Exhibit:
    """One figure or table.

    key: also that of its section in ``Engine.paper_section``; kicker: its name in the paper; claim:
    what to look for; command: what makes it; nothing: said where there is no data; opens: the tab,
    the element and the words of the link that leads on.
    """

    key: str
    kicker: str
    title: str
    claim: str
    command: str
    nothing: str
    opens: tuple[str, str, str]


EXHIBITS = (
    Exhibit(
        "localisation",
        "Figure 1",
        "Where does each network look?",
        "If a teacher passes on what matters, its student should look at the same parts. One image "
        "shows what that means; the bars measure it on many.",
        f"python -m dait localise {STUDY}",
        "Where these networks look was not measured.",
        ("compare", "#row", "Look at any image in Compare"),
    ),
    Exhibit(
        "pipeline",
        "Figure 2",
        "Who teaches whom",
        "Each arm as the study's recipe has it: its stages, losses and weights, and the shapes of "
        "the networks.",
        f"python -m dait study recipe.yaml --out {STUDY}",
        "This study says nothing of its recipe.",
        ("explore", "#pipeline", "Open in Explore"),
    ),
    Exhibit(
        "features",
        "Figure 3",
        "How are the classes arranged?",
        "The same test images through every network. A student that took over its teacher's "
        "features should arrange the classes alike.",
        f"python -m dait embed {STUDY}",
        "There are no features to show.",
        ("compare", "#plane", "Open in Compare, where every point leads to its image"),
    ),
    Exhibit(
        "costs",
        "Figure 4",
        "What does an accuracy cost?",
        "Parameters, accuracy and latency. The intermediate teacher is marked: it is needed for "
        "the training alone.",
        f"python -m dait compare {STUDIES} --out report.html",
        "No costs are kept of these runs.",
        ("compare", "#table", "Open in Compare"),
    ),
    Exhibit(
        "teachers",
        "Figure 5",
        "How large must the intermediate teacher be?",
        "The same student behind intermediate teachers of several sizes, against direct "
        "distillation.",
        "bash assets/experiments/intermediate-teachers.sh runs/teachers",
        "No study or sweep here differs in its intermediate teacher alone. The command below "
        "trains one; or choose studies above that differ in it.",
        ("train", "#start", "Train a study with another one"),
    ),
    Exhibit(
        "accuracy",
        "Tables",
        "Which arm wins, and could it be chance?",
        "Students, arms and data sets: mean and standard deviation over the seeds, the gain, and "
        "p after Holm's correction.",
        f"python -m dait compare {STUDIES} --out report.html",
        "No run of these studies has been evaluated.",
        ("compare", "#table", "Open in Compare"),
    ),
    Exhibit(
        "regimes",
        "Map of regimes",
        "When does which arm pay?",
        "What an arm gains depends on how much the frozen teacher knows of the task and on what "
        "the student knows already.",
        "python -m dait regimes --out DIR",
        "No map of regimes comes along.",
        ("train", "#advice", "Ask which arm fits your data, in Train"),
    ),
    Exhibit(
        "ablations",
        "Ablations",
        "What in DAIT does the work?",
        "One thing changed at a time, compared on the validation images.",
        "python -m dait sweep few-shot --arms independent,direct,dait --seeds 100,101,102 "
        "--vary dait.spatial_weight=[0,1,5] --vary dait.text_weight=[0,4] --out runs/ablations",
        "No sweep over DAIT's settings is here.",
        ("train", "#start", "Train with other settings"),
    ),
)
