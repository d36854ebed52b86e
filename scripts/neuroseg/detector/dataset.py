"""The training images of one fold, as an endless numbered stream of samples."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from torch.utils.data import Sampler

from neuroseg import rle
from neuroseg.detector import mixing, processes, transforms  # noqa: F401  they enter MMDetection's registry
from neuroseg.detector.openmmlab import BaseDetDataset

Load = Callable[[Path], np.ndarray]
"""Reads a grey image, uint8 (height, width), background near mid grey, as in the competition and LIVECell."""

CACHE = 256 * 2**20
"""Bytes of decoded images that a process keeps."""


class Mix(NamedTuple):
    """How the images of several data sets make one training.

    Attributes:
        sets: of each image, the number of its data set; 0 is the training's own.
        shares: of each data set, its share of the samples.
        magnified: by how much each image is magnified, to show cells at the pixel size of the training's own.
    """

    sets: np.ndarray
    shares: np.ndarray
    magnified: np.ndarray


class CellDataset(BaseDetDataset):
    """Samples of annotated images.

    The index of a sample is its number in the training, not that of an image: the order of the images and
    every random choice of the augmentation follow from the seed and that number. So any number of workers,
    and a training that was stopped and resumed, sees the very same samples.

    Args:
        images: Rows of the images table.
        instances: The instances of these images.
        classes: Cell types, in the order of the labels.
        pipeline: Transforms of a model file.
        seed: Of the order and the augmentation.
        load: Reads an image.
        type_balance: 0 shows every image once a lap; 1 shows each cell type equally often, the images of a
            rare one several times; between them, a type of share p is shown in proportion to p ** (1 -
            type_balance).
        mix: Where the images are of several data sets, or are to be magnified.
    """

    def __init__(
        self,
        images: pd.DataFrame,
        instances: pd.DataFrame,
        classes: Sequence[str],
        *,
        pipeline: list[dict],
        seed: int,
        load: Load,
        type_balance: float = 0.0,
        mix: Mix | None = None,
    ) -> None:
        self.images, self.instances, self.seed, self.type_balance = images, instances, seed, type_balance
        self.mix = mix or Mix(np.zeros(len(images), int), np.ones(1), np.ones(len(images)))
        largest = int((images["height"].astype(int) * images["width"]).max())
        self.read = lru_cache(maxsize=max(1, CACHE // largest))(lambda path: load(Path(path)))
        self.order = lru_cache(maxsize=2)(self._order)
        super().__init__(metainfo={"classes": tuple(classes)}, pipeline=pipeline, serialize_data=False)

    def load_data_list(self) -> list[dict]:
        """Return one record per image, with its instances."""
        labels = {name: label for label, name in enumerate(self.metainfo["classes"])}
        by_image = dict(tuple(self.instances.groupby("image_id", sort=False)))
        nothing = self.instances.iloc[:0]
        records = []
        rows = zip(self.images.itertuples(), self.mix.sets, self.mix.magnified, strict=True)
        for image, number, factor in rows:
            cells = by_image.get(image.image_id, nothing)
            # broken masks end here, not in a worker
            rle.of_image(cells, image.image_id, image.height, image.width)
            records.append(
                {
                    "path": image.path,
                    "size": (int(image.height), int(image.width)),
                    "counts": [bytes(counts) for counts in cells["rle"]],
                    "labels": named(cells["cell_type"]).map(labels).to_numpy(np.int64),
                    "set": int(number),
                    "magnified": float(factor),
                }
            )
        return records

    def _order(self, lap: int) -> np.ndarray:
        """Return the places, in the list of images, of the samples of a lap."""
        generator, count = np.random.default_rng((self.seed, 0, lap)), len(self.data_list)
        if self.type_balance == 0 and len(self.mix.shares) == 1:
            return generator.permutation(count)
        labels = np.array([np.bincount(record["labels"], minlength=1).argmax() for record in self.data_list])
        weights = np.empty(count)
        for number, share in enumerate(self.mix.shares):
            own = self.mix.sets == number
            some = (1 / np.bincount(labels[own])[labels[own]]) ** self.type_balance
            weights[own] = some if len(self.mix.shares) == 1 else share * some / some.sum()
        # Evenly spaced marks on the line of weights: an image's turns differ from their expectation by less
        # than one.
        marks = (np.arange(count) + generator.random()) / count * weights.sum()
        return generator.permutation(
            np.searchsorted(weights.cumsum(), marks, side="right").clip(max=count - 1)
        )

    def prepare_data(self, number: int) -> dict:
        """Return sample `number`, packed for MMDetection."""
        lap, place = divmod(int(number), len(self.data_list))
        random = np.random.default_rng((self.seed, 1, number))
        _reseed(self.seed, number)
        record = self.data_list[self.order(lap)[place]]

        def other(label: int | None = None) -> dict:
            alike = [
                one
                for one in self.data_list
                if one["set"] == record["set"] and len(one["labels"]) and label in (None, *one["labels"][:1])
            ]
            return self._shown(alike[random.integers(len(alike))])

        return self.pipeline({**self._shown(record), "random": random, "other": other})

    def _shown(self, record: dict) -> dict:
        runs = rle.from_coco(record["counts"], *record["size"])
        return {
            "img": self.read(record["path"]),
            "ori_shape": record["size"],
            "runs": runs,
            "cell_boxes": rle.boxes(runs, record["size"][1]),
            "labels": record["labels"],
            "magnified": record["magnified"],
        }


class Numbers(Sampler):
    """Counts the samples, from 0 or from where a resumed training goes on; several processes take turns."""

    def __init__(self, images: int) -> None:
        self.images, self.start = images, 0

    def skip(self, samples: int) -> None:
        """Leave out the first samples of this process: the name under which MMEngine resumes a sampler."""
        self.start = samples * processes.count()

    def __len__(self) -> int:
        """Return how many samples make a lap."""
        return self.images

    def __iter__(self) -> Iterator[int]:
        """Count on without end."""
        return itertools.count(self.start + processes.rank(), processes.count())


def named(cell_types: pd.Series) -> pd.Series:
    """Return the cell types, with 'cell' where none is known."""
    return cell_types.fillna("cell").astype(str)


def _reseed(seed: int, number: int) -> None:
    """Tie the global generators, which MMDetection's own transforms draw from, to the sample as well."""
    state = np.random.SeedSequence((seed, 2, number)).generate_state(1)[0]
    random.seed(int(state))
    np.random.seed(state)  # noqa: NPY002
