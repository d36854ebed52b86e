"""ResNet-50 with the published heads, 77 million parameters, for a GPU; begins with COCO's weights."""

_base_ = "./_base_.py"

train_dataloader = dict(batch_size=8, num_workers=8)
optim_wrapper = dict(optimizer=dict(lr=0.01))
train_cfg = dict(max_iters=8000)
default_hooks = dict(checkpoint=dict(interval=500))
load_from = (
    "https://download.openmmlab.com/mmdetection/v2.0/cascade_rcnn/cascade_mask_rcnn_r50_fpn_mstrain_3x_coco/"
    "cascade_mask_rcnn_r50_fpn_mstrain_3x_coco_20210628_164719-5bdc3824.pth"
)
