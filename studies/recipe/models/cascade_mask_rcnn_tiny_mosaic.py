"""The tiny model, half of whose windows are mosaics of four images."""

_base_ = "../../../configs/models/cascade_mask_rcnn_tiny.py"

train_pipeline = _base_.train_pipeline
train_pipeline[0] = dict(type="MosaicCells", size=256, share=0.5)
