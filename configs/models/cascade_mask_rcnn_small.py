"""Four million parameters, from scratch: learns real cells on one CPU thread in half an hour.

Beside the tiny model: wider; dense proposals by ATSS, of which the anchors' sampled ones lack half of all
crowded or branching cells; boxes scored as cells of any type; images shown by their local contrast; rare
types as often as others.
"""

_base_ = "./cascade_mask_rcnn_tiny.py"

model = dict(
    data_preprocessor=dict(mean=[128.0, 128.0, 60.0], std=[25.0, 40.0, 30.0]),
    backbone=dict(base_channels=32),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=48),
    rpn_head=dict(
        _delete_=True,
        type="DenseProposalHead",
        in_channels=48,
        stacked_convs=1,
        feat_channels=48,
        norm_cfg=dict(type="GN", num_groups=8, requires_grad=True),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=48),
        mask_roi_extractor=dict(out_channels=48),
        bbox_head=[
            dict(head, type="CellBBoxHead", in_channels=48, fc_out_channels=256)
            for head in _base_.model.roi_head.bbox_head
        ],
        mask_head=dict(in_channels=48, conv_out_channels=48),
    ),
    train_cfg=dict(
        rpn=dict(
            _delete_=True,
            assigner=dict(type="ATSSAssigner", topk=9),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        rpn_proposal=dict(score_thr=0.0, nms=dict(type="nms", iou_threshold=0.6)),
    ),
    test_cfg=dict(rpn=dict(score_thr=0.0, nms_pre=2000, max_per_img=2000, nms=dict(iou_threshold=0.6))),
)

# Pale astrocytes stand two grey levels out of the ground: more noise or blur than this, and there is nothing
# to learn.
train_pipeline = [
    dict(type="CropCells", size=256),
    dict(type="RandomQuarterTurn"),
    dict(type="RandomFlip", prob=[0.25, 0.25, 0.25], direction=["horizontal", "vertical", "diagonal"]),
    dict(type="Microscope", contrast=0.3, brightness=5, slant=5, defocus=0.5, noise=1.0),
    dict(type="LocalContrast"),
    dict(type="PackCells"),
]
test_pipeline = [dict(type="LocalContrast"), dict(type="PackCells")]
train_dataloader = dict(type_balance=0.5)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
train_cfg = dict(max_iters=3000)
