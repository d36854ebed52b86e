"""How good are the masks: the competition's score, its intervals, and COCO's AP beside it.

An instance is a *hit* at a threshold when its mask and a true mask share more than that part of their union,
each true mask serving one instance only. Everything rests on the few pairs of masks that overlap by half or
more (`pairs`), found on run lengths, and on integers: whether an IoU exceeds 0.85 is asked as 20 x
intersection > 17 x union.
"""

from neuroseg.metrics.cocoeval import coco
from neuroseg.metrics.competition import gains, per_image, summarise
from neuroseg.metrics.matching import THRESHOLDS, hits
from neuroseg.metrics.overlaps import pairs

__all__ = ["THRESHOLDS", "coco", "gains", "hits", "pairs", "per_image", "summarise"]
