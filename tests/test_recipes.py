"""All of docs/recipes.md: pretraining on drawn data in LIVECell's layout, pseudo-labels, magnified views."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from chain import copy, snakemake
from PIL import Image

from neuroseg import tables

pytestmark = pytest.mark.long

TEACHER, STUDENT = "cascade_mask_rcnn_tiny", "cascade_mask_rcnn_tiny_student"
VIEWS = ["x0.75", "hflip_x1.5"]
FEW = 12
"""Training steps: enough for scores that differ, far too few for good ones."""

RUN = {
    "ensembles": ["both"],
    "study": "recipe",
    "gpus": 0,
    "simulate": {"train_images": 8, "test_images": 2},
    "train": {
        "iterations": FEW,
        "init_from": {"demo": "drawn", f"demo/{STUDENT}": f"results/drawn/train/{TEACHER}/fold_0/model.pth"},
        "pseudo_label": {
            "students": {STUDENT: TEACHER},
            "images": ["test"],
            "views": ["x0.75"],
            "min_score": {"default": 0.02, "astro": 0.03},
        },
    },
    "predict": {"views": VIEWS, "max_detections": 200},
    "evaluate": {"bootstrap": 100},
}
"""The demo from a start on drawn cells, its test images pseudo-labelled."""

DRAWN = """
format: coco
root: data/drawn
annotations:
  - {annotations: drawn_coco_train.json, images: images/drawn_train_val_images, subset: train}
  - {annotations: drawn_coco_val.json, images: images/drawn_train_val_images, subset: val}
  - {annotations: drawn_coco_test.json, images: images/drawn_test_images, subset: test}
pattern: '(?P<cell_type>[A-Za-z0-9]+)_Phase_(?P<well>[A-Z]\\d+)_(?P<field>\\d+)_(?P<time>\\d+d\\d+h\\d+m)_'
group: [cell_type, well]
"""


def draw(folder: Path) -> None:
    """Draw LIVECell as published, in little: two types, one JSON a subset, annotations keyed by number."""
    random, number = np.random.default_rng(0), 0
    for subset, wells in {"train": "A1 A2", "val": "B1", "test": "C1"}.items():
        place = folder / "images" / f"drawn_{'test' if subset == 'test' else 'train_val'}_images"
        place.mkdir(parents=True, exist_ok=True)
        images, annotations = [], {}
        for cell_type, radius in (("MCF7", 9), ("A172", 14)):
            for well in wells.split():
                name = f"{cell_type}_Phase_{well}_1_00d00h00m_1.tif"
                image = {"id": len(images), "file_name": name, "height": 260, "width": 352}
                pixels = np.full((260, 352), 128.0)
                for centre in random.uniform(20, (240, 332), (8, 2)):
                    turn = np.linspace(0, 2 * np.pi, 17)[:-1]
                    corners = np.column_stack(
                        [centre[1] + radius * np.cos(turn), centre[0] + 0.7 * radius * np.sin(turn)]
                    )
                    y, x = np.mgrid[:260, :352] + 0.5
                    pixels[((x - centre[1]) / radius) ** 2 + ((y - centre[0]) / (0.7 * radius)) ** 2 <= 1] = (
                        190
                    )
                    entry = {"id": number, "image_id": image["id"], "category_id": 1, "iscrowd": 0}
                    annotations[str(number)] = entry | {"segmentation": [corners.ravel().tolist()]}
                    number += 1
                images.append(image)
                Image.fromarray((pixels + random.normal(0, 3, pixels.shape)).round().astype(np.uint8)).save(
                    place / name
                )
        content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cell"}]}
        (folder / f"drawn_coco_{subset}.json").write_text(json.dumps(content))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A copy of the repository in which the run has ended."""
    folder = copy(tmp_path_factory.mktemp("recipes"))
    draw(folder / "data" / "drawn")
    (folder / "configs" / "datasets" / "drawn.yaml").write_text(DRAWN)
    both = {"members": {TEACHER: 1.0, STUDENT: 1.0}, "fusion": {"views": VIEWS}}
    both["thresholds"] = {
        "score": [0.05]
    }  # of detectors that learnt next to nothing, tuned ones may leave no cell
    (folder / "configs" / "ensembles" / "both.yaml").write_text(yaml.safe_dump(both))
    (folder / "run.yaml").write_text(yaml.safe_dump(RUN))
    snakemake(
        "--cores", "1", "--configfile", "run.yaml", "--", "results/demo/evaluate/both.json", folder=folder
    )
    return folder


def results(folder: Path, name: str) -> pd.DataFrame:
    table = {"instances": "instances", "images": "images", "folds": "folds", "pseudo": "instances"}[
        Path(name).stem
    ]
    return tables.read(table, folder / "results" / "demo" / name)


def log(folder: Path, dataset: str, model: str, fold: int) -> str:
    return (folder / "logs" / dataset / "train" / f"{model}_fold_{fold}.log").read_text()


def pseudo(folder: Path, fold: int) -> pd.DataFrame:
    return results(folder, f"train/{STUDENT}/fold_{fold}/pseudo.parquet")


# ------------------------------------------------------------------------------------------------ pretraining


@pytest.mark.parametrize("model", [TEACHER, STUDENT])
def test_a_training_begins_with_the_other_data_sets_weights_and_new_heads(folder, model):
    assert "fold 0: 4 images, 32 cells of A172, MCF7" in log(folder, "drawn", TEACHER, 0)
    text = log(folder, "demo", model, 0)
    fitting, of = map(int, re.search(r"began with (\d+) of (\d+) weights from .*model.pth", text).groups())
    anew = re.search(r"initialised anew: (.*)", text)[1].split(", ")
    # two types there and three here: the last layers of three box heads and three mask heads, weight and bias
    # each
    assert {name.split(".")[-1] for name in anew} == {"fc_cls", "conv_logits"}
    assert (len(anew), of - fitting) == (6, 12)


