"""Folds: which images each detector learns from, which it is tested on, and which are scored.

`splitting` makes the folds table, `fields` finds images that it must not separate, `selection` says what it
means for training, prediction, pseudo-labels and scores.
"""

from neuroseg.folds.fields import joined
from neuroseg.folds.selection import Fold, held_out, pseudo_labelled, scored, training, unannotated
from neuroseg.folds.splitting import Split, split

__all__ = [
    "Fold",
    "Split",
    "held_out",
    "joined",
    "pseudo_labelled",
    "scored",
    "split",
    "training",
    "unannotated",
]
