"""Cells corrected by hand: exported, changed, read as truth, so that training learns from the corrections."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from PIL import Image

import neuroseg
from neuroseg import exports, rle, tables
from neuroseg.readers.truth.contours import decode_geojson

HEIGHT, WIDTH = 60, 80
FORMATS = {"labels": "labels", "rois": "rois", "geojson": "geojson"}
"""The formats that come back, and the dataset file's word for each."""


def picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(100, 156, (HEIGHT, WIDTH), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def cells(image_id, boxes):
    masks = np.zeros((len(boxes), HEIGHT, WIDTH), bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
        mask[top, left] = False
    frame = tables.empty("instances").reindex(range(len(boxes)))
    frame["image_id"], frame["instance_id"] = image_id, np.arange(len(boxes))
    frame["score"], frame["area"] = np.float32(0.9), masks.sum((1, 2)).astype(np.int32)
    for side, value in zip(("x1", "y1", "x2", "y2"), np.array(boxes, np.float32).T, strict=True):
        frame[side] = value
    frame["rle"] = tables.rle_column(rle.to_coco(rle.from_masks(masks), HEIGHT, WIDTH)).to_numpy()
    return frame


def kept(instances, names):
    """What of cells survives: the image, the number and the pixels."""
    return sorted(
        zip(instances["image_id"].map(names), instances["instance_id"], instances["rle"], strict=True)
    )


def validated(step, folder, **keys):
    """What `validate` makes of a dataset file."""
    file = folder / f"{keys['format']}.yaml"
    file.write_text(yaml.safe_dump({"root": str(folder / "data"), **keys}))
    out = folder / "results" / keys["format"] / "validate"
    names = {name: out / f"{name}.parquet" for name in ("images", "instances")}
    step("validate").main(dataset=file, problems=out / "problems.csv", **names)
    return tables.read("images", names["images"]), tables.read("instances", names["instances"]), out


@pytest.fixture
def predicted(tmp_path, step):
    """Own images in two folders, the cells found in them, and both exported: the folder of the export."""
    for seed, name in enumerate(("day 1/A1.png", "day 2/A1.png", "day 2/B7.png")):
        picture(tmp_path / "data" / name, seed)
    images, _, out = validated(step, tmp_path, format="folder")
    assert images["image_id"].tolist() == ["day 1__A1", "day 2__A1", "day 2__B7"]
    found = [cells("day 1__A1", [(5, 5, 25, 20), (30, 30, 50, 50)]), cells("day 2__B7", [(0, 0, 20, 20)])]
    tables.write("instances", pd.concat(found, ignore_index=True), out / "found.parquet")
    exported = tmp_path / "data" / "corrected"
    exports.write(list(FORMATS), out / "found.parquet", out / "images.parquet", exported)
    return exported


@pytest.mark.parametrize("name", FORMATS)
def test_exported_cells_are_read_back_as_truth(predicted, tmp_path, step, name):
    given = {"images": ["day 1", "day 2"], "annotations": f"corrected/{name}"}
    images, truth, _ = validated(step, tmp_path, format=FORMATS[name], **given)
    assert images["annotated"].tolist() == [True] * 3
    found = tables.read("instances", tmp_path / "results" / "folder" / "validate" / "found.parquet")
    assert kept(truth, {"day 1__A1": "day 1/A1", "B7": "day 2/B7"}) == kept(
        found, {"day 1__A1": "day 1/A1", "day 2__B7": "day 2/B7"}
    )


def test_a_corrected_label_image_is_what_a_training_learns_from(predicted, tmp_path, step):
    file = predicted / "labels" / "day 1__A1_masks.tif"
    labels = tifffile.imread(file)
    labels[labels == 1] = 0  # no cell
    labels[31:35, 50:60] = 2  # a process that was missed
    labels[5:15, 60:75] = 3  # a cell that was missed
    tifffile.imwrite(file, labels)
    given = {"images": ["day 1", "day 2"], "annotations": "corrected/labels"}
    _, truth, out = validated(step, tmp_path, format="labels", **given)
    again = neuroseg.labels(out / "instances.parquet", "day 1__A1")
    assert (again == np.where(labels > 0, labels - 1, 0)).all()
    assert truth.loc[truth["image_id"] == "day 1__A1", "area"].tolist() == [399 + 40, 150]
    step("split").main(
        images=out / "images.parquet",
        instances=out / "instances.parquet",
        n_folds=2,
        seed=0,
        folds=out / "folds.parquet",
        summary=out / "summary.csv",
    )
    assert (tables.read("folds", out / "folds.parquet")["fold"] >= 0).all()


def test_an_outline_drawn_in_qupath_is_read_beside_the_exported_ones(predicted, tmp_path, step):
    file = predicted / "geojson" / "day 2__A1.geojson"
    content = json.loads(file.read_text())
    ring = [[10, 10], [30, 10], [30, 20], [10, 20], [10, 10]]
    content["features"].append({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}})
    file.write_text(json.dumps(content))
    given = {"images": ["day 1", "day 2"], "annotations": "corrected/geojson"}
    _, truth, _ = validated(step, tmp_path, format="geojson", **given)
    assert truth.loc[truth["image_id"] == "day 2__A1", "area"].tolist() == [200]


@pytest.mark.parametrize("name", FORMATS)
def test_images_of_a_well_at_several_times_are_never_divided_by_folds(tmp_path, step, capsys, name):
    names = [
        f"P_{well}_{field}_00d{hour}h00m"
        for well in ("A1", "B1", "C1")
        for field in (1, 2)
        for hour in (10, 20)
    ]
    for seed, one in enumerate(names):
        picture(tmp_path / "data" / "My plate" / f"{one}.png", seed)
    _, _, out = validated(step, tmp_path, format="folder")
    listed = tables.read("images", out / "images.parquet")
    found = pd.concat(
        [cells(image_id, [(5, 5, 25, 20)]) for image_id in listed["image_id"]], ignore_index=True
    )
    tables.write("instances", found, out / "found.parquet")
    exports.write([name], out / "found.parquet", out / "images.parquet", tmp_path / "data" / "corrected")
    given = {"images": ["My plate"], "annotations": f"corrected/{name}"}
    images, _, out = validated(step, tmp_path, format=FORMATS[name], **given)
    files = {table: out / f"{table}.parquet" for table in ("images", "instances", "folds")}
    step("split").main(**files, n_folds=2, seed=0, summary=out / "summary.csv")
    fold = images.merge(tables.read("folds", files["folds"])).groupby("well")["fold"]
    assert fold.nunique().to_dict() == {"A1": 1, "B1": 1, "C1": 1}
    assert set(fold.first()) == {0, 1}
    assert "Images of one well are in one fold." in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"geometry": {"type": "Polygon", "coordinates": [[[1, 1' + "0" * 400 + "]]]}}"]
)
def test_geojson_without_end_or_beyond_all_measure_is_a_fault(tmp_path, text):
    (tmp_path / "a.geojson").write_text(text)
    assert [fault.check for fault in decode_geojson(tmp_path / "a.geojson", 10, 10).faults] == ["rle_syntax"]
