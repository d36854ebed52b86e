"""ResNet-18 with heads a quarter as wide as published, from scratch: for a small GPU, or a CPU by night."""

_base_ = "./cascade_mask_rcnn_tiny.py"

model = dict(
    backbone=dict(base_channels=64),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=64),
    rpn_head=dict(in_channels=64, feat_channels=64),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        mask_roi_extractor=dict(out_channels=64),
        bbox_head=[
            dict(head, in_channels=64, fc_out_channels=256) for head in _base_.model.roi_head.bbox_head
        ],
        mask_head=dict(num_convs=2, in_channels=64, conv_out_channels=64),
    ),
)
train_dataloader = dict(batch_size=4, num_workers=4)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_iters=6000)
