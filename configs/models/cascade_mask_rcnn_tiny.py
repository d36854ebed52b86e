"""A million parameters, from scratch: learns on one CPU thread in minutes."""

_base_ = "./_base_.py"

model = dict(
    # From scratch, two crops of unlike cultures make no batch to normalise over.
    backbone=dict(depth=18, base_channels=16, norm_cfg=dict(type="GN", num_groups=8)),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=32),
    rpn_head=dict(in_channels=32, feat_channels=32, anchor_generator=dict(ratios=[0.5, 1.0, 2.0])),
    roi_head=dict(
        # Regions up to 28 pixels on the finest map; one sample a bin is enough for them, and four times as
        # fast.
        bbox_roi_extractor=dict(out_channels=32, finest_scale=14, roi_layer=dict(sampling_ratio=1)),
        mask_roi_extractor=dict(out_channels=32, finest_scale=14, roi_layer=dict(sampling_ratio=1)),
        bbox_head=[
            dict(head, in_channels=32, fc_out_channels=128) for head in _base_.model.roi_head.bbox_head
        ],
        mask_head=dict(num_convs=2, in_channels=32, conv_out_channels=32),
    ),
    train_cfg=dict(rpn=dict(sampler=dict(num=128)), rpn_proposal=dict(nms_pre=500, max_per_img=300)),
    test_cfg=dict(rpn=dict(nms_pre=1000, max_per_img=1000)),
)
# So short a training gets nowhere with SGD: on real images 200 steps of it reach half the score of AdamW's.
optim_wrapper = dict(
    _delete_=True,
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=3e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=5, norm_type=2),
)
train_cfg = dict(max_iters=600)
