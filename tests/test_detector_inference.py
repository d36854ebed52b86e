"""Where a detector that has learnt discs says that cells lie, in each view of an image."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from discs import Culture

from neuroseg import tables
from neuroseg.detector import checkpoints, precision, predict, save, train, views
from neuroseg.detector.caps import Kept
from neuroseg.detector.inference import Predictor
from neuroseg.errors import DataError

ROOT = Path(__file__).parents[1]

METHODS = {True: cv2.INTER_LINEAR, False: cv2.INTER_AREA}
"""How an image is made larger, and smaller."""


def predicted(checkpoint: Path, images: pd.DataFrame, **changes):
    settings = {"load": np.load, "source": "micro", "min_score": 0.0, "device": "cpu"} | changes
    return predict(checkpoint, images, **settings)


def test_more_than_a_hundred_cells_are_found(checkpoint, culture):
    found, *_ = predicted(checkpoint, culture.images.head(1))
    assert len(found) > 300
    assert len(predicted(checkpoint, culture.images.head(1), max_detections=150)[0]) == 150
    few, *_ = predicted(checkpoint, culture.images.head(1), max_detections=20, proposals=40)
    assert 20 == len(few) < len(found)


@pytest.mark.parametrize(("proposals", "said"), [(40, True), (150, False), (None, False)])
def test_fewer_proposals_than_detections_are_raised_and_it_is_said(
    checkpoint, culture, capsys, proposals, said
):
    found, *_ = predicted(checkpoint, culture.images.head(1), max_detections=150, proposals=proposals)
    assert len(found) == 150
    told = capsys.readouterr().err.splitlines()
    sentence = "note: predict: proposals: 40 is below max_detections; 150 regions of each field are looked at"
    assert (sentence in told) == said


def test_a_larger_image_keeps_more_detections_and_it_is_said_where_there_were_more_still(
    checkpoint, tmp_path
):
    for height, most in ((520, 150), (1040, 300)):
        culture = Culture(tmp_path, count=1, size=(height, 704))
        found, _, remarks, unlike, *_ = predicted(checkpoint, culture.images, max_detections=150)
        assert len(found) == most
        more, *_ = predicted(checkpoint, culture.images, max_detections=2 * most)
        weakest = tables.at_most(more["score"].sort_values(ascending=False).iloc[most])
        assert any(
            "more detections than are kept of each field of view (366,080 pixels)" in each
            and f"{weakest}: where thresholds are lower, raise predict: max_detections" in each
            for each in remarks
        )
        assert weakest in unlike["image0"]["crowd"]
    few, *_ = predicted(checkpoint, culture.images, min_score=(score := float(found["score"].iloc[40])))
    for limits in ({"min_score": 0.99}, {"min_score": score, "max_detections": len(few)}):
        _, _, remarks, *_ = predicted(checkpoint, culture.images, **limits)
        assert not any("detections" in each for each in remarks)


def test_an_image_of_twice_the_magnification_learnt_gives_the_same_detections_twice_as_large(
    trained, checkpoint, culture, tmp_path
):
    known = dict(trained.detector, pixel_size_um=1.24)
    checkpoints.write_detector(tmp_path / "known.pth", known)
    image = culture.images.head(1)
    np.save(tmp_path / "twice.npy", np.kron(np.load(image["path"][0]), np.ones((2, 2), np.uint8)))
    twice = image.assign(path=str(tmp_path / "twice.npy"), height=256, width=320, pixel_size_um=0.62)
    plain, *_ = predicted(checkpoint, image)
    there, _, remarks, *_ = predicted(tmp_path / "known.pth", twice)
    large = there[(there["x2"] - there["x1"] >= 2) & (there["y2"] - there["y1"] >= 2)]
    np.testing.assert_allclose(tables.boxes(large), 2 * tables.boxes(plain), atol=1e-4)
    assert any("images of 0.62 µm a pixel: 1 of 1, looked at as if of 1.24 µm" in each for each in remarks)


def test_a_detector_keeps_the_pixel_size_of_its_images(culture, micro, tmp_path):
    scaled = culture.images.assign(pixel_size_um=1.24)
    settings = {"fold": 0, "seed": 0, "load": np.load, "iterations": 1}
    for images, known in ((scaled, 1.24), (culture.images, None)):
        fitted = train(
            micro, images, culture.instances, culture.folds, work_dir=tmp_path / str(known), **settings
        )
        save(fitted, *(tmp_path / name for name in ("model.pth", "config.py", "scalars.json")))
        assert checkpoints.read_detector(tmp_path / "model.pth")["pixel_size_um"] == known


@pytest.mark.parametrize("size", [0.0, float("nan"), "1.24", 1e9])
def test_a_pixel_size_that_is_none_is_refused(trained, tmp_path, size):
    checkpoints.write_detector(tmp_path / "model.pth", dict(trained.detector, pixel_size_um=size))
    with pytest.raises(DataError, match="is no pixel size"):
        checkpoints.read_detector(tmp_path / "model.pth")


def test_detections_make_a_table_in_order(checkpoint, culture, tmp_path):
    found, coverage, *_ = predicted(checkpoint, culture.images, views=("none", "hflip"))
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
    """What the view finds in an image is what the mirrored image gives, turned back: sizes divide by 32."""
    axes = {"hflip": (1,), "vflip": (0,), "hvflip": (0, 1)}[view]
    image = culture.images.head(1)
    np.save(tmp_path / "mirrored.npy", np.flip(np.load(image["path"][0]), axes))
    there, *_ = predicted(checkpoint, image, views=(view,))
    mirrored, *_ = predicted(checkpoint, image.assign(path=str(tmp_path / "mirrored.npy")))
    boxes = tables.boxes(mirrored)
    if 1 in axes:
        boxes = np.column_stack([160 - boxes[:, 2], boxes[:, 1], 160 - boxes[:, 0], boxes[:, 3]])
    if 0 in axes:
        boxes = np.column_stack([boxes[:, 0], 128 - boxes[:, 3], boxes[:, 2], 128 - boxes[:, 1]])
    assert np.allclose(tables.boxes(there), boxes, atol=1e-3)
    patches = np.flip(tables.patches(mirrored), [axis + 1 for axis in axes])
    assert np.array_equal(tables.patches(there), patches)
    assert np.array_equal(there["score"], mirrored["score"])


def test_an_image_magnified_and_looked_at_from_afar_gives_the_same_detections_magnified(
    checkpoint, culture, tmp_path
):
    """The mean of four equal pixels is each of them: the network sees the same image; boxes are doubled."""
    image = culture.images.head(1)
    np.save(tmp_path / "twice.npy", np.kron(np.load(image["path"][0]), np.ones((2, 2), np.uint8)))
    plain, *_ = predicted(checkpoint, image)
    afar, *_ = predicted(checkpoint, image.assign(path=str(tmp_path / "twice.npy")), views=("x0.5",))
    large = afar[(afar["x2"] - afar["x1"] >= 2) & (afar["y2"] - afar["y1"] >= 2)]  # others are under a pixel
    np.testing.assert_allclose(tables.boxes(large), 2 * tables.boxes(plain), atol=1e-4)
    assert np.array_equal(large["score"], plain["score"])
    assert np.array_equal(tables.patches(large), tables.patches(plain))


@pytest.mark.parametrize(("view", "scale"), [("x2", 2), ("hflip_x1.5", 1.5), ("vflip_x0.75", 0.75)])
def test_a_magnified_view_is_told_in_pixels_of_the_image(checkpoint, culture, tmp_path, view, scale):
    image = culture.images.head(1)
    shown = cv2.resize(np.load(image["path"][0]), None, fx=scale, fy=scale, interpolation=METHODS[scale > 1])
    axis = {"hflip": 1, "vflip": 0}.get(view.split("_")[0])
    np.save(tmp_path / "shown.npy", shown if axis is None else np.flip(shown, axis))
    there, coverage, *_ = predicted(checkpoint, image, views=(view,))
    apart, *_ = predicted(checkpoint, image.assign(path=str(tmp_path / "shown.npy")))
    boxes = tables.boxes(apart) / scale
    if axis is not None:
        sides, length = ([2, 0], 160) if axis else ([3, 1], 128)
        boxes[:, sides[::-1]] = length - boxes[:, sides]
    assert coverage.sources == (f"micro/0/{view}",)
    nearest = np.abs(tables.boxes(there)[:100, None] - boxes).max(axis=2).min(axis=1)
    assert nearest.max() < 1e-3
    assert (boxes[:100] <= [160.001, 128.001] * 2).all()


def test_no_magnification_changes_nothing(checkpoint, culture):
    plain, *_ = predicted(checkpoint, culture.images.head(1), views=("none", "hflip"))
    same, *_ = predicted(checkpoint, culture.images.head(1), views=("x1", "hflip_x1.0"))
    pd.testing.assert_frame_equal(plain.drop(columns="source"), same.drop(columns="source"))


def test_sides_that_scale_to_no_whole_number_keep_boxes_in_the_frame(checkpoint, tmp_path):
    odd = Culture(tmp_path, count=1, size=(97, 131))
    boxes = tables.boxes(predicted(checkpoint, odd.images, views=("x0.3",))[0])
    assert len(boxes)
    assert (boxes >= 0).all()
    assert (boxes <= [131, 97] * 2).all()
    assert boxes[:, 2].max() > 120  # 131 pixels became 39, not 39.3
    assert boxes[:, 3].max() > 90


def paste(patch: np.ndarray, box: np.ndarray, height: int, width: int) -> np.ndarray:
    """Sample a patch at pixel centres, bilinearly between its parts' centres, nothing outside the box."""
    x1, y1, x2, y2 = box.astype(np.float64)
    x = (np.arange(width) + 0.5 - x1) / (x2 - x1) * 28 - 0.5
    y = (np.arange(height) + 0.5 - y1) / (y2 - y1) * 28 - 0.5
    tent = [np.maximum(0, 1 - np.abs(at[:, None] - np.arange(28))) for at in (y, x)]
    return tent[0] @ patch @ tent[1].T


