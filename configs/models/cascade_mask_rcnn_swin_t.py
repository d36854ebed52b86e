"""Swin-T with dense proposals, 82 million parameters, for a GPU; begins with COCO's weights of Mask R-CNN.

Members of an ensemble should differ: this one does in its backbone, and in how regions are proposed.
"""

_base_ = "./cascade_mask_rcnn_r50.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="FineSwin",
        embed_dims=96,
        depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24],
        window_size=7,
        drop_path_rate=0.2,
    ),
    neck=dict(in_channels=[96, 192, 384, 768]),
    rpn_head=dict(
        _delete_=True,
        type="DenseProposalHead",
        in_channels=256,
        stacked_convs=2,
        feat_channels=256,
        norm_cfg=dict(type="GN", num_groups=32, requires_grad=True),
    ),
    roi_head=dict(type="CellRoIHead"),
    train_cfg=dict(
        rpn=dict(
            _delete_=True,
            assigner=dict(type="ATSSAssigner", topk=9),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        rpn_proposal=dict(score_thr=0.0),
    ),
    test_cfg=dict(rpn=dict(score_thr=0.0)),
)
optim_wrapper = dict(
    _delete_=True,
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(
        custom_keys=dict(relative_position_bias_table=dict(decay_mult=0.0), norm=dict(decay_mult=0.0))
    ),
    clip_grad=dict(max_norm=35, norm_type=2),
)
load_from = (
    "https://download.openmmlab.com/mmdetection/v2.0/swin/mask_rcnn_swin-t-p4-w7_fpn_ms-crop-3x_coco/"
    "mask_rcnn_swin-t-p4-w7_fpn_ms-crop-3x_coco_20210906_131725-bacf6f7b.pth"
)
