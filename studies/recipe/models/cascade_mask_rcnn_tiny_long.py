"""The tiny model, taught two and a half times as long."""

_base_ = "../../../configs/models/cascade_mask_rcnn_tiny.py"

train_cfg = dict(max_iters=1500)