@pytest.mark.filterwarnings("ignore:To copy construct from a tensor:UserWarning")  # in MMDetection's pasting
def test_pasting_a_patch_reproduces_mmdetections_mask(checkpoint, culture):
    fitted = checkpoints.read_detector(checkpoint)
    predictor = Predictor(fitted, torch.device("cpu"), torch.float32, Kept(50, 0.0))
    image = np.load(culture.images["path"][0])
    found = predictor([image])[0]
    packed = predictor.prepare({"img": image, "ori_shape": image.shape, "img_shape": image.shape})
    with torch.inference_mode():
        data = {key: [value] for key, value in packed.items()}
        theirs = predictor.model.test_step(data)[0].pred_instances
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
    twice, *_ = predicted(tmp_path / "model.pth", culture.images.head(1))
    image = np.load(culture.images["path"][0])
    large = torch.nn.functional.interpolate(
        torch.from_numpy(image)[None, None].float(), scale_factor=2, mode="bilinear", align_corners=False
    )
    np.save(tmp_path / "large.npy", large[0, 0].round().byte().numpy())
    plain, *_ = predicted(checkpoint, culture.images.head(1).assign(path=str(tmp_path / "large.npy")))
    assert np.median(np.abs(tables.boxes(twice)[:50] * 2 - tables.boxes(plain)[:50])) < 1


