"""The small model with a backbone that has learnt from natural images: EfficientNet-Lite0, of ImageNet.

It learns real cells on one CPU thread in half an hour. Its weights come with a package (Apache License 2.0).
"""

_base_ = "./cascade_mask_rcnn_small.py"

model = dict(
    data_preprocessor=dict(std=[50.0, 80.0, 60.0]),  # nearer to the spread of natural images
    backbone=dict(_delete_=True, type="LiteEfficientNet", out_indices=(1, 2, 3, 4), norm_eval=True),
    neck=dict(in_channels=[16, 24, 40, 112]),
    roi_head=dict(type="CellRoIHead"),  # scores by proposal and box
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.25))))
load_from = "efficientnet_lite0"
