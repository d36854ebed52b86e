"""Samples of several images: what is pasted lies where its mask says, on bare ground, as the seed has it."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from neuroseg import rle
from neuroseg.detector.dataset import CellDataset
from neuroseg.detector.openmmlab import TRANSFORMS

SIZE = (120, 160)
GROUND = {"cort0": 128, "cort1": 100, "astro0": 60}
"""Grey of each image's ground. Its cells are 50 brighter, in a halo 20 brighter, three pixels wide."""

WINDOW = {"type": "CropCells", "size": 96}


def discs(seed: int) -> np.ndarray:
    """Four discs of radius 7, one in each quarter, clear of the others and of the border."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    centres = [np.add(rng.uniform(-12, 12, 2), (row, column)) for row in (30, 90) for column in (40, 120)]
    return np.stack([(y - row) ** 2 + (x - column) ** 2 <= 49 for row, column in centres])


@pytest.fixture(scope="module")
def culture(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame]:
    folder, images, cells = tmp_path_factory.mktemp("culture"), [], []
    for seed, (name, ground) in enumerate(GROUND.items()):
        masks = discs(seed)
        near = cv2.dilate(masks.any(0).astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
        np.save(
            folder / f"{name}.npy", np.where(masks.any(0), ground + 50, ground + 20 * near).astype(np.uint8)
        )
        images.append(
            {"image_id": name, "path": str(folder / f"{name}.npy"), "height": SIZE[0], "width": SIZE[1]}
        )
        texts = rle.to_coco(rle.from_masks(masks), *SIZE)
        cells += [{"image_id": name, "cell_type": name[:-1], "rle": text} for text in texts]
    return pd.DataFrame(images), pd.DataFrame(cells)


def sample(culture: tuple, pipeline: list[dict], number: int) -> dict:
    """A sample as the given transforms leave it, before packing."""
    dataset = CellDataset(
        *culture, ["astro", "cort"], pipeline=[], seed=0, load=lambda path: np.load(Path(path))
    )
    dataset.pipeline = lambda given: given
    results = dataset.prepare_data(number)
    for step in pipeline:
        results = TRANSFORMS.build(step).transform(results)
    return results


def name_of(results: dict) -> str:
    """The image that a sample is of, by its ground's grey."""
    return {grey: name for name, grey in GROUND.items()}[int(np.median(results["img"]))]


COPY = {"type": "CopyCells", "cells": 6, "halo": 4}


@pytest.mark.parametrize("number", range(8))
def test_pasted_cells_lie_where_their_masks_say_as_bright_over_the_ground_as_they_were(culture, number):
    before, after = sample(culture, [WINDOW], number), sample(culture, [WINDOW, COPY], number)
    ground = GROUND[name_of(before)]
    masks = after["gt_masks"].to_ndarray().astype(bool)
    assert len(masks) == len(after["gt_bboxes_labels"]) == len(after["gt_ignore_flags"])
    pasted = masks[len(before["gt_masks"]) :]
    assert np.abs(after["img"][pasted.any(0)].astype(int) - ground - 50).max(initial=0) <= 1
    assert np.array_equal(masks[: len(before["gt_masks"])], before["gt_masks"].to_ndarray())
    assert masks.sum(axis=0).max() == 1  # no two share a pixel
    for mask, box in zip(masks, after["gt_bboxes"].tensor.tolist(), strict=True):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert box == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def test_cells_come_with_their_halo_and_fade_into_the_ground(culture):
    for number in range(8):
        before, after = sample(culture, [WINDOW], number), sample(culture, [WINDOW, COPY], number)
        ground = GROUND[name_of(before)]
        for mask in after["gt_masks"].to_ndarray()[len(before["gt_masks"]) :]:
            ring = cv2.dilate(mask, np.ones((3, 3), np.uint8)).astype(bool) & ~mask.astype(bool)
            bare = before["img"] == ground
            assert np.median(after["img"][ring & bare]) >= ground + 10
        changed = after["img"] != before["img"]
        near = cv2.dilate(after["gt_masks"].to_ndarray().any(0).astype(np.uint8), np.ones((11, 11), np.uint8))
        assert not (changed & ~near.astype(bool)).any()


def test_cells_are_copied_at_all_and_from_images_of_the_same_type_only(culture):
    more = 0
    for number in range(12):
        before, after = sample(culture, [WINDOW], number), sample(culture, [WINDOW, COPY], number)
        more += len(after["gt_masks"]) - len(before["gt_masks"])
        assert set(after["gt_bboxes_labels"]) == {name_of(before).startswith("cort")}
    assert more > 12


def test_none_asked_for_changes_nothing(culture):
    plain, copied = sample(culture, [WINDOW], 0), sample(culture, [WINDOW, COPY | {"cells": 0}], 0)
    assert np.array_equal(plain["img"], copied["img"])


@pytest.mark.parametrize("number", range(6))
def test_a_mosaic_shows_four_windows_each_with_its_cells(culture, number):
    results = sample(culture, [{"type": "MosaicCells", "size": 96, "share": 1.0}], number)
    masks = results["gt_masks"].to_ndarray().astype(bool)
    assert results["img"].shape == results["img_shape"] == masks.shape[1:] == (96, 96)
    for top in (0, 48):
        for left in (0, 48):
            part = np.s_[top : top + 48, left : left + 48]
            ground = min(GROUND.values(), key=lambda grey: abs(grey - np.median(results["img"][part])))
            shown = masks[(slice(None), *part)].any(0)
            assert (results["img"][part][shown] == ground + 50).all()
            assert set(results["gt_bboxes_labels"][masks[(slice(None), *part)].any((1, 2))]) <= {
                int(ground > 60)
            }
    assert masks.any((1, 2)).all()


def test_a_share_of_none_is_the_plain_window(culture):
    mosaic = sample(culture, [{"type": "MosaicCells", "size": 96, "share": 0.0}], 3)
    assert set(np.unique(mosaic["img"])) <= {grey + more for grey in GROUND.values() for more in (0, 20, 50)}
    assert mosaic["img"].shape == (96, 96)


@pytest.mark.parametrize(
    "step", [COPY, {"type": "MosaicCells", "size": 96, "share": 1.0}], ids=lambda step: step["type"]
)
def test_a_mixed_sample_follows_from_seed_and_number_alone(culture, step):
    pipeline = [WINDOW, step] if step is COPY else [step]
    first, again, other = (sample(culture, pipeline, number)["img"] for number in (4, 4, 5))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
