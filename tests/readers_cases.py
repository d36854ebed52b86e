"""Small data sets of each format, for the tests of the readers."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from neuroseg import readers, rle

RAMP = np.arange(60, dtype=np.uint8).reshape(6, 10)
DEEP = RAMP.astype(np.uint16) * 1000 + 7
SQUARE = [[2, 1, 6, 1, 6, 4, 2, 4]]
"""A polygon of 4 x 3 pixels, columns 2 to 5 and rows 1 to 3."""

PATTERN = (
    r"(?P<cell_type>shsy5y|astro|cort)s?\[(?P<treatment>[^]]*)\]"
    r"_(?P<well>[A-Z]\d+)-(?P<field>\d+)_(?P<plate>Vessel-\d+)_"
)

HEIGHT, WIDTH = 40, 60
"""The size of `picture`."""


def dataset(folder: Path, **keys: object) -> readers.Dataset:
    file = folder / "dataset.yaml"
    file.write_text(yaml.safe_dump({"root": str(folder), **keys}))
    return readers.read_dataset(file)


def rectangle(left: int, top: int, right: int, bottom: int, height: int = 6, width: int = 10) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return mask


def text(mask: np.ndarray) -> str:
    return rle.to_kaggle(rle.from_masks(mask[None]))[0]


def kaggle_row(name: str, mask: np.ndarray, **cells: object) -> dict[str, object]:
    row = {
        "id": name,
        "annotation": text(mask),
        "width": mask.shape[1],
        "height": mask.shape[0],
        "cell_type": "cort",
    }
    return row | {"plate_time": "", "sample_date": "", "sample_id": "", "elapsed_timedelta": ""} | cells


def kaggle(folder: Path, rows: list[dict[str, object]], **keys: object) -> readers.Source:
    """Write a CSV and an image for each of its ids, and read them."""
    (folder / "train").mkdir()
    pd.DataFrame(rows).to_csv(folder / "train.csv", index=False)
    for name in {row["id"] for row in rows}:
        Image.fromarray(RAMP).save(folder / "train" / f"{name}.png")
    return readers.read(dataset(folder, format="kaggle", annotations="train.csv", images=["train"], **keys))


def coco(folder: Path, annotations: object, images: object = None, **keys: object) -> readers.Source:
    """Write a COCO file about one image of 6 x 10 pixels, and read it."""
    (folder / "images").mkdir(exist_ok=True)
    Image.fromarray(RAMP).save(folder / "images" / "a.png")
    listed = [{"id": 5, "file_name": "a.png", "width": 10, "height": 6}] if images is None else images
    categories = [{"id": 1, "name": "astro"}, {"id": 2, "name": "cort"}]
    content = {"images": listed, "annotations": annotations, "categories": categories}
    (folder / "val.json").write_text(json.dumps(content))
    entries = [{"annotations": "val.json", "images": "images", "subset": "val"}]
    return readers.read(dataset(folder, format="coco", annotations=entries, **keys))


def shape(segmentation: object, **keys: object) -> dict[str, object]:
    return {"id": 1, "image_id": 5, "category_id": 1, "segmentation": segmentation, "iscrowd": 0, **keys}


def picture(path: Path, seed: int = 0) -> None:
    """Write an image that own labels may be of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(100, 156, (HEIGHT, WIDTH), dtype=np.uint8)).save(
        path
    )


def read(folder: Path, **keys: object) -> readers.Source:
    """Read a folder of images with own labels, label images where `format` says nothing else."""
    (folder / "set.yaml").write_text(yaml.safe_dump({"root": str(folder), "format": "labels", **keys}))
    return readers.read(readers.read_dataset(folder / "set.yaml"))
