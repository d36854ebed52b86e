"""ResNet-18 with heads of a quarter of the published width, from scratch: for a small GPU, or a CPU overnight."""

_base_ = "./cascade_mask_rcnn_tiny.py"

model = dict(
    backbone=dict(base_channels=64),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=64),
    rpn_head=dict(in_channels=64, feat_channels=64),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        mask_roi_extractor=dict(out_channels=64),
        bbox_head=[
            dict(
                type="Shared2FCBBoxHead",
                in_channels=64,
                fc_out_channels=256,
                roi_feat_size=7,
                num_classes=1,
                reg_class_agnostic=True,
                bbox_coder=dict(type="DeltaXYWHBBoxCoder", target_stds=[0.1 / k, 0.1 / k, 0.2 / k, 0.2 / k]),
            )
            for k in (1, 2, 3)
        ],
        mask_head=dict(num_convs=2, in_channels=64, conv_out_channels=64),
    ),
)
train_dataloader = dict(batch_size=4, num_workers=4)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_iters=6000)
