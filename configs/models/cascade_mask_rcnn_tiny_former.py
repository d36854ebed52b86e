"""The small model as MMDetection would have it: batches are normalised, anchors past the border are not taught."""

_base_ = "./cascade_mask_rcnn_tiny.py"

model = dict(
    backbone=dict(norm_cfg=dict(_delete_=True, type="BN", requires_grad=True)),
    train_cfg=dict(rpn=dict(allowed_border=0)),
)
