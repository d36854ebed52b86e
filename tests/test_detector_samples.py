"""What a detector learns from, on discs: masks, windows of images, the folds that it sees."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from discs import Culture, discs

from neuroseg import rle
from neuroseg.detector import configuration
from neuroseg.detector.dataset import CellDataset, Mix
from neuroseg.detector.masks import CellMasks
from neuroseg.detector.openmmlab import TRANSFORMS, BitmapMasks, HorizontalBoxes
from neuroseg.errors import DataError
from neuroseg.folds import selection

ROOT = Path(__file__).parents[1]

# ------------------------------------------------------------------------------------------------------ masks


@pytest.fixture
def both_masks() -> tuple[CellMasks, BitmapMasks]:
    """The same discs within their boxes, and as MMDetection's whole frames."""
    frames = discs(5, 60, 90)
    runs = rle.from_masks(frames)
    parts = [rle.crop(runs, i, 90) for i in range(5)]
    cells = CellMasks([mask for mask, _, _ in parts], [(x, y) for _, x, y in parts], 60, 90)
    return cells, BitmapMasks(frames.astype(np.uint8), 60, 90)


def test_cell_masks_are_the_frames_they_were_cut_from(both_masks):
    cells, frames = both_masks
    assert np.array_equal(cells.to_ndarray(), frames.to_ndarray())
    assert np.array_equal(cells.areas, frames.areas)
    assert np.array_equal(cells[np.array([3, 1])].to_ndarray(), frames[np.array([3, 1])].to_ndarray())


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "diagonal"])
def test_cell_masks_flip_as_mmdetections_do(both_masks, direction):
    cells, frames = both_masks
    assert np.array_equal(cells.flip(direction).to_ndarray(), frames.flip(direction).to_ndarray())


def test_cell_masks_transpose(both_masks):
    cells, frames = both_masks
    assert np.array_equal(cells.transpose().to_ndarray(), frames.to_ndarray().transpose(0, 2, 1))


def test_mask_targets_equal_mmdetections(both_masks):
    cells, frames = both_masks
    random = np.random.default_rng(1)
    inds = np.array([0, 4, 4, 2])
    boxes = np.array([cells.corners[i].tolist() + cells.ends[i].tolist() for i in inds]) + random.normal(
        0, 3, (4, 4)
    )
    boxes = boxes.astype(np.float32)
    ours = cells.crop_and_resize(boxes, (28, 28), inds, binarize=False)
    theirs = frames.crop_and_resize(boxes, (28, 28), inds, binarize=False)
    assert np.allclose(ours.masks, theirs.masks, atol=1e-5)


def test_mask_targets_of_a_magnified_image_are_those_of_the_image(both_masks):
    cells, _ = both_masks
    boxes, inds = np.float32([[10, 10, 30, 30]]), np.array([0])
    large = cells.resize((120, 270)).pad((128, 288))
    assert (large.height, large.width) == (128, 288)
    plain = cells.crop_and_resize(boxes, (28, 28), inds)
    assert np.array_equal(large.crop_and_resize(boxes * [3, 2, 3, 2], (28, 28), inds).masks, plain.masks)
    assert np.array_equal(
        cells.rescale(2.0).flip().crop_and_resize(boxes, (28, 28), inds).masks.shape, (1, 28, 28)
    )


def test_no_mask_has_no_target():
    assert len(CellMasks([], [], 10, 10).crop_and_resize(np.empty((0, 4)), (28, 28), np.empty(0))) == 0


def test_a_transform_that_cell_masks_lack_is_named():
    with pytest.raises(TypeError, match="flip, transpose and resize"):
        CellMasks([], [], 10, 10).rotate((10, 10), 30)


# -------------------------------------------------------------------------------------- samples of a training


def sample_of(culture: Culture, pipeline: list[dict], number: int = 0, seed: int = 0):
    dataset = CellDataset(
        culture.images, culture.instances, ["astro", "cort"], pipeline=pipeline, seed=seed, load=np.load
    )
    return dataset[number]


GEOMETRY = [
    {"type": "CropCells", "size": 96},
    {"type": "RandomQuarterTurn"},
    {"type": "RandomFlip", "prob": [0.25, 0.25, 0.25], "direction": ["horizontal", "vertical", "diagonal"]},
]


@pytest.mark.parametrize("number", range(8))
def test_a_sample_shows_its_masks_where_its_cells_are(culture, number):
    sample = sample_of(culture, [*GEOMETRY, {"type": "PackCells"}], number)
    truth = sample["data_samples"].gt_instances
    shown = truth.masks.to_ndarray().any(axis=0)
    bright = sample["inputs"][0].numpy() == 200
    assert shown.any()
    assert not (shown & ~bright).any()  # cells with a tenth or less in the window are not labelled
    boxes = HorizontalBoxes.from_instance_masks(BitmapMasks(truth.masks.to_ndarray(), *shown.shape))
    assert torch.equal(truth.bboxes.tensor, boxes.tensor)
    assert set(truth.labels.tolist()) in ({0}, {1})


