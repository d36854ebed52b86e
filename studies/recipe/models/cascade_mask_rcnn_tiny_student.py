"""The tiny model, to be taught what the tiny model detects in images without annotation."""

_base_ = "../../../configs/models/cascade_mask_rcnn_tiny.py"
