"""EfficientNet-Lite0 as in `cascade_mask_rcnn_lite0`, looking at every pixel: twice the cost of an iteration.

Its stem has a stride of 1 instead of 2, so that each map of the neck comes from a deeper layer. It learns
real cells on one CPU thread in an hour, and takes 4 GB of memory.
"""

_base_ = "./cascade_mask_rcnn_lite0.py"

model = dict(
    backbone=dict(stem_stride=1, out_indices=(2, 3, 4, 5)),
    neck=dict(in_channels=[24, 40, 112, 320]),
)
train_cfg = dict(max_iters=3500)
