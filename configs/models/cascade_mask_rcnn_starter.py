"""The model of the starter detector: Lite0, taught on cells of two fifths to one and a half times their size.

Somebody's own images come at other magnifications, exposures and focus than those it learns from, some of
them with the background subtracted: all of this varies more here than where images are of one microscope.
"""

_base_ = "./cascade_mask_rcnn_lite0.py"

train_pipeline = [
    dict(type="CropCells", size=256, zoom=(0.4, 1.5)),
    dict(type="RandomQuarterTurn"),
    dict(type="RandomFlip", prob=[0.25, 0.25, 0.25], direction=["horizontal", "vertical", "diagonal"]),
    dict(type="Microscope", contrast=0.8, brightness=30, slant=10, defocus=1.5, noise=2.0, cut=0.15),
    dict(type="LocalContrast"),
    dict(type="PackCells"),
]
