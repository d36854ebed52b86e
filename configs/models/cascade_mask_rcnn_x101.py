"""ResNeXt-101 64x4d, for a GPU; begins with COCO's weights."""

_base_ = "./cascade_mask_rcnn_r50.py"

model = dict(backbone=dict(type="ResNeXt", depth=101, groups=64, base_width=4))
train_dataloader = dict(batch_size=4)
train_cfg = dict(max_iters=12000)
load_from = (
    "https://download.openmmlab.com/mmdetection/v2.0/cascade_rcnn/cascade_mask_rcnn_x101_64x4d_fpn_1x_coco/"
    "cascade_mask_rcnn_x101_64x4d_fpn_1x_coco_20200203-9a2db89d.pth"
)
