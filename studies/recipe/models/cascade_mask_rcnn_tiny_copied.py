"""The tiny model, taught with cells of other images pasted in."""

_base_ = "../../../configs/models/cascade_mask_rcnn_tiny.py"

train_pipeline = _base_.train_pipeline
train_pipeline.insert(1, dict(type="CopyCells", cells=8))
