"""Which thresholds turn detections into the best instances: by cell type, chosen on other folds than its own.

The score threshold needs no grid. For one setting of the rest (a `Point`), instances are cut once; accepting
them from the highest score down, each adds its *gain* to its image's ap (`metrics.gains`). Gains summed by
score are all that choosing needs: a threshold's mean ap is a running total, for every threshold, every cell
type and every choice of folds at once.

`settings` reads an ensemble file's section, `voting` learns how images vote on their types, `choosing`
tallies and chooses, `weighting` chooses members' weights by it.
"""

from neuroseg.tuning.choosing import (
    TOLERANCE,
    Collected,
    Point,
    choose,
    collect,
    grid,
    mean_ap,
    tally,
    thresholds,
)
from neuroseg.tuning.settings import Settings, read_settings
from neuroseg.tuning.weighting import choose_weights

__all__ = [
    "TOLERANCE",
    "Collected",
    "Point",
    "Settings",
    "choose",
    "choose_weights",
    "collect",
    "grid",
    "mean_ap",
    "read_settings",
    "tally",
    "thresholds",
]
