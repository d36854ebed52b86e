"""Small data sets, drawn to have one fault or none, for the tests of `validate`'s checks."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from neuroseg import quality, readers, rle
from neuroseg.quality.masks import inspect

HEIGHT, WIDTH = 60, 80
EIGHT = np.ones((3, 3), bool)
DEFAULTS = quality.settings({}, {}, (), "dataset.yaml")


def rectangle(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


def disc(x: int, y: int, radius: int) -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


BLOCK = rectangle(0, 0, 10, 10)
RING = disc(30, 20, 9) & ~disc(30, 20, 7)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(100, 156, (HEIGHT, WIDTH), dtype=np.uint8)


def culture(folder: Path, cells: dict[str, list[np.ndarray]], **keys: object) -> Path:
    """A data set in the competition's layout and its dataset file: an image for each name of `cells`."""
    (folder / "train").mkdir()
    rows = []
    for seed, (name, masks) in enumerate(cells.items()):
        Image.fromarray(picture(seed)).save(folder / "train" / f"{name}.png")
        texts = rle.to_kaggle(rle.from_masks(np.stack(masks))) if masks else [""]
        rows += [(name, text, WIDTH, HEIGHT, "cort", f"s_{name}") for text in texts]
    columns = ["id", "annotation", "width", "height", "cell_type", "sample_id"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "train.csv", index=False)
    file = folder / "dataset.yaml"
    content = {"format": "kaggle", "root": str(folder), "annotations": "train.csv", "images": ["train"]}
    file.write_text(yaml.safe_dump(content | keys))
    return file


def checked(file: Path) -> quality.Checked:
    dataset = readers.read_dataset(file)
    settings = quality.settings(dataset.policies, dataset.limits, dataset.cell_types, file)
    source = readers.read(dataset)
    return quality.check(*source, readers.survey(source.images["path"]), settings)


def look(masks: list[np.ndarray], policies: dict[str, str] | None = None, **limits: float) -> tuple:
    """Inspect one image's masks; return what stays, as dense masks, and (check, position) of each find."""
    settings = quality.settings(policies or {}, limits, (), "dataset.yaml")
    runs = rle.from_masks(np.stack(masks))
    result = inspect(runs, [f"row {at}" for at in range(len(masks))], HEIGHT, WIDTH, settings)
    kept = rle.to_masks(rle.take(result.masks, np.flatnonzero(result.stays)), HEIGHT, WIDTH)
    return kept, [(item.check, int(item.at)) for item in result.findings]