@pytest.mark.parametrize("number", range(8))
def test_a_zoomed_sample_is_as_large_and_its_boxes_fit_its_masks(culture, number):
    sample = sample_of(
        culture,
        [{"type": "CropCells", "size": 96, "zoom": 1.5}, *GEOMETRY[1:], {"type": "PackCells"}],
        number,
    )
    truth = sample["data_samples"].gt_instances
    scale = np.tile(np.float32(truth.masks.scale), 2)
    assert sample["inputs"].shape == (3, 96, 96)
    assert (scale >= 0.66).all()
    assert (scale <= 1.51).all()
    assert not np.allclose(scale, 1)
    corners = np.column_stack([truth.masks.corners, truth.masks.ends])
    np.testing.assert_allclose(truth.bboxes.tensor.numpy(), corners * scale, atol=1e-3)
    cells = roi_of(truth.masks, truth.bboxes.tensor)
    bright = sample["inputs"][0].numpy() > 150
    for mask, box in zip(cells, truth.bboxes.tensor.round().int().tolist(), strict=True):
        x1, y1, x2, y2 = box
        shown = cv2.resize(bright[y1:y2, x1:x2].astype(np.float32), (28, 28)) > 0.5
        assert (shown[mask]).mean() > 0.9


def roi_of(masks, boxes) -> np.ndarray:
    """The masks over their boxes, as the mask head is taught them, bool (n, 28, 28)."""
    return masks.crop_and_resize(boxes, (28, 28), np.arange(len(masks))).masks.astype(bool)


def test_a_small_image_is_taken_whole(culture):
    sample = sample_of(culture, [{"type": "CropCells", "size": 500}, {"type": "PackCells"}])
    assert sample["inputs"].shape == (3, 128, 160)
    assert len(sample["data_samples"].gt_instances) == 12


def test_the_microscope_changes_grey_values_and_not_places(culture):
    plain = sample_of(culture, [{"type": "CropCells", "size": 500}, {"type": "PackCells"}])
    varied = sample_of(
        culture, [{"type": "CropCells", "size": 500}, {"type": "Microscope"}, {"type": "PackCells"}]
    )
    before, after = (sample["inputs"][0].numpy().astype(float) for sample in (plain, varied))
    assert not np.array_equal(before, after)
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.8


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_a_share_of_images_lose_their_levels_below_the_median(share):
    """As exports with the background subtracted have lost them."""
    step = TRANSFORMS.build({"type": "Microscope", "cut": share})
    random = np.random.default_rng(0)
    image = np.random.default_rng(1).integers(90, 160, (48, 64)).astype(np.uint8)
    shown = [step({"img": image, "random": random})["img"] for _ in range(64)]
    cut = [(one == one.min()).mean() > 0.4 for one in shown]
    assert abs(np.mean(cut) - share) < 0.2
    assert all(len(np.unique(one)) > 10 for one in shown)


def contrasts(image: np.ndarray) -> np.ndarray:
    return TRANSFORMS.build({"type": "LocalContrast"})({"img": image})["img"]


@pytest.mark.parametrize("grey", [90, 128, 170])
def test_a_flat_image_has_no_contrast_at_any_brightness(grey):
    shown = contrasts(np.full((40, 50), grey, np.uint8))
    assert shown.shape == (40, 50, 3)
    assert (shown == [min(128 + 2 * (grey - 128), 255), 128, 0]).all()


def test_local_contrast_is_told_relative_to_the_surroundings():
    pale = np.full((96, 96), 120, np.uint8)
    pale[40:56, 40:56] += 6
    brighter, stronger = pale + 10, pale.copy()
    stronger[40:56, 40:56] += 24
    plain, shifted, strong = (contrasts(image).astype(int) for image in (pale, brighter, stronger))
    assert (plain[..., 1:] == shifted[..., 1:]).all()
    assert plain[48, 48, 1] > 160  # against 132 grey levels out of 256 in the image itself
    assert strong[48, 48, 1] < plain[48, 48, 1] + 50  # five times the contrast is not five times as much
    assert plain[8, 8, 2] == 0
    assert plain[40, 48, 2] > 20


def test_a_sample_follows_from_seed_and_number_alone(culture):
    pipeline = configuration.read(ROOT / "configs/models/cascade_mask_rcnn_tiny.py").train_pipeline
    dataset = CellDataset(
        culture.images, culture.instances, ["astro", "cort"], pipeline=pipeline, seed=3, load=np.load
    )
    first, later = dataset[7]["inputs"], [dataset[number] for number in (0, 30, 7)][-1]["inputs"]
    assert torch.equal(first, later)
    assert not torch.equal(first, sample_of(culture, pipeline, 7, seed=4)["inputs"])


