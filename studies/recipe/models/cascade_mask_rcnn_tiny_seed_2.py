"""The tiny model, taught again with other random numbers."""

_base_ = "../../../configs/models/cascade_mask_rcnn_tiny.py"

seed = 2
