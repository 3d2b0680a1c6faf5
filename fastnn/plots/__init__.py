"""Plots: what a run, a network and its data look like, drawn with matplotlib.

Each function draws on what it is given, or on a matplotlib.figure.Figure of its own, which needs
no display and which pyplot never sees; `save` writes it, as does its figure's savefig.
matplotlib is imported at the first picture.  The colours are apart for the colour-blind too, and
nothing is told by colour alone.
"""

from fastnn.plots.curves import learning_curve
from fastnn.plots.figures import check_target, save
from fastnn.plots.images import first_layer, show_digits
from fastnn.plots.matrices import confusion_matrix
from fastnn.plots.regions import decision_regions

__all__ = [
    "check_target", "confusion_matrix", "decision_regions", "first_layer", "learning_curve", "save",
    "show_digits",
]  # fmt: skip
