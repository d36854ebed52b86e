"""The detector, on discs: what it learns from, that it learns the same twice, and where it says that a cell lies."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from neuroseg import rle, tables
from neuroseg.detector import (
    assigning,
    checkpoints,
    configuration,
    precision,
    predict,
    progress,
    proposing,
    save,
    selection,
    train,
    upsampling,
    views,
)
from neuroseg.detector.dataset import CellDataset
from neuroseg.detector.inference import Looker
from neuroseg.detector.masks import CellMasks
from neuroseg.detector.openmmlab import (
    MODELS,
    TRANSFORMS,
    BitmapMasks,
    Compose,
    Config,
    FCNMaskHead,
    HorizontalBoxes,
    InstanceData,
    MaxIoUAssigner,
    SingleRoIExtractor,
)
from neuroseg.detector.roi_align import QuickExtractor
from neuroseg.tables import DataError

ROOT = Path(__file__).parents[1]
MODEL_FILES = sorted((ROOT / "configs/models").glob("[!_]*.py"))

MICRO = f"""
_base_ = "{ROOT}/configs/models/cascade_mask_rcnn_tiny.py"
model = dict(
    backbone=dict(base_channels=8),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        mask_roi_extractor=dict(out_channels=16),
        bbox_head=[
            dict(
                type="Shared2FCBBoxHead", in_channels=16, fc_out_channels=16, num_classes=1, reg_class_agnostic=True,
                bbox_coder=dict(type="DeltaXYWHBBoxCoder", target_stds=[0.1, 0.1, 0.2, 0.2]),
            )
        ] * 3,
        mask_head=dict(num_convs=1, in_channels=16, conv_out_channels=8),
    ),
)
train_pipeline = [
    dict(type="CropCells", size=96),
    dict(type="RandomQuarterTurn"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Microscope"),
    dict(type="PackCells"),
]
train_cfg = dict(max_iters=6)
default_hooks = dict(checkpoint=dict(interval=2))
"""


METHODS = {True: cv2.INTER_LINEAR, False: cv2.INTER_AREA}
"""How an image is made larger, and smaller."""


class Culture:
    """Discs on grey, as files and tables."""

    def __init__(self, folder: Path, count: int = 4, cells: int = 12, size: tuple[int, int] = (128, 160)) -> None:
        self.height, self.width = size
        rows, cell_rows, self.pixels = [], [], {}
        for i in range(count):
            name, cell_type = f"image{i}", ("astro", "cort")[i % 2]
            masks = discs(cells, *size, seed=i)
            image = np.full(size, 128, np.uint8)
            for mask in masks:
                image[mask] = 200
            path = folder / f"{name}.npy"
            np.save(path, image)
            rows.append({"image_id": name, "path": str(path), "height": size[0], "width": size[1]} | KNOWN)
            runs = rle.from_masks(masks)
            boxes, areas = rle.boxes(runs, size[1]), rle.areas(runs)
            cell_rows += [
                {"image_id": name, "instance_id": k, "cell_type": cell_type, "area": areas[k], "rle": counts}
                | dict(zip(("x1", "y1", "x2", "y2"), boxes[k], strict=True))
                for k, counts in enumerate(rle.to_coco(runs, *size))
            ]
        self.images = pd.DataFrame(rows)
        self.instances = pd.DataFrame(cell_rows)
        self.folds = pd.DataFrame({"image_id": self.images["image_id"], "fold": np.arange(count) // 2})


KNOWN = {"group": "g", "subset": "train", "annotated": True}


def discs(count: int, height: int, width: int, seed: int = 0, radius: float = 8) -> np.ndarray:
    """Discs at random places, wholly within the frame, bool, shape (count, height, width)."""
    centres = np.random.default_rng(seed).uniform(radius, (height - radius, width - radius), (count, 2))
    y, x = np.mgrid[:height, :width] + 0.5
    return (y - centres[:, 0, None, None]) ** 2 + (x - centres[:, 1, None, None]) ** 2 <= radius**2


@pytest.fixture(scope="module")
def culture(tmp_path_factory: pytest.TempPathFactory) -> Culture:
    return Culture(tmp_path_factory.mktemp("culture"))


@pytest.fixture(scope="module")
def micro(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "micro.py"
    path.write_text(MICRO)
    return path


def learn(culture: Culture, micro: Path, work_dir: Path, **changes):
    settings = {"fold": 0, "seed": 0, "work_dir": work_dir, "load": np.load} | changes
    return train(micro, culture.images, culture.instances, culture.folds, **settings)


@pytest.fixture(scope="module")
def trained(culture: Culture, micro: Path, tmp_path_factory: pytest.TempPathFactory):
    return learn(culture, micro, tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def checkpoint(trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    save(trained, folder / "model.pth", folder / "config.py", folder / "scalars.json")
    return folder / "model.pth"


def same_weights(one, other) -> bool:
    one, other = one.detector["state_dict"], other.detector["state_dict"]
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# --------------------------------------------------------------------------------------------------------------- masks


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
    boxes = np.array([cells.corners[i].tolist() + cells.ends[i].tolist() for i in inds]) + random.normal(0, 3, (4, 4))
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
    assert np.array_equal(cells.rescale(2.0).flip().crop_and_resize(boxes, (28, 28), inds).masks.shape, (1, 28, 28))


def test_no_mask_has_no_target():
    assert len(CellMasks([], [], 10, 10).crop_and_resize(np.empty((0, 4)), (28, 28), np.empty(0))) == 0


def test_a_transform_that_cell_masks_lack_is_named():
    with pytest.raises(TypeError, match="flip, transpose and resize"):
        CellMasks([], [], 10, 10).rotate((10, 10), 30)


# ------------------------------------------------------------------------------------------------------------ RoIAlign


@pytest.mark.parametrize("samples", [1, 2])
def test_the_quick_extractor_equals_mmdetections(samples):
    torch.manual_seed(0)
    theirs = SingleRoIExtractor({"type": "RoIAlign", "output_size": 7, "sampling_ratio": samples}, 6, [4, 8, 16])
    corners = torch.rand(60, 2) * 80 - 10  # some boxes stick out of the image
    rois = torch.cat([torch.randint(0, 2, (60, 1)).float(), corners, corners + torch.rand(60, 2) * 300 + 1], 1)
    assert len(theirs.map_roi_levels(rois, 3).unique()) == 3
    values, slopes = [], []
    for extract in (theirs, QuickExtractor(theirs)):
        random = torch.Generator().manual_seed(1)
        maps = [torch.randn(2, 6, 64 // k, 80 // k, generator=random, requires_grad=True) for k in (4, 8, 16)]
        values.append(extract(maps, rois))
        (values[-1] ** 2).sum().backward()
        slopes.append([each.grad for each in maps])
    assert torch.allclose(*values, atol=1e-5)
    assert all(torch.allclose(one, other, atol=1e-3) for one, other in zip(*slopes, strict=True))


def test_a_deconvolution_in_tiles_equals_pytorchs():
    torch.manual_seed(0)
    theirs = torch.nn.ConvTranspose2d(6, 5, 2, stride=2)
    ours = torch.nn.ConvTranspose2d(6, 5, 2, stride=2)
    ours.load_state_dict(theirs.state_dict())
    upsampling.quicken(torch.nn.Sequential(ours))
    assert type(ours) is upsampling.TiledDeconvolution
    values, slopes = [], []
    for layer in (theirs, ours):
        features = torch.randn(3, 6, 4, 7, generator=torch.Generator().manual_seed(1), requires_grad=True)
        values.append(layer(features))
        (values[-1] ** 2).sum().backward()
        slopes.append((features.grad, layer.weight.grad, layer.bias.grad))
    assert torch.allclose(*values, atol=1e-5)
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(*slopes, strict=True))


@pytest.mark.parametrize(("upsample", "agnostic"), [("deconv", False), ("deconv", True), ("nearest", False)])
@pytest.mark.parametrize("n", [0, 3, 20])
@torch.inference_mode()
def test_the_logits_of_each_regions_own_type_equal_mmdetections(n, upsample, agnostic):
    torch.manual_seed(0)
    config = {"type": upsample, "scale_factor": 2}
    head = FCNMaskHead(2, 14, 8, 3, 8, num_classes=3, class_agnostic=agnostic, upsample_cfg=config).eval()
    features, types = torch.randn(n, 8, 14, 14), torch.arange(n) % 3
    theirs = head(features)[torch.arange(n), types * (not agnostic)]
    upsampling.quicken(head)
    ours = upsampling.logits(head, features, types)
    assert upsampling._tiled(head) == (upsample == "deconv")
    torch.testing.assert_close(ours, theirs)


def test_a_deconvolution_that_overlaps_itself_is_left_alone():
    layer = torch.nn.ConvTranspose2d(6, 5, 4, stride=2, padding=1)
    upsampling.quicken(torch.nn.Sequential(layer))
    assert type(layer) is torch.nn.ConvTranspose2d


# ----------------------------------------------------------------------------------------------------------- assigning


@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize("low_quality", [True, False])
@pytest.mark.parametrize("cells", [0, 1, 40])
def test_the_quick_assigner_equals_mmdetections(cells, low_quality, every):
    random = torch.Generator().manual_seed(0)
    x, y, side = torch.meshgrid(torch.arange(0, 200, 4), torch.arange(0, 160, 4), torch.tensor([8, 16]), indexing="ij")
    anchors = torch.stack([x - side, y - side, x + side, y + side], -1).reshape(-1, 4).float()
    corners = torch.randint(0, 150, (cells, 2), generator=random).float()
    truth = torch.cat([corners, corners + torch.randint(2, 40, (cells, 2), generator=random)], 1)
    given = (
        InstanceData(priors=anchors),
        InstanceData(bboxes=truth, labels=torch.randint(0, 3, (cells,), generator=random)),
    )
    settings = {"pos_iou_thr": 0.7, "neg_iou_thr": 0.3, "min_pos_iou": 0.3}
    assigner = MaxIoUAssigner(**settings, match_low_quality=low_quality, gt_max_assign_all=every)
    theirs = assigner.assign(*given)
    model = SimpleNamespace(rpn_head=SimpleNamespace(assigner=assigner), roi_head=None)
    assigning.quicken(model)
    ours = assigner.assign(*given)
    assert len(anchors) > assigning.BLOCK
    assert type(assigner) is assigning.QuickAssigner
    for name in ("gt_inds", "max_overlaps", "labels"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name))
    assert cells < 40 or theirs.gt_inds.unique()[:2].tolist() == [-1, 0]


# ----------------------------------------------------------------------------------------------------------- proposing


@pytest.mark.parametrize("limit", [7, 5000])
def test_the_quick_proposals_equal_mmdetections(micro, limit):
    config = configuration.fit(configuration.read(micro), ["cell"]).model
    head = MODELS.build({**config.rpn_head, "train_cfg": config.train_cfg.rpn, "test_cfg": config.test_cfg.rpn})
    cfg = config.test_cfg.rpn | {"max_per_img": limit}
    random = torch.Generator().manual_seed(0)
    maps = [(1, 64 // 2**k, 96 // 2**k) for k in range(5)]
    anchors = [3 * h * w for _, h, w in maps]
    values = torch.linspace(-5, 5, sum(anchors))[torch.randperm(sum(anchors), generator=random)]  # no two are equal
    scores = [each.view(1, 3, h, w) for each, (_, h, w) in zip(values.split(anchors), maps, strict=True)]
    deltas = [torch.randn(n, 12, h, w, generator=random) / 4 for n, h, w in maps]
    metas = [{"img_shape": (128, 192)}]
    (theirs,) = head.predict_by_feat(scores, deltas, batch_img_metas=metas, cfg=cfg)
    proposing.quicken(SimpleNamespace(rpn_head=head))
    (ours,) = head.predict_by_feat(scores, deltas, batch_img_metas=metas, cfg=cfg)
    assert type(head) is proposing.QuickRPNHead
    assert 7 <= len(theirs) <= limit
    assert set(ours.keys()) == set(theirs.keys())
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs.keys())  # noqa: SIM118  no mapping


# ----------------------------------------------------------------------------------------------- samples of a training


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
    assert not (shown & ~bright).any()  # cells with a tenth of themselves or less in the window are not labelled
    boxes = HorizontalBoxes.from_instance_masks(BitmapMasks(truth.masks.to_ndarray(), *shown.shape))
    assert torch.equal(truth.bboxes.tensor, boxes.tensor)
    assert set(truth.labels.tolist()) in ({0}, {1})


@pytest.mark.parametrize("number", range(8))
def test_a_zoomed_sample_is_as_large_and_its_boxes_fit_its_masks(culture, number):
    sample = sample_of(
        culture, [{"type": "CropCells", "size": 96, "zoom": 1.5}, *GEOMETRY[1:], {"type": "PackCells"}], number
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
    varied = sample_of(culture, [{"type": "CropCells", "size": 500}, {"type": "Microscope"}, {"type": "PackCells"}])
    before, after = (sample["inputs"][0].numpy().astype(float) for sample in (plain, varied))
    assert not np.array_equal(before, after)
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.8


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
    dataset = CellDataset(culture.images, culture.instances, ["astro", "cort"], pipeline=pipeline, seed=3, load=np.load)
    first, later = dataset[7]["inputs"], [dataset[number] for number in (0, 30, 7)][-1]["inputs"]
    assert torch.equal(first, later)
    assert not torch.equal(first, sample_of(culture, pipeline, 7, seed=4)["inputs"])


def test_each_lap_shows_every_image_once(culture):
    dataset = CellDataset(culture.images, culture.instances, ["astro", "cort"], pipeline=[], seed=0, load=np.load)
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
    dataset = CellDataset(images, cells, ["astro", "cort"], pipeline=[], seed=0, load=np.load, type_balance=1.0)
    shown = np.array([dataset[number]["labels"][0] for number in range(90)])
    assert set((shown.reshape(10, 9) == 0).sum(axis=1)) <= {4, 5}
    assert {dataset.order(lap)[i] for lap in range(10) for i in range(9)} == set(range(9))


def test_a_fold_holds_out_its_own_images_and_those_of_no_fold(culture):
    folds = culture.folds.assign(fold=[0, 1, 1, -1])
    images, cells = selection.held_in(culture.images, culture.instances, folds, 0)
    assert images["image_id"].tolist() == ["image1", "image2"]
    assert set(cells["image_id"]) == {"image1", "image2"}
    assert selection.held_out(culture.images, folds, 0)["image_id"].tolist() == ["image0", "image3"]


def test_the_fold_all_learns_from_every_fold_and_is_tried_on_none(culture):
    folds = culture.folds.assign(fold=[0, 1, 1, -1])
    images, _ = selection.held_in(culture.images, culture.instances, folds, "all")
    assert images["image_id"].tolist() == ["image0", "image1", "image2"]
    assert selection.held_out(culture.images, folds, "all")["image_id"].tolist() == ["image3"]


def test_nothing_to_learn_from_is_said(culture):
    alone = culture.folds.assign(fold=0)
    with pytest.raises(DataError, match="no annotated image is left"):
        selection.held_in(culture.images, culture.instances, alone, 0)
    with pytest.raises(DataError, match="show no cell"):
        selection.held_in(culture.images, culture.instances.iloc[:0], culture.folds, 0)


# ------------------------------------------------------------------------------------------------------- pseudo-labels


def partly_annotated(culture: Culture) -> pd.DataFrame:
    """The images; the last two lack annotation: the third is of the first one's well, the fourth a test image."""
    return culture.images.assign(
        annotated=[True, True, False, False], subset=["train", "train", "train", "test"], group=["w", "v", "w", "t"]
    )


@pytest.mark.parametrize(
    ("fold", "kinds", "expected"),
    [
        (1, ["unlabelled"], ["image2"]),
        (1, ["test"], ["image3"]),
        ("all", ["unlabelled", "test"], ["image2", "image3"]),
        (0, ["unlabelled", "test"], ["image3"]),  # image2 is of the well of image0, which fold 0 holds out
    ],
)
def test_images_to_pseudo_label_are_not_annotated_and_of_no_group_that_is_held_out(culture, fold, kinds, expected):
    folds = culture.folds.assign(fold=[0, 1, -1, -1])
    assert selection.unannotated(partly_annotated(culture), folds, fold, kinds)["image_id"].tolist() == expected


def test_images_that_there_are_not_cannot_be_pseudo_labelled(culture):
    with pytest.raises(DataError, match="there is no image of unlabelled"):
        selection.unannotated(culture.images, culture.folds, 0, ["unlabelled"])
    with pytest.raises(DataError, match="blurred: there are no such images; choose among unlabelled, test"):
        selection.unannotated(culture.images, culture.folds, 0, ["blurred"])


def taught(culture: Culture, micro: Path, work_dir: Path, fold: int, labelled: list[str], **changes):
    """Train on the first two images' truth and on the pseudo-labels of others, which here are their truth."""
    truth = culture.instances[culture.instances["image_id"].isin(["image0", "image1"])]
    labels = culture.instances[culture.instances["image_id"].isin(labelled)].assign(**changes)
    folds = culture.folds.assign(fold=[0, 1, -1, -1])
    settings = {"fold": fold, "seed": 0, "work_dir": work_dir, "load": np.load, "iterations": 2}
    return train(micro, partly_annotated(culture), truth, folds, **settings, pseudo=labels)


def test_a_student_learns_from_pseudo_labels_and_says_so(culture, micro, tmp_path, capfd):
    more = taught(culture, micro, tmp_path / "more", 1, ["image2", "image3"], cell_type="astro")
    log = capfd.readouterr().err
    assert "fold 1: 3 images, 36 cells of astro" in log
    assert "of these, 2 images and 24 cells are pseudo-labelled" in log
    assert not same_weights(more, taught(culture, micro, tmp_path / "less", 1, ["image2"]))


def test_without_pseudo_labels_a_student_learns_what_its_teacher_did(culture, micro, tmp_path):
    plain = learn(culture, micro, tmp_path / "plain", iterations=2)
    nothing = learn(culture, micro, tmp_path / "nothing", iterations=2, pseudo=culture.instances.iloc[:0])
    assert same_weights(plain, nothing)


@pytest.mark.parametrize("labelled", ["image0", "image1", "image2"])
def test_pseudo_labels_of_annotated_images_and_of_held_out_groups_are_refused(culture, micro, tmp_path, labelled):
    with pytest.raises(DataError, match=f"fold 0: image {labelled} is pseudo-labelled, but"):
        taught(culture, micro, tmp_path, 0, [labelled])


def test_pseudo_labels_of_a_type_that_is_nowhere_true_are_refused(culture, micro, tmp_path):
    with pytest.raises(DataError, match="pseudo-labels hold cells of neuron, the true instances only of"):
        taught(culture, micro, tmp_path, 1, ["image2"], cell_type="neuron")


def test_another_rounds_pseudo_labels_are_another_training(culture, micro, tmp_path):
    config = configuration.fit(configuration.read(micro), ["astro", "cort"]).to_dict()
    both, one = culture.instances, culture.instances.iloc[1:]
    assert checkpoints.fingerprint(config, culture.images, both) != checkpoints.fingerprint(config, culture.images, one)


# --------------------------------------------------------------------------------------------------------------- heads


def box_head(kind: str, classes: int) -> torch.nn.Module:
    coder = {"type": "DeltaXYWHBBoxCoder"}
    shape = {"in_channels": 4, "fc_out_channels": 8, "num_classes": classes, "reg_class_agnostic": True}
    return MODELS.build({"type": kind, "bbox_coder": coder, **shape})


def found_by(head: torch.nn.Module, places: list, probabilities: list) -> InstanceData:
    """What a head makes of proposals that it leaves where they are, from the probabilities of its types and of none."""
    rois, logits = torch.tensor([[0.0, *place] for place in places]), torch.tensor(probabilities).log()
    limits = Config({"score_thr": 0.05, "nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 10})
    meta = {"img_shape": (100, 100)}
    return head._predict_by_feat_single(rois, logits, torch.zeros(len(places), 4), meta, rcnn_test_cfg=limits)


def test_a_cell_of_doubtful_type_is_one_box_with_the_score_of_both():
    places = [[10.0, 10, 30, 30], [11, 10, 31, 30], [50, 50, 70, 80]]
    probabilities = [[0.45, 0.4, 0.15], [0.1, 0.5, 0.4], [0.01, 0.02, 0.97]]
    found = found_by(box_head("CellBBoxHead", 2), places, probabilities)
    assert found.scores.tolist() == pytest.approx([0.85])
    assert found.labels.tolist() == [0]
    assert found.bboxes.tolist() == [places[0]]
    stock = found_by(box_head("Shared2FCBBoxHead", 2), places, probabilities)
    assert sorted(stock.scores.tolist()) == pytest.approx([0.45, 0.5])


def test_of_a_single_type_boxes_are_scored_as_by_the_head_it_extends():
    generator = np.random.default_rng(0)
    corners, sizes = generator.uniform(0, 60, (40, 2)), generator.uniform(5, 40, (40, 2))
    cell = generator.uniform(0, 1, 40)
    places, probabilities = np.hstack([corners, corners + sizes]).tolist(), np.column_stack([cell, 1 - cell]).tolist()
    ours, stock = (found_by(box_head(kind, 1), places, probabilities) for kind in ("CellBBoxHead", "Shared2FCBBoxHead"))
    assert len(ours.scores) > 5
    torch.testing.assert_close(ours.scores, stock.scores)
    torch.testing.assert_close(ours.bboxes, stock.bboxes)


SMALL = MICRO.replace("cascade_mask_rcnn_tiny", "cascade_mask_rcnn_small").replace("Shared2FC", "Cell")


def test_dense_proposals_learn_the_same_twice_and_are_found_again(culture, tmp_path):
    model = tmp_path / "small.py"
    model.write_text(SMALL)
    first, second = (learn(culture, model, tmp_path / name) for name in ("first", "second"))
    assert {"rpn_loss_cls", "rpn_loss_bbox", "rpn_loss_centerness"} <= set(first.scalars["losses"])
    for name, weight in first.detector["state_dict"].items():
        assert torch.equal(weight, second.detector["state_dict"][name]), name
    assert first.detector["config"]["model"]["rpn_head"]["num_classes"] == 1
    save(first, tmp_path / "model.pth", tmp_path / "config.py", tmp_path / "scalars.json")
    found, _ = predict(tmp_path / "model.pth", culture.images, load=np.load, source="m", min_score=0.0)
    assert set(found["image_id"]) == set(culture.images["image_id"])


# --------------------------------------------------------------------------------------------------------- model files


@pytest.mark.parametrize("path", MODEL_FILES, ids=lambda path: path.stem)
def test_a_model_file_has_room_for_every_cell_of_a_dense_image(path):
    config = configuration.fit(configuration.read(path), ["a", "b", "c"])
    limits = config.model.test_cfg
    assert min(limits.rpn.nms_pre, limits.rpn.max_per_img, limits.rcnn.max_per_img) >= 1000
    with torch.device("meta"):
        model = MODELS.build(config.model)
    assert {head.num_classes for head in (*model.roi_head.bbox_head, *model.roi_head.mask_head)} == {3}
    Compose(config.train_pipeline), Compose(config.test_pipeline)


@pytest.mark.parametrize("path", MODEL_FILES, ids=lambda path: path.stem)
def test_a_model_file_holds_no_place(path):
    text = configuration.read(path).pretty_text
    assert "data/" not in text
    assert str(ROOT) not in text


def test_the_schedule_is_stretched_to_the_training(micro):
    config = configuration.fit(configuration.read(micro), ["cell"], iterations=500)
    assert config.train_cfg.max_iters == 500
    assert config.param_scheduler[0].end == config.param_scheduler[1].begin == 25
    assert config.param_scheduler[-1].end == 500
    assert [s.type for s in configuration.fit(config, ["cell"], 3).param_scheduler] == ["CosineAnnealingLR"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("model = dict(", "no MMDetection config"), ("model = dict()", "lacks 'train_pipeline'")],
)
def test_a_broken_model_file_is_named(tmp_path, text, complaint):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(DataError, match=complaint):
        configuration.read(path)


def test_a_missing_model_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.py: there is no such model file"):
        configuration.read(tmp_path / "none.py")


# ------------------------------------------------------------------------------------------------------------ training


def test_a_training_tells_its_classes_and_its_losses(trained):
    assert trained.detector["classes"] == ["astro", "cort"]
    scalars = trained.scalars
    assert list(scalars) == ["model", "fold", "classes", "iterations", "iteration", "loss", "lr", "losses"]
    assert (scalars["model"], scalars["fold"], scalars["iterations"]) == ("micro", 0, 6)
    assert scalars["iteration"] == [1, 2, 3, 4, 5, 6]
    total = sum(np.array(losses) for losses in scalars["losses"].values())
    assert np.allclose(scalars["loss"], total, rtol=1e-3)


def test_cells_of_unknown_type_are_cells(culture, micro, tmp_path):
    nameless = Culture.__new__(Culture)
    nameless.__dict__ |= culture.__dict__ | {"instances": culture.instances.assign(cell_type=None)}
    assert learn(nameless, micro, tmp_path, iterations=1).detector["classes"] == ["cell"]


def test_the_same_seed_gives_the_same_detector(culture, micro, trained, tmp_path, checkpoint):
    again = learn(culture, micro, tmp_path / "work")
    assert same_weights(again, trained)
    save(again, tmp_path / "model.pth", tmp_path / "config.py", tmp_path / "scalars.json")
    for name in ("model.pth", "config.py", "scalars.json"):
        assert (tmp_path / name).read_bytes() == (checkpoint.parent / name).read_bytes()


def test_another_seed_gives_another_detector(culture, micro, trained, tmp_path):
    assert not same_weights(learn(culture, micro, tmp_path, seed=1), trained)


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np, pandas as pd, torch
from neuroseg.detector import checkpoints, train
write = torch.save
def dying(state, path):
    write(state, path)
    if state["iteration"] == 4:
        with open(path, "r+b") as file:
            file.truncate(1000)
        os.kill(os.getpid(), signal.SIGKILL)
torch.save = dying
model, tables, work = map(Path, sys.argv[1:])
frames = [pd.read_pickle(tables / name) for name in ("images", "instances", "folds")]
train(model, *frames, fold=0, seed=0, work_dir=work, load=np.load)
"""


@pytest.mark.slow
def test_a_training_killed_while_writing_goes_on_to_the_same_weights(culture, micro, trained, tmp_path, capsys):
    for name in ("images", "instances", "folds"):
        getattr(culture, name).to_pickle(tmp_path / name)
    work = tmp_path / "work"
    command = [sys.executable, "-c", KILLED, str(micro), str(tmp_path), str(work)]
    assert subprocess.run(command, cwd=ROOT / "scripts", check=False).returncode == -signal.SIGKILL
    assert [path.name for path in work.glob("iteration_*")] == ["iteration_00000002.pth"]
    assert list(work.glob(".*.part"))
    moved = work.rename(tmp_path / "moved")
    resumed = learn(culture, micro, moved)
    assert "from iteration 2" in capsys.readouterr().err
    assert same_weights(resumed, trained)
    assert resumed.scalars == trained.scalars
    assert not list(moved.glob(".*.part"))


def test_a_finished_training_is_not_repeated(culture, micro, trained, tmp_path, capsys):
    learn(culture, micro, tmp_path)
    again = learn(culture, micro, tmp_path)
    assert "from iteration 6" in capsys.readouterr().err
    assert same_weights(again, trained)
    assert again.scalars == trained.scalars


def test_a_damaged_state_is_passed_over_for_the_one_before(culture, micro, trained, tmp_path, capsys):
    learn(culture, micro, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("iteration_*")) == [
        "iteration_00000004.pth",
        "iteration_00000006.pth",
    ]
    newest = tmp_path / "iteration_00000006.pth"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    again = learn(culture, micro, tmp_path)
    said = capsys.readouterr().err
    assert "passing over the damaged iteration_00000006.pth" in said
    assert "from iteration 4" in said
    assert same_weights(again, trained)


@pytest.mark.parametrize("change", [{"seed": 1}, {"fold": 1}, {"iterations": 7}])
def test_a_state_of_another_training_is_not_taken_up(culture, micro, tmp_path, capsys, change):
    learn(culture, micro, tmp_path / "work", iterations=2)
    capsys.readouterr()
    learn(culture, micro, tmp_path / "work", **({"iterations": 2} | change))
    said = capsys.readouterr().err
    assert "starting afresh" in said
    assert "on cpu, from" not in said


def test_other_pixels_make_another_training(culture, tmp_path):
    other = Culture(tmp_path)
    frames = other.images, other.instances
    assert checkpoints.fingerprint({}, *frames) == checkpoints.fingerprint({}, *frames)
    before = checkpoints.fingerprint({}, *frames)
    np.save(other.images["path"][0], np.zeros((128, 160), np.uint8))
    assert checkpoints.fingerprint({}, *frames) != before
    Path(other.images["path"][0]).unlink()
    with pytest.raises(DataError, match="there is no such file"):
        checkpoints.fingerprint({}, *frames)


def test_a_training_begins_with_another_datasets_weights(culture, micro, checkpoint, tmp_path, capsys):
    one_type = Culture.__new__(Culture)
    one_type.__dict__ |= culture.__dict__ | {"instances": culture.instances.assign(cell_type="shsy5y")}
    learn(one_type, micro, tmp_path, init_from=checkpoint, iterations=1)
    said = capsys.readouterr().err
    assert "weights from model.pth" in said
    anew = said.partition("initialised anew: ")[2].splitlines()[0].split(", ")
    assert anew
    assert all(name.endswith(("fc_cls", "conv_logits")) for name in anew)


def test_weights_of_no_use_are_refused(culture, micro, tmp_path):
    torch.save({"state_dict": {"alien": torch.zeros(3)}}, tmp_path / "alien.pth")
    with pytest.raises(DataError, match="none of its weights fits"):
        learn(culture, micro, tmp_path / "work", init_from=tmp_path / "alien.pth", iterations=1)


def test_a_loss_that_is_no_number_ends_the_training(culture, micro, tmp_path):
    wild = tmp_path / "wild.py"
    wild.write_text(f'_base_ = "{micro}"\noptim_wrapper = dict(optimizer=dict(lr=1e30), clip_grad=None)\n')
    with pytest.raises(DataError, match=r"loss is (nan|inf)"):
        learn(culture, wild, tmp_path / "work")


def test_time_left_is_told_as_people_say_it():
    assert [progress.clock(seconds) for seconds in (12, 185, 7801)] == ["12 s", "3 min 05 s", "2 h 10 min"]


# --------------------------------------------------------------------------------------------------------- checkpoints


def test_a_checkpoint_is_read_weights_only(checkpoint, trained):
    content = torch.load(checkpoint, weights_only=True)
    assert content["classes"] == ["astro", "cort"]
    assert content["fold"] == 0
    assert str(ROOT) not in json.dumps(content["config"])
    assert content["config"] == trained.detector["config"]


@pytest.mark.parametrize(
    ("content", "complaint"), [(b"", "damaged"), (b"no weights", "damaged"), (None, "there is no such checkpoint")]
)
def test_a_checkpoint_of_no_use_is_named(tmp_path, content, complaint):
    path = tmp_path / "model.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        checkpoints.read_detector(path)


def test_any_other_pth_is_no_detector(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "other.pth")
    with pytest.raises(DataError, match="this is no neuroseg detector"):
        checkpoints.read_detector(tmp_path / "other.pth")
    torch.save([1], tmp_path / "list.pth")
    with pytest.raises(DataError, match="this is no checkpoint"):
        checkpoints.read_detector(tmp_path / "list.pth")


def test_weights_that_cannot_be_fetched_are_named():
    with pytest.raises(DataError, match="cannot be fetched"):
        checkpoints.read_weights("http://127.0.0.1:9/weights.pth")


# ----------------------------------------------------------------------------------------------------------- inference


def look(checkpoint: Path, images: pd.DataFrame, **changes):
    settings = {"load": np.load, "source": "micro", "min_score": 0.0, "device": "cpu"} | changes
    return predict(checkpoint, images, **settings)


def test_more_than_a_hundred_cells_are_found(checkpoint, culture):
    found, _ = look(checkpoint, culture.images.head(1))
    assert len(found) > 300
    assert len(look(checkpoint, culture.images.head(1), max_detections=150)[0]) == 150


def test_detections_make_a_table_in_order(checkpoint, culture, tmp_path):
    found, coverage = look(checkpoint, culture.images, views=("none", "hflip"))
    tables.write("detections", found, tmp_path / "d.parquet", coverage)
    assert coverage.images == ("image0", "image1", "image2", "image3")
    assert coverage.sources == ("micro/0/none", "micro/0/hflip")
    groups = found.groupby(["image_id", "source"], sort=False)["score"]
    assert [key for key, _ in groups] == [(i, s) for i in coverage.images for s in coverage.sources]
    assert all(scores.is_monotonic_decreasing for _, scores in groups)
    assert set(found["cell_type"]) <= {"astro", "cort"}
    boxes = tables.boxes(found)
    assert (boxes >= 0).all()
    assert (boxes <= [culture.width, culture.height] * 2).all()


@pytest.mark.parametrize("view", ["hflip", "vflip", "hvflip"])
def test_a_mirrored_image_gives_the_mirrored_detections(checkpoint, culture, tmp_path, view):
    """What the view finds in an image is what is found in the mirrored image, turned back: sizes divide by 32."""
    axes = {"hflip": (1,), "vflip": (0,), "hvflip": (0, 1)}[view]
    image = culture.images.head(1)
    np.save(tmp_path / "mirrored.npy", np.flip(np.load(image["path"][0]), axes))
    there, _ = look(checkpoint, image, views=(view,))
    mirrored, _ = look(checkpoint, image.assign(path=str(tmp_path / "mirrored.npy")))
    boxes = tables.boxes(mirrored)
    if 1 in axes:
        boxes = np.column_stack([160 - boxes[:, 2], boxes[:, 1], 160 - boxes[:, 0], boxes[:, 3]])
    if 0 in axes:
        boxes = np.column_stack([boxes[:, 0], 128 - boxes[:, 3], boxes[:, 2], 128 - boxes[:, 1]])
    assert np.allclose(tables.boxes(there), boxes, atol=1e-3)
    patches = np.flip(tables.patches(mirrored), [axis + 1 for axis in axes])
    assert np.array_equal(tables.patches(there), patches)
    assert np.array_equal(there["score"], mirrored["score"])


def test_an_image_magnified_and_looked_at_from_afar_gives_the_same_detections_magnified(checkpoint, culture, tmp_path):
    """The mean of four equal pixels is each of them: the network sees the very same image; boxes are twice as large."""
    image = culture.images.head(1)
    np.save(tmp_path / "twice.npy", np.kron(np.load(image["path"][0]), np.ones((2, 2), np.uint8)))
    plain, _ = look(checkpoint, image)
    afar, _ = look(checkpoint, image.assign(path=str(tmp_path / "twice.npy")), views=("x0.5",))
    large = afar[(afar["x2"] - afar["x1"] >= 2) & (afar["y2"] - afar["y1"] >= 2)]  # the others are less than a pixel
    np.testing.assert_allclose(tables.boxes(large), 2 * tables.boxes(plain), atol=1e-4)
    assert np.array_equal(large["score"], plain["score"])
    assert np.array_equal(tables.patches(large), tables.patches(plain))


@pytest.mark.parametrize(("view", "scale"), [("x2", 2), ("hflip_x1.5", 1.5), ("vflip_x0.75", 0.75)])
def test_a_magnified_view_is_told_in_pixels_of_the_image(checkpoint, culture, tmp_path, view, scale):
    image = culture.images.head(1)
    shown = cv2.resize(np.load(image["path"][0]), None, fx=scale, fy=scale, interpolation=METHODS[scale > 1])
    axis = {"hflip": 1, "vflip": 0}.get(view.split("_")[0])
    np.save(tmp_path / "shown.npy", shown if axis is None else np.flip(shown, axis))
    there, coverage = look(checkpoint, image, views=(view,))
    apart, _ = look(checkpoint, image.assign(path=str(tmp_path / "shown.npy")))
    boxes = tables.boxes(apart) / scale
    if axis is not None:
        sides, length = ([2, 0], 160) if axis else ([3, 1], 128)
        boxes[:, sides[::-1]] = length - boxes[:, sides]
    assert coverage.sources == (f"micro/0/{view}",)
    nearest = np.abs(tables.boxes(there)[:100, None] - boxes).max(axis=2).min(axis=1)
    assert nearest.max() < 1e-3
    assert (boxes[:100] <= [160.001, 128.001] * 2).all()


def test_no_magnification_changes_nothing(checkpoint, culture):
    plain, _ = look(checkpoint, culture.images.head(1), views=("none", "hflip"))
    same, _ = look(checkpoint, culture.images.head(1), views=("x1", "hflip_x1.0"))
    pd.testing.assert_frame_equal(plain.drop(columns="source"), same.drop(columns="source"))


def test_sides_that_scale_to_no_whole_number_keep_boxes_in_the_frame(checkpoint, tmp_path):
    odd = Culture(tmp_path, count=1, size=(97, 131))
    boxes = tables.boxes(look(checkpoint, odd.images, views=("x0.3",))[0])
    assert len(boxes)
    assert (boxes >= 0).all()
    assert (boxes <= [131, 97] * 2).all()
    assert boxes[:, 2].max() > 120  # 131 pixels became 39, not 39.3
    assert boxes[:, 3].max() > 90


def paste(patch: np.ndarray, box: np.ndarray, height: int, width: int) -> np.ndarray:
    """Sample a patch at pixel centres, bilinearly between the centres of its parts, nothing outside the box."""
    x1, y1, x2, y2 = box.astype(np.float64)
    x = (np.arange(width) + 0.5 - x1) / (x2 - x1) * 28 - 0.5
    y = (np.arange(height) + 0.5 - y1) / (y2 - y1) * 28 - 0.5
    tent = [np.maximum(0, 1 - np.abs(at[:, None] - np.arange(28))) for at in (y, x)]
    return tent[0] @ patch @ tent[1].T


@pytest.mark.filterwarnings("ignore:To copy construct from a tensor:UserWarning")  # within MMDetection's own pasting
def test_pasting_a_patch_reproduces_mmdetections_mask(checkpoint, culture):
    fitted = checkpoints.read_detector(checkpoint)
    looker = Looker(fitted, torch.device("cpu"), torch.float32, 50, 0.0)
    image = np.load(culture.images["path"][0])
    found = looker([image])[0]
    packed = looker.prepare({"img": image, "ori_shape": image.shape, "img_shape": image.shape})
    with torch.inference_mode():
        data = {key: [value] for key, value in packed.items()}
        theirs = looker.model.test_step(data)[0].pred_instances
    assert np.allclose(theirs.bboxes.numpy(), found.boxes, atol=1e-3)
    assert np.array_equal(theirs.labels.numpy(), found.labels)
    for patch, box, mask in zip(found.patches, found.boxes, theirs.masks.numpy(), strict=True):
        probability = paste(patch / 255, box, *image.shape)
        clear = np.abs(probability - 0.5) > 0.5 / 255  # what rounding to 8 bits leaves in doubt
        assert np.array_equal((probability >= 0.5)[clear], mask[clear])
        assert clear.mean() > 0.8


def test_scaled_input_gives_boxes_in_pixels_of_the_image(checkpoint, culture, tmp_path):
    fitted = checkpoints.read_detector(checkpoint)
    fitted["config"]["test_pipeline"].insert(0, {"type": "Resize", "scale_factor": 2.0})
    del fitted["format"]
    checkpoints.write_detector(tmp_path / "model.pth", fitted)
    twice, _ = look(tmp_path / "model.pth", culture.images.head(1))
    image = np.load(culture.images["path"][0])
    large = torch.nn.functional.interpolate(
        torch.from_numpy(image)[None, None].float(), scale_factor=2, mode="bilinear", align_corners=False
    )
    np.save(tmp_path / "large.npy", large[0, 0].round().byte().numpy())
    plain, _ = look(checkpoint, culture.images.head(1).assign(path=str(tmp_path / "large.npy")))
    assert np.median(np.abs(tables.boxes(twice)[:50] * 2 - tables.boxes(plain)[:50])) < 1


def test_batches_change_nothing(checkpoint, culture, tmp_path):
    other = Culture(tmp_path, count=1, size=(96, 130))
    images = pd.concat([culture.images.head(1), other.images.assign(image_id="other"), culture.images.tail(1)])
    one, coverage = look(checkpoint, images, views=("none", "vflip"), max_detections=20)
    many, same = look(checkpoint, images, views=("none", "vflip"), max_detections=20, batch_size=3)
    assert coverage == same
    assert one["image_id"].tolist() == many["image_id"].tolist()
    assert one["source"].tolist() == many["source"].tolist()
    assert np.allclose(one["score"], many["score"], atol=1e-4)
    near = np.abs(tables.boxes(one) - tables.boxes(many)).max(axis=1) < 0.1
    assert near.mean() > 0.9  # scores of an untaught detector tie, and rounding then decides their order


def test_nothing_found_is_an_empty_table(checkpoint, culture, tmp_path):
    found, coverage = look(checkpoint, culture.images.head(2), min_score=1.1)
    tables.write("detections", found, tmp_path / "d.parquet", coverage)
    assert tables.read("detections", tmp_path / "d.parquet").empty
    assert coverage.images == ("image0", "image1")


def test_half_precision_finds_the_same(checkpoint, culture):
    full, _ = look(checkpoint, culture.images.head(1))
    half, _ = look(checkpoint, culture.images.head(1), precision="bf16")
    assert half["score"].dtype == np.float32
    assert np.allclose(full["score"].head(20), half["score"].head(20), atol=0.05)


def test_a_detector_of_another_fold_is_refused(checkpoint, culture):
    with pytest.raises(DataError, match="this is the detector of fold 0"):
        look(checkpoint, culture.images, fold=1)


NO_VIEWS = ["sideways", "x0", "x0.2", "x4.5", "x", "1.5", "none_x2", "hflip_", "x1.5_hflip", "x-1", "x1.", "x22"]


def test_the_schema_of_the_pipeline_knows_the_same_views():
    schema = yaml.safe_load((ROOT / "workflow/schemas/pipeline.schema.yaml").read_text())
    pattern = schema["$defs"]["view"]["pattern"]
    for name in ("none", "hflip", "vflip", "hvflip", "x0.25", "x0.3", "x1", "x1.5", "x4.0", "hvflip_x0.75", "vflip_x2"):
        assert re.search(pattern, name), name
        views.read_view(name)
    assert not [name for name in NO_VIEWS if re.search(pattern, name)]


@pytest.mark.parametrize("view", NO_VIEWS)
def test_an_unknown_view_is_refused(checkpoint, culture, view):
    with pytest.raises(
        DataError, match=f"view {view}: there is no such view; choose among none, hflip, .* x0.25 to x4"
    ):
        look(checkpoint, culture.images, views=(view,))


def test_a_gpu_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DataError, match="finds no GPU"):
        precision.choose_device("cuda")


# --------------------------------------------------------------------------------------------------------- the scripts


@pytest.mark.slow
def test_the_steps_train_and_predict(culture, micro, tmp_path, step):
    from PIL import Image

    images = culture.images.assign(path=[str(tmp_path / f"{name}.png") for name in culture.images["image_id"]])
    for source, path in zip(culture.images["path"], images["path"], strict=True):
        Image.fromarray(np.load(source)).save(path)
    for column in tables.SCHEMAS["images"].names:
        images[column] = images.get(column)
    tables.write("images", images, tmp_path / "images.parquet")
    instances = culture.instances.assign(score=np.nan, rle=tables.rle_column(culture.instances["rle"]).values)
    tables.write("instances", instances, tmp_path / "instances.parquet")
    tables.write("folds", culture.folds, tmp_path / "folds.parquet")
    places = {name: tmp_path / f"{name}.parquet" for name in ("images", "instances", "folds")}
    out = {"checkpoint": tmp_path / "model.pth", "config_out": tmp_path / "config.py", "scalars": tmp_path / "s.json"}
    step("train").main(model=micro, **places, fold=1, iterations=2, work_dir=tmp_path / "work", **out)
    assert not (tmp_path / "work").exists()
    assert json.loads(out["scalars"].read_text())["iterations"] == 2
    step("predict").main(
        checkpoint=out["checkpoint"],
        images=places["images"],
        folds=places["folds"],
        fold=1,
        source_name="micro",
        min_score=0.0,
        detections=tmp_path / "d.parquet",
    )
    assert tables.read_coverage(tmp_path / "d.parquet").images == ("image2", "image3")


# ------------------------------------------------------------------------------------------------- several processes


TOGETHER = """
import json, pathlib, sys
import numpy as np, pandas as pd
from neuroseg.detector import train
tables, micro, out = map(pathlib.Path, sys.argv[1:])
images, instances, folds = (pd.read_pickle(tables / name) for name in ("images", "instances", "folds"))
trained = train(micro, images, instances, folds, fold=0, seed=0, work_dir=out, load=np.load, iterations=8)
if trained is not None:
    print(json.dumps(trained.scalars["loss"]))
"""


def test_two_processes_learn_as_one_with_their_batches_together(culture, tmp_path):
    for name in ("images", "instances", "folds"):
        getattr(culture, name).to_pickle(tmp_path / name)
    (tmp_path / "together.py").write_text(TOGETHER)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    curves = {}
    for processes, batch in ((1, 4), (2, 2)):
        micro = tmp_path / f"micro_{processes}.py"
        # Normalised by fixed figures, as gloo cannot normalise over processes.
        micro.write_text(
            MICRO + f"model['backbone']['norm_eval'] = True\ntrain_dataloader = dict(batch_size={batch})\n"
        )
        done = subprocess.run(
            [
                *launcher,
                f"--nproc-per-node={processes}",
                tmp_path / "together.py",
                tmp_path,
                micro,
                tmp_path / f"of_{processes}",
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("training micro") == 1
        curves[processes] = json.loads(done.stdout)
    assert np.allclose(curves[1], curves[2], rtol=0.03)
