"""The tiny model as MMDetection would have it: batches normalised, anchors past the border not taught."""

_base_ = "../../../configs/models/cascade_mask_rcnn_tiny.py"

model = dict(
    backbone=dict(norm_cfg=dict(_delete_=True, type="BN", requires_grad=True)),
    train_cfg=dict(rpn=dict(allowed_border=0)),
)
