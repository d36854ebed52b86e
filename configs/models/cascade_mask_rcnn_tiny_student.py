"""The small model, for training/pseudo_label to teach it what the small model finds in images without annotation."""

_base_ = "./cascade_mask_rcnn_tiny.py"