def test_each_lap_shows_every_image_once(culture):
    dataset = CellDataset(
        culture.images, culture.instances, ["astro", "cort"], pipeline=[], seed=0, load=np.load
    )
    places = [tuple(map(id, (dataset[number]["labels"],))) for number in range(8)]
    assert len(set(places[:4])) == 4
    assert set(places[:4]) == set(places[4:])


def test_balanced_laps_show_every_type_equally_often_and_all_its_images(culture):
    # Of nine images, one shows astro; a lap of nine samples shows it four or five times.
    few = ["astro"] + ["cort"] * 8
    images = pd.concat([culture.images.iloc[[0]]] * 9, ignore_index=True)
    images["image_id"] = [f"copy{i}" for i in range(9)]
    cells = culture.instances[culture.instances["image_id"] == "image0"].iloc[:1]
    cells = pd.concat([cells] * 9, ignore_index=True).assign(image_id=images["image_id"], cell_type=few)
    dataset = CellDataset(
        images, cells, ["astro", "cort"], pipeline=[], seed=0, load=np.load, type_balance=1.0
    )
    shown = np.array([dataset[number]["labels"][0] for number in range(90)])
    assert set((shown.reshape(10, 9) == 0).sum(axis=1)) <= {4, 5}
    assert {dataset.order(lap)[i] for lap in range(10) for i in range(9)} == set(range(9))


def test_a_further_data_set_makes_up_its_share_of_the_samples(culture):
    images = pd.concat([culture.images.iloc[[0]]] * 10, ignore_index=True)
    images["image_id"] = [f"copy{i}" for i in range(10)]
    cells = culture.instances[culture.instances["image_id"] == "image0"].iloc[:1]
    cells = pd.concat([cells] * 10, ignore_index=True).assign(image_id=images["image_id"])
    sets = np.repeat([0, 1], [2, 8])
    dataset = CellDataset(
        images,
        cells,
        ["astro", "cort"],
        pipeline=[],
        seed=0,
        load=np.load,
        mix=Mix(sets, np.array([0.6, 0.4]), np.ones(10)),
        type_balance=0.5,
    )
    for lap in range(5):
        assert (sets[dataset.order(lap)] == 0).sum() == 6
    assert {place for lap in range(20) for place in dataset.order(lap)} == set(range(10))


@pytest.mark.parametrize(
    ("zoom", "magnified", "side"), [((0.5, 0.5), 1.0, 64), (1.0, 2.0, 16), (2.0, 1.0, None)]
)
def test_windows_are_cut_by_the_magnification_of_model_and_image(culture, zoom, magnified, side):
    crop, taken = TRANSFORMS.build({"type": "CropCells", "size": 32, "zoom": zoom}), []
    data = CellDataset(
        culture.images, culture.instances, ["astro", "cort"], pipeline=[], seed=0, load=np.load
    )
    for seed in range(30):
        drawn = {"random": np.random.default_rng(seed), "magnified": magnified}
        window = crop.transform(data[0] | drawn)
        assert window["img"].shape == (32, 32)
        taken.append(round(32 / window["gt_masks"].scale[0]))
    assert set(taken) == {side} if side else (min(taken) < 20 and max(taken) > 50)


@pytest.mark.parametrize("zoom", [0, 0.5, -1, (1.5, 0.4), (0.5, 1, 2), (0, 1), float("nan")])
def test_a_zoom_that_is_none_is_refused_in_a_sentence(zoom):
    with pytest.raises(DataError, match="must be 1 or more, or two numbers above 0, the smaller first"):
        TRANSFORMS.build({"type": "CropCells", "size": 32, "zoom": zoom})


def test_a_fold_holds_out_its_own_images_and_those_of_no_fold(culture):
    folds = culture.folds.assign(fold=[0, 1, 1, -1])
    images, cells = selection.training(culture.images, culture.instances, folds, 0)
    assert images["image_id"].tolist() == ["image1", "image2"]
    assert set(cells["image_id"]) == {"image1", "image2"}
    assert selection.held_out(culture.images, folds, 0)["image_id"].tolist() == ["image0", "image3"]


def test_the_fold_all_learns_from_every_fold_and_is_tried_on_none(culture):
    folds = culture.folds.assign(fold=[0, 1, 1, -1])
    images, _ = selection.training(culture.images, culture.instances, folds, "all")
    assert images["image_id"].tolist() == ["image0", "image1", "image2"]
    assert selection.held_out(culture.images, folds, "all")["image_id"].tolist() == ["image3"]


def test_nothing_to_learn_from_is_said(culture):
    alone = culture.folds.assign(fold=0)
    with pytest.raises(DataError, match="no annotated image is left"):
        selection.training(culture.images, culture.instances, alone, 0)
    with pytest.raises(DataError, match="show no cell"):
        selection.training(culture.images, culture.instances.iloc[:0], culture.folds, 0)
