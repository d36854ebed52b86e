"""The small model, shown the images of every cell type equally often."""

_base_ = "./cascade_mask_rcnn_tiny.py"

train_dataloader = dict(type_balance=1.0)
