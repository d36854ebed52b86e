"""Which thresholds turn detections into the best instances: for each cell type, and chosen on other folds than its own.

The score threshold needs no grid. For one setting of the rest (a `Point`), instances are cut once; accepting them from
the highest score down, each adds its *gain* to its image's ap (`metrics.gains`). Gains summed by score are all that
choosing needs: a threshold's mean ap is a running total, for every threshold, every cell type and every choice of folds
at once.

`settings` reads an ensemble file's section, `choosing` tallies, chooses and writes.
"""

from neuroseg.thresholds.choosing import TOLERANCE, Point, choose, collect, grid, mean_ap, tally, write
from neuroseg.thresholds.settings import Fixed, Settings, read_settings

__all__ = [
    "TOLERANCE",
    "Fixed",
    "Point",
    "Settings",
    "choose",
    "collect",
    "grid",
    "mean_ap",
    "read_settings",
    "tally",
    "write",
]
