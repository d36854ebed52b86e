"""ResNeXt-101 64x4d with the published heads, 135 million parameters, for a GPU; from COCO's weights."""

_base_ = "./cascade_mask_rcnn_r50.py"

model = dict(backbone=dict(type="FineResNeXt", depth=101, groups=64, base_width=4))
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(optimizer=dict(lr=0.005))
train_cfg = dict(max_iters=16000)
load_from = (
    "https://download.openmmlab.com/mmdetection/v2.0/cascade_rcnn/cascade_mask_rcnn_x101_64x4d_fpn_mstrain_3x_coco/"
    "cascade_mask_rcnn_x101_64x4d_fpn_mstrain_3x_coco_20210719_210311-d3e64ba0.pth"
)
