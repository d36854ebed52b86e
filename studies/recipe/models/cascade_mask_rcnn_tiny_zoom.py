"""The tiny model, taught on cells of two thirds to one and a half times their size."""

_base_ = "../../../configs/models/cascade_mask_rcnn_tiny.py"

train_pipeline = [
    dict(type="CropCells", size=256, zoom=1.5),
    dict(type="RandomQuarterTurn"),
    dict(type="RandomFlip", prob=[0.25, 0.25, 0.25], direction=["horizontal", "vertical", "diagonal"]),
    dict(type="Microscope", contrast=0.3, brightness=10, slant=15, defocus=1.0, noise=4),
    dict(type="PackCells"),
]
