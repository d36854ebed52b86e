"""ResNet-50, the published heads, for a GPU; begins with COCO's weights."""

_base_ = "./_base_.py"

train_dataloader = dict(batch_size=8, num_workers=8)
train_cfg = dict(max_iters=8000)
default_hooks = dict(checkpoint=dict(interval=500))
load_from = (
    "https://download.openmmlab.com/mmdetection/v2.0/cascade_rcnn/cascade_mask_rcnn_r50_fpn_1x_coco/"
    "cascade_mask_rcnn_r50_fpn_1x_coco_20200203-9d4dcb24.pth"
)
