"""Each fault of an image or a file is found by its name and no other; planted and real faults."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from PIL import Image
from quality_cases import BLOCK, HEIGHT, WIDTH, checked, culture, picture, rectangle

from neuroseg import quality, readers, tables
from neuroseg.errors import DataError

# --------------------------------------------------------------------------------------- checks on the images


def spoil(name: str, folder: Path) -> None:
    train = folder / "train"
    table = pd.read_csv(folder / "train.csv", dtype=str, keep_default_na=False)
    if name == "image_missing":
        (train / "a.png").unlink()
    elif name == "image_unreadable":
        (train / "a.png").write_bytes((train / "a.png").read_bytes()[:400])
    elif name == "image_channels":
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)).save(
            train / "a.png"
        )
    elif name == "image_bit_depth":
        tifffile.imwrite(train / "a.png", picture(0).astype(np.complex64))
    elif name == "image_size":
        Image.fromarray(picture(0)[:-1]).save(train / "a.png")
    elif name == "image_constant":
        Image.fromarray(picture(0) * 0 + 9).save(train / "a.png")
    elif name == "image_unlisted":
        waves = 128 + 30 * np.sin(np.indices((HEIGHT, WIDTH)).sum(0) / 3.5)
        Image.fromarray(waves.astype(np.uint8)).save(train / "z.png")
    elif name == "duplicate_id":
        Image.fromarray(picture(9)).save(train / "a.tif")
    elif name == "duplicate_image":
        Image.fromarray(picture(1)).save(train / "a.png")
    elif name == "mixed_bit_depth":
        Image.fromarray(picture(0).astype(np.uint16)).save(train / "a.png")
    elif name == "metadata_conflict":
        table.loc[1, "sample_id"] = "other"
    elif name == "bad_time":
        table["elapsed_timedelta"] = ["soon", "soon", "0 days 01:00:00", "0 days 01:00:00"]
    elif name == "unknown_cell_type":
        table.loc[:1, "cell_type"] = "hela"
    elif name == "pattern_mismatch":
        table.loc[:1, "sample_id"] = "t_a"
    else:
        fault = {
            "rle_syntax": "1 x",
            "rle_order": "4 2 1 3",
            "rle_range": f"{HEIGHT * WIDTH - 1} 9",
            "rle_overlap": "1 3 2 3",
        }
        table.loc[0, "annotation"] = fault[name]
    table.to_csv(folder / "train.csv", index=False)


SPOILT = (
    *(
        "image_missing",
        "image_unreadable",
        "image_channels",
        "image_bit_depth",
        "image_size",
        "image_constant",
    ),
    *(
        "image_unlisted",
        "duplicate_id",
        "duplicate_image",
        "mixed_bit_depth",
        "metadata_conflict",
        "bad_time",
    ),
    *("unknown_cell_type", "pattern_mismatch", "rle_syntax", "rle_order", "rle_range", "rle_overlap"),
)


def spoilt(folder: Path, name: str, policy: str) -> Path:
    cells = {"a": [BLOCK, rectangle(20, 20, 30, 30)], "b": [BLOCK], "c": [BLOCK]}
    file = culture(folder, cells, policies={name: policy}, cell_types=["cort"], pattern="[sz]")
    spoil(name, folder)
    return file


@pytest.mark.parametrize("name", SPOILT)
def test_each_fault_is_found_by_its_name_and_no_other(tmp_path, name):
    with pytest.raises(DataError) as caught:
        checked(spoilt(tmp_path, name, "error"))
    assert len(caught.value.sentences) == 1
    assert f"`{name}: " in caught.value.sentences[0]
    assert caught.value.sentences[0].startswith(("train.csv:", "train/"))


@pytest.mark.parametrize(
    ("name", "policy"),
    [(name, policy) for name in SPOILT for policy in quality.CHECKS[name].policies if policy != "error"],
)
def test_each_policy_does_what_it_says(tmp_path, name, policy):
    result = checked(spoilt(tmp_path, name, policy))
    # a repair may leave a mask of a few pixels, which is reported as well
    found = [check for check in result.problems["check"] if check != "tiny_mask"]
    assert found == [name]
    assert result.problems["policy"][0] == policy
    of_masks = name.startswith("rle_")
    extra = {"duplicate_id": 0, "image_unlisted": 0}.get(name, 1)
    if policy == "drop" and not of_masks:
        expected = ["a", "b", "c"][extra:]
        assert result.images["image_id"].tolist() == (["a", "c"] if name == "duplicate_image" else expected)
    elif policy == "keep" and name == "image_unlisted":
        assert result.images["image_id"].tolist() == ["a", "b", "c", "z"]
        assert result.images["annotated"].tolist() == [True, True, True, False]
    else:
        assert result.images["image_id"].tolist() == ["a", "b", "c"]
    assert set(result.instances["image_id"]) <= set(result.images["image_id"])
    if of_masks:
        assert len(result.instances) == (4 if policy == "repair" else 3)


@pytest.mark.parametrize(
    ("name", "area"),
    [("rle_order", 5), ("rle_range", 2), ("rle_overlap", 4)],
    ids=["order", "range", "overlap"],
)
def test_a_repaired_text_has_the_pixels_that_it_can_mean(tmp_path, name, area):
    assert checked(spoilt(tmp_path, name, "repair")).instances["area"][0] == area


def test_identical_images_share_a_group_with_all_of_both_groups(tmp_path):
    file = culture(tmp_path, {name: [BLOCK] for name in "abcd"})
    table = pd.read_csv(tmp_path / "train.csv").assign(sample_id=["x", "x", "y", "z"])
    table.to_csv(tmp_path / "train.csv", index=False)
    Image.fromarray(picture(2)).save(tmp_path / "train" / "b.png")  # b, of group x, equals c, of group y
    assert checked(file).images["group"].tolist() == ["x", "x", "x", "z"]


def test_of_identical_images_the_annotated_one_stays(tmp_path):
    file = culture(tmp_path, {"m": [BLOCK]}, policies={"duplicate_image": "drop"}, unlabelled=["more"])
    (tmp_path / "more").mkdir()
    Image.fromarray(picture(0)).save(tmp_path / "more" / "a.png")
    assert checked(file).images["image_id"].tolist() == ["m"]


def test_a_cell_of_a_type_that_is_not_listed_is_found_beside_cells_that_are(tmp_path):
    (tmp_path / "images").mkdir()
    Image.fromarray(picture(0)).save(tmp_path / "images" / "a.png")
    square = [[2, 2, 12, 2, 12, 12, 2, 12]]
    cells = [{"id": at, "image_id": 1, "category_id": at, "segmentation": square} for at in (1, 2)]
    kinds = [{"id": 1, "name": "cort"}, {"id": 2, "name": "hela"}]
    image = {"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}
    (tmp_path / "a.json").write_text(
        json.dumps({"images": [image], "annotations": cells, "categories": kinds})
    )
    keys = {
        "format": "coco",
        "root": str(tmp_path),
        "annotations": [{"annotations": "a.json", "images": "images"}],
    }
    policies = {"unknown_cell_type": "drop", "duplicate_mask": "keep"}
    file = tmp_path / "dataset.yaml"
    file.write_text(yaml.safe_dump(keys | {"cell_types": ["cort"], "policies": policies}))
    result = checked(file)
    assert result.problems[["check", "where"]].to_numpy().tolist() == [
        ["unknown_cell_type", "a.json:annotations[1]"]
    ]
    assert result.instances["cell_type"].tolist() == ["cort"]
    assert result.images["cell_type"].isna().all()


def test_cells_without_a_type_are_found_where_types_are_listed(tmp_path):
    file = culture(
        tmp_path, {"a": [BLOCK], "b": []}, cell_types=["cort"], policies={"unknown_cell_type": "keep"}
    )
    table = pd.read_csv(tmp_path / "train.csv").assign(cell_type="")
    table.to_csv(tmp_path / "train.csv", index=False)
    assert checked(file).problems[["check", "image_id"]].to_numpy().tolist() == [["unknown_cell_type", "a"]]


def test_one_bit_depth_more_than_the_others_is_the_odd_one(tmp_path):
    file = culture(tmp_path, {name: [BLOCK] for name in "abc"})
    Image.fromarray(picture(0).astype(np.uint16)).save(tmp_path / "train" / "b.png")
    problems = checked(file).problems
    assert problems[["check", "image_id"]].to_numpy().tolist() == [["mixed_bit_depth", "b"]]
    assert problems["message"][0].endswith("b.png holds uint16 samples; most images are read as uint8")


@pytest.mark.parametrize("odd", ["float32", "uint8"])
def test_samples_are_called_by_the_type_that_the_file_holds(tmp_path, odd):
    file = culture(tmp_path, {name: [BLOCK] for name in "abc"})
    for at, name in enumerate("abc"):
        (tmp_path / "train" / f"{name}.png").unlink()
        kind = odd if name == "b" else {"float32": "uint8", "uint8": "float32"}[odd]
        tifffile.imwrite(
            tmp_path / "train" / f"{name}.tif", picture(at).astype(kind) * (1.5 if "f" in kind else 1)
        )
    (message,) = checked(file).problems["message"]
    said = {
        "float32": "b.tif holds float32 samples, which are read as uint16; most images are read as uint8",
        "uint8": "b.tif holds uint8 samples; most images are read as uint16",
    }
    assert message.endswith(said[odd])


def test_nothing_that_check_is_given_is_changed(tmp_path):
    dataset = readers.read_dataset(spoilt(tmp_path, "rle_order", "repair"))
    source = readers.read(dataset)
    survey = readers.survey(source.images["path"])
    copies = [frame.copy(deep=True) for frame in (source.images, source.annotations, source.notes, survey)]
    runs = [array.copy() for array in source.masks]
    quality.check(*source, survey, quality.settings(dataset.policies, {}, (), "f.yaml"))
    for frame, copy in zip((source.images, source.annotations, source.notes, survey), copies, strict=True):
        pd.testing.assert_frame_equal(frame, copy)
    assert all((array == copy).all() for array, copy in zip(source.masks, runs, strict=True))


# ------------------------------------------------------------------------------------ planted and real faults


@pytest.mark.slow
def test_every_planted_fault_of_the_demo_is_found_by_its_name(tmp_path, step, root, monkeypatch):
    step("simulate").main(
        seed=3, train_images=6, test_images=1, height=260, width=352, out=tmp_path / "data" / "demo"
    )
    monkeypatch.chdir(tmp_path)
    outputs = {name: tmp_path / f"{name}.out" for name in ("images", "instances", "problems")}
    step("validate").main(dataset=root / "configs" / "datasets" / "demo.yaml", **outputs)
    planted = pd.read_csv(tmp_path / "data" / "demo" / "faults.csv")
    found = pd.read_csv(outputs["problems"]).set_index(["check", "image_id"])
    assert len(planted) >= 5
    for check, image in planted[["check", "image_id"]].itertuples(index=False):
        assert len(found.loc[[(check, image)]]) == 1
    gone = set(planted.loc[planted["check"].isin(["image_missing", "image_unreadable"]), "image_id"])
    assert not gone & set(tables.read("images", outputs["images"])["image_id"])


@pytest.mark.slow
def test_every_planted_fault_of_the_demo_stops_a_strict_run_with_a_sentence_of_its_own(tmp_path, step):
    step("simulate").main(seed=4, train_images=6, test_images=1, height=260, width=352, out=tmp_path / "demo")
    planted = pd.read_csv(tmp_path / "demo" / "faults.csv")
    strict = {
        "format": "kaggle",
        "root": str(tmp_path / "demo"),
        "annotations": "train.csv",
        "images": ["train"],
    }
    (tmp_path / "demo.yaml").write_text(yaml.safe_dump(strict | {"policies": {"hollow_mask": "error"}}))
    with pytest.raises(DataError) as caught:
        checked(tmp_path / "demo.yaml")
    assert len(caught.value.sentences) == len(planted)
    for check, image in planted[["check", "image_id"]].itertuples(index=False):
        assert (
            sum(f"(image {image})" in line and f"`{check}: " in line for line in caught.value.sentences) == 1
        )


@pytest.mark.real
def test_the_competitions_real_data_pass_and_show_their_known_quirks(root, real_data):
    file = readers.read_dataset(root / "configs" / "datasets" / "sartorius.yaml")
    source = readers.read(file.model_copy(update={"root": real_data / "sartorius"}))
    chosen = quality.settings(file.policies, file.limits, file.cell_types, "sartorius.yaml")
    result = quality.check(*source, readers.survey(source.images["path"]), chosen)
    assert len(result.instances) == 5580
    assert result.problems["check"].value_counts().to_dict() == {
        "hole": 407,
        "pattern_mismatch": 72,
        "truth_overlap": 60,
        "hollow_mask": 46,
    }


@pytest.mark.real
def test_the_real_masks_without_images_pass_with_image_missing_kept(tmp_path, real_data):
    keys = {
        "annotations": "extra/annotations_without_images.csv",
        "images": [],
        "root": str(real_data / "sartorius"),
    }
    policies = {"image_missing": "keep", "duplicate_mask": "drop"}
    file = tmp_path / "truth.yaml"
    file.write_text(yaml.safe_dump({"format": "kaggle", "policies": policies} | keys))
    result = checked(file)
    assert len(result.images) == 312
    assert len(result.instances) == 25_262 - 8
    assert (result.problems["check"] == "duplicate_mask").sum() == 8