def test_only_the_data_sets_start_is_trained_on_it(folder):
    trained = sorted(
        path.relative_to(folder).as_posix() for path in (folder / "results/drawn/train").rglob("*.pth")
    )
    assert trained == [f"results/drawn/train/{TEACHER}/fold_0/model.pth"]


# ---------------------------------------------------------------------------------------------- pseudo-labels


@pytest.mark.parametrize("fold", [0, 1])
def test_a_student_learns_from_the_truth_of_its_folds_and_the_pseudo_labels_alone(folder, fold):
    images, folds = results(folder, "validate/images.parquet"), results(folder, "split/folds.parquet")
    truth, labels = results(folder, "validate/instances.parquet"), pseudo(folder, fold)
    held_in = set(folds.loc[~folds["fold"].isin([fold, -1]), "image_id"])
    tests = set(images.loc[(images["subset"] == "test") & ~images["annotated"], "image_id"])
    assert len(labels)
    assert set(labels["image_id"]) <= tests
    cells = int(truth["image_id"].isin(held_in).sum())
    taught = len(set(labels["image_id"]))
    assert f"fold {fold}: {len(held_in)} images, {cells} cells of" in log(folder, "demo", TEACHER, fold)
    assert "pseudo" not in log(folder, "demo", TEACHER, fold)
    text = log(folder, "demo", STUDENT, fold)
    assert f"fold {fold}: {len(held_in) + taught} images, {cells + len(labels)} cells of" in text
    assert f"of these, {taught} images and {len(labels)} cells are pseudo-labelled" in text


@pytest.mark.parametrize("fold", [0, 1])
def test_pseudo_labels_are_disjoint_and_score_enough(folder, fold):
    from neuroseg import rle

    labels = pseudo(folder, fold)
    assert (labels["score"] >= np.where(labels["cell_type"] == "astro", 0.03, 0.02).astype(np.float32)).all()
    for _, cells in labels.groupby("image_id"):
        masks = rle.to_masks(rle.from_coco([bytes(counts) for counts in cells["rle"]], 520, 704), 520, 704)
        assert masks.sum(axis=0).max() == 1


def test_the_teachers_of_two_folds_label_apart(folder):
    assert not pseudo(folder, 0).equals(pseudo(folder, 1))


def test_a_student_is_another_detector_than_its_teacher(folder):
    one, other = (
        torch.load(folder / f"results/demo/train/{model}/fold_0/model.pth", weights_only=True)["state_dict"]
        for model in (TEACHER, STUDENT)
    )
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_truth_and_scores_know_nothing_of_pseudo_labels(folder):
    images, truth = results(folder, "validate/images.parquet"), results(folder, "validate/instances.parquet")
    assert truth["score"].isna().all()
    annotated = set(images.loc[images["annotated"], "image_id"])
    assert set(truth["image_id"]) <= annotated
    assert set(pd.read_parquet(folder / "results/demo/evaluate/both.parquet")["image_id"]) == annotated


def test_the_ledgers_command_for_train_has_nothing_left_to_do_and_labels_and_trains_when_it_must(folder):
    command = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"]["train"]["cmd"]
    flags = command.removeprefix("${run}").split()
    call = ("-n", "--configfile", "run.yaml")
    assert "Nothing to be done" in snakemake(*call, "--allowed-rules", *flags, folder=folder).stdout
    planned = snakemake(*call, "--forcerun", "pseudo_label", "--allowed-rules", *flags, folder=folder).stdout
    jobs = dict(re.findall(r"^(train|pseudo_label) +(\d+)$", planned, re.MULTILINE))
    assert jobs == {"train": "2", "pseudo_label": "2"}


def test_the_ledgers_command_for_train_begins_with_the_pretraining_where_it_is_not_there(folder, tmp_path):
    command = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"]["train"]["cmd"]
    flags = command.removeprefix("${run}").split()
    start = (folder / "results" / "drawn").rename(tmp_path / "drawn")
    wanted = ("-n", "--configfile", "run.yaml", "--forcerun", "train", "--allowed-rules", *flags)
    planned = snakemake(*wanted, folder=folder).stdout
    start.rename(folder / "results" / "drawn")
    jobs = dict(re.findall(r"^(validate|split|train) +(\d+)$", planned, re.MULTILINE))
    assert jobs == {"validate": "1", "split": "1", "train": "5"}


# ------------------------------------------------------------------------------------------------------ views


@pytest.mark.parametrize("model", [TEACHER, STUDENT])
def test_magnified_views_are_sources_of_their_own_with_boxes_in_the_frame(folder, model):
    path = folder / "results" / "demo" / "predict" / model / "fold_0.parquet"
    assert tables.read_coverage(path).sources == tuple(f"{model}/0/{view}" for view in VIEWS)
    found = tables.read("detections", path)
    assert set(found["source"]) == {f"{model}/0/{view}" for view in VIEWS}
    assert (tables.boxes(found) <= [704, 520] * 2).all()
    assert tables.boxes(found)[:, 2:].max(axis=0) == pytest.approx([704, 520], abs=60)


def test_magnified_views_alone_run_to_a_score(folder):
    assert len(tables.read("instances", folder / "results/demo/segment/both.parquet"))
    assert 0 <= json.loads((folder / "results/demo/evaluate/both.json").read_text())["map"] < 1
