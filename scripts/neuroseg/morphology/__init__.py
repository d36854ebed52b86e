"""What one cell looks like, and what images and wells hold: the numbers that a biologist takes away.

The door of scikit-image. `measures` says what is measured, `cells` measures, `summaries` sums up.
"""

from neuroseg.morphology.cells import measure
from neuroseg.morphology.dictionary import dictionary, page
from neuroseg.morphology.measures import COLUMNS, DECIMALS, MEASURES, STATISTICS, SUMMED
from neuroseg.morphology.summaries import of_images, of_wells
from neuroseg.morphology.unlikeness import unlike

__all__ = [
    "COLUMNS",
    "DECIMALS",
    "MEASURES",
    "STATISTICS",
    "SUMMED",
    "dictionary",
    "measure",
    "of_images",
    "of_wells",
    "page",
    "unlike",
]
