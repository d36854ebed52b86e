"""The small model, for training/init_from to give it a start of its own."""

_base_ = "./cascade_mask_rcnn_tiny.py"