def test_batches_change_nothing(checkpoint, culture, tmp_path):
    other = Culture(tmp_path, count=1, size=(96, 130))
    images = pd.concat(
        [culture.images.head(1), other.images.assign(image_id="other"), culture.images.tail(1)]
    )
    one, coverage, *_ = predicted(checkpoint, images, views=("none", "vflip"), max_detections=20)
    many, same, *_ = predicted(checkpoint, images, views=("none", "vflip"), max_detections=20, batch_size=3)
    assert coverage == same
    assert one["image_id"].tolist() == many["image_id"].tolist()
    assert one["source"].tolist() == many["source"].tolist()
    assert np.allclose(one["score"], many["score"], atol=1e-4)
    near = np.abs(tables.boxes(one) - tables.boxes(many)).max(axis=1) < 0.1
    assert near.mean() > 0.9  # scores of an untaught detector tie, and rounding then decides their order


def test_nothing_found_is_an_empty_table(checkpoint, culture, tmp_path):
    found, coverage, *_ = predicted(checkpoint, culture.images.head(2), min_score=1.1)
    tables.write("detections", found, tmp_path / "d.parquet", coverage)
    assert tables.read("detections", tmp_path / "d.parquet").empty
    assert coverage.images == ("image0", "image1")


def test_half_precision_finds_the_same(checkpoint, culture):
    full, *_ = predicted(checkpoint, culture.images.head(1))
    half, *_ = predicted(checkpoint, culture.images.head(1), precision="bf16")
    assert half["score"].dtype == np.float32
    assert np.allclose(full["score"].head(20), half["score"].head(20), atol=0.05)


