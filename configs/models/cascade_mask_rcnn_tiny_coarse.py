"""The small model with the published strides: maps of strides 4 to 64, anchors of 8 to 128 pixels on them."""

_base_ = "./cascade_mask_rcnn_tiny.py"

model = dict(
    backbone=dict(type="ResNet"),
    rpn_head=dict(anchor_generator=dict(scales=[2], strides=[4, 8, 16, 32, 64])),
    roi_head=dict(
        bbox_roi_extractor=dict(featmap_strides=[4, 8, 16, 32]), mask_roi_extractor=dict(featmap_strides=[4, 8, 16, 32])
    ),
)
