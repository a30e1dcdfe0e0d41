"""The figures: pure functions from data to ``plotly.graph_objects.Figure``.

Every figure has a transparent background, adapts to its container's width, gives exact values on
hover, keeps its zoom across updates, and says so in itself when there is nothing to show. They
share two arguments: ``dark`` is True or False on a page whose theme is known and None otherwise
(the ink then reads on both); ``columns`` stacks panels on narrow screens.
"""

from dait.evidence.figures.attributes import attribute_bars
from dait.evidence.figures.bars import accuracy_bars, slices_bars, teacher_rows
from dait.evidence.figures.bubble import bubble, bubble_rows
from dait.evidence.figures.confusion import confusion_panels
from dait.evidence.figures.counts import counts_bars
from dait.evidence.figures.curves import Show, learning_curves, study_curves
from dait.evidence.figures.gains import gain_bars
from dait.evidence.figures.localisation import localisation_bars
from dait.evidence.figures.regimes import regime_panels
from dait.evidence.figures.reliability import reliability_panels
from dait.evidence.figures.similarity import similarity_panels
from dait.evidence.figures.sweep import sweep_lines
from dait.evidence.figures.tsne import tsne_panels

__all__ = [
    "Show",
    "accuracy_bars",
    "attribute_bars",
    "bubble",
    "bubble_rows",
    "confusion_panels",
    "counts_bars",
    "gain_bars",
    "learning_curves",
    "localisation_bars",
    "regime_panels",
    "reliability_panels",
    "similarity_panels",
    "slices_bars",
    "study_curves",
    "sweep_lines",
    "teacher_rows",
    "tsne_panels",
]
