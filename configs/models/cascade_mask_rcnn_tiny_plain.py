"""The small model without photometric changes."""

_base_ = "./cascade_mask_rcnn_tiny.py"

train_pipeline = [
    dict(type="CropCells", size=256),
    dict(type="RandomQuarterTurn"),
    dict(type="RandomFlip", prob=[0.25, 0.25, 0.25], direction=["horizontal", "vertical", "diagonal"]),
    dict(type="PackCells"),
]
