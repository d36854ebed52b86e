"""What the models here share: Cascade Mask R-CNN for cells, at the size of the published one.

A model file holds architecture, augmentation and schedule. Paths, the fold and the cell types come from the
tables. The learning rate's schedule is written for 1,000 iterations and stretched to train_cfg.max_iters.
"""

_base_ = "mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py"

model = dict(
    data_preprocessor=dict(mean=[128.0] * 3, std=[25.0] * 3, bgr_to_rgb=False),
    # Cells of 10-60 pixels, at the images' own scale: maps of strides 2 to 32, anchors of 8 to 128 pixels.
    backbone=dict(type="FineResNet", frozen_stages=-1, norm_eval=False, init_cfg=None),
    rpn_head=dict(
        anchor_generator=dict(scales=[4], ratios=[0.25, 0.5, 1.0, 2.0, 4.0], strides=[2, 4, 8, 16, 32])
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(featmap_strides=[2, 4, 8, 16], finest_scale=28),
        mask_roi_extractor=dict(featmap_strides=[2, 4, 8, 16], finest_scale=28),
        bbox_head=[
            dict(
                type="Shared2FCBBoxHead",
                in_channels=256,
                fc_out_channels=1024,
                roi_feat_size=7,
                num_classes=1,
                reg_class_agnostic=True,
                bbox_coder=dict(type="DeltaXYWHBBoxCoder", target_stds=[0.1 / k, 0.1 / k, 0.2 / k, 0.2 / k]),
                loss_cls=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0),
                loss_bbox=dict(type="SmoothL1Loss", beta=1.0, loss_weight=1.0),
            )
            for k in (1, 2, 3)
        ],
        mask_head=dict(type="CellMaskHead"),
    ),
    # Small crops cut large cells: their anchors reach past the border, and must be taught all the same.
    # On a GPU, beyond 300 cells a crop their overlaps with 109,120 anchors (a gigabyte) are told on the CPU.
    train_cfg=dict(
        rpn=dict(allowed_border=-1, assigner=dict(gpu_assign_thr=300)),
        rpn_proposal=dict(nms_pre=2000, max_per_img=2000),
    ),
    # Up to 790 cells in an image, and neighbours that touch.
    test_cfg=dict(
        rpn=dict(nms_pre=2000, max_per_img=2000, nms=dict(type="nms", iou_threshold=0.7)),
        rcnn=dict(score_thr=0.01, nms=dict(type="nms", iou_threshold=0.5), max_per_img=1000),
    ),
)

train_pipeline = [
    dict(type="CropCells", size=256),
    dict(type="RandomQuarterTurn"),
    dict(type="RandomFlip", prob=[0.25, 0.25, 0.25], direction=["horizontal", "vertical", "diagonal"]),
    dict(type="Microscope", contrast=0.3, brightness=10, slant=15, defocus=1.0, noise=4),
    dict(type="PackCells"),
]
test_pipeline = [dict(type="PackCells")]
# type_balance: from 0, every image once a lap, to 1, every cell type equally often.
train_dataloader = dict(batch_size=2, num_workers=0, type_balance=0.0)

train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=1000)
optim_wrapper = dict(
    optimizer=dict(type="SGD", lr=0.02, momentum=0.9, weight_decay=1e-4),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, begin=0, end=50, by_epoch=False),
    dict(type="CosineAnnealingLR", begin=50, T_max=950, end=1000, eta_min_ratio=0.01, by_epoch=False),
]
custom_hooks = [
    dict(type="EMAHook", ema_type="MomentumAnnealingEMA", momentum=0.0005, gamma=20, update_buffers=True)
]
default_hooks = dict(checkpoint=dict(interval=50))
load_from = None
# Added to the run's seed: a model file that changes this alone repeats a training.
seed = 0
# Whether our compiled kernels stand in for MMDetection's own parts where a detector computes on a CPU.
cpu_kernels = True
