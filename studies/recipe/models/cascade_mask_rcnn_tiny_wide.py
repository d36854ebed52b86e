"""The tiny model with twice the channels in its backbone."""

_base_ = "../../../configs/models/cascade_mask_rcnn_tiny.py"

model = dict(backbone=dict(base_channels=32), neck=dict(in_channels=[32, 64, 128, 256]))