def test_a_detector_of_another_fold_is_refused(checkpoint, culture):
    with pytest.raises(DataError, match="this is the detector of fold 0"):
        predicted(checkpoint, culture.images, fold=1)


NO_VIEWS = [
    "sideways",
    "x0",
    "x0.2",
    "x4.5",
    "x",
    "1.5",
    "none_x2",
    "hflip_",
    "x1.5_hflip",
    "x-1",
    "x1.",
    "x22",
]


def test_the_schema_of_the_pipeline_knows_the_same_views():
    schema = yaml.safe_load((ROOT / "workflow/schemas/pipeline.schema.yaml").read_text())
    pattern = schema["$defs"]["view"]["pattern"]
    for name in (
        "none",
        "hflip",
        "vflip",
        "hvflip",
        "x0.25",
        "x0.3",
        "x1",
        "x1.5",
        "x4.0",
        "hvflip_x0.75",
        "vflip_x2",
    ):
        assert re.search(pattern, name), name
        views.read_view(name)
    assert not [name for name in NO_VIEWS if re.search(pattern, name)]


@pytest.mark.parametrize("view", NO_VIEWS)
def test_an_unknown_view_is_refused(checkpoint, culture, view):
    with pytest.raises(
        DataError, match=f"view {view}: there is no such view; choose among none, hflip, .* x0.25 to x4"
    ):
        predicted(checkpoint, culture.images, views=(view,))


def test_a_gpu_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DataError, match="finds no GPU"):
        precision.choose_device("cuda")


# ------------------------------------------------------------------------------------------------ the scripts


@pytest.mark.slow
def test_the_steps_train_and_predict(culture, micro, tmp_path, step):
    from PIL import Image

    images = culture.images.assign(
        path=[str(tmp_path / f"{name}.png") for name in culture.images["image_id"]]
    )
    for source, path in zip(culture.images["path"], images["path"], strict=True):
        Image.fromarray(np.load(source)).save(path)
    for column in tables.SCHEMAS["images"].names:
        images[column] = images.get(column)
    tables.write("images", images, tmp_path / "images.parquet")
    instances = culture.instances.assign(score=np.nan, rle=tables.rle_column(culture.instances["rle"]).values)
    tables.write("instances", instances, tmp_path / "instances.parquet")
    tables.write("folds", culture.folds, tmp_path / "folds.parquet")
    places = {name: tmp_path / f"{name}.parquet" for name in ("images", "instances", "folds")}
    out = {
        "checkpoint": tmp_path / "model.pth",
        "config_out": tmp_path / "config.py",
        "scalars": tmp_path / "s.json",
    }
    step("train").main(model=micro, **places, fold=1, iterations=2, work_dir=tmp_path / "work", **out)
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["cost.json"]
    assert json.loads(out["scalars"].read_text())["iterations"] == 2
    step("predict").main(
        checkpoint=out["checkpoint"],
        images=places["images"],
        folds=places["folds"],
        fold=1,
        source_name="micro",
        min_score=0.0,
        detections=tmp_path / "d.parquet",
        remarks=tmp_path / "remarks.json",
    )
    assert tables.read_coverage(tmp_path / "d.parquet").images == ("image2", "image3")
