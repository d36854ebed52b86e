"""Readers: data sets to raw rows, with what their files and names tell of each image."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from readers_cases import DEEP, PATTERN, RAMP, dataset, kaggle, kaggle_row, rectangle

from neuroseg import readers, rle
from neuroseg.errors import DataError
from neuroseg.readers.plates.times import hours

# ----------------------------------------------------------------------------------- names, times, plate maps


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("0 days 11:30:00", 11.5),
        ("2 days 00:00:36", 48.01),
        ("1 day 01:00:00", 25),
        ("02d16h00m", 64),
        ("11h30m00s", 11.5),
        ("01:30:00", 1.5),
        ("36", 36),
        ("0.5", 0.5),
        ("30min", 0.5),
        ("120 min", 2),
        ("24h30", 24.5),
        ("24h", 24),
        ("24 h", 24),
        ("24hrs", 24),
        ("1.5h", 1.5),
        ("1,5 h", 1.5),
        ("48 Hours", 48),
        ("3 Tage", 72),
        ("12 Std. 30 Min.", 12.5),
        ("7DIV", 168),
        ("DIV7", 168),
        ("day 3", 72),
        ("2 weeks", 336),
        ("1d_12h", 36),
        ("1h-30min", 1.5),
        ("2 days, 4 hours", 52),
        ("1 day, 1:00:00", 25),
        ("90s", 0.025),
    ],
)
def test_a_span_of_time_is_hours(words, expected):
    assert hours(words) == pytest.approx(expected)


@pytest.mark.parametrize(
    "words",
    [
        "noon",
        "",
        "-3",
        "nan",
        "inf",
        "12:30",
        "2019-06-16",
        "_",
        "-3h",
        "24h75",
        "24h5",
        "24h_30",
        "30min2h",
        "1,000h",
        "5mM",
        "9" * 400 + "h",
    ],
)
def test_what_is_no_span_of_time_is_refused(words):
    with pytest.raises(ValueError):  # noqa: PT011 - the words are float's own
        hours(words)


def test_the_pattern_tells_plate_well_and_group(tmp_path):
    sample = "shsy5y[diff]_E10-4_Vessel-714_Ph_3"
    row = kaggle_row(
        "a", rectangle(0, 0, 2, 2), sample_id=sample, elapsed_timedelta="0 days 11:30:00", cell_type="shsy5y"
    )
    image = kaggle(tmp_path, [row], pattern=PATTERN, group=["plate", "well"]).images.iloc[0]
    assert image["group"] == "Vessel-714/E10"
    assert image[["plate", "well", "treatment", "time"]].tolist() == ["Vessel-714", "E10", "diff", 11.5]
    assert image["sample"] == sample


def test_a_name_that_does_not_match_has_its_sample_as_group(tmp_path):
    rows = [kaggle_row("a", rectangle(0, 0, 2, 2), sample_id="04cd81dfb245")]
    policies = {"pattern_mismatch": "keep"}
    source = kaggle(tmp_path, rows, pattern=PATTERN, group=["plate", "well"], policies=policies)
    assert source.images["group"].tolist() == ["04cd81dfb245"]
    assert source.notes[["check", "image", "where"]].to_numpy().tolist() == [
        ["pattern_mismatch", 0, "train.csv:2"]
    ]


def test_every_metadata_column_may_be_empty(tmp_path):
    image = kaggle(tmp_path, [kaggle_row("a", rectangle(0, 0, 2, 2))]).images.iloc[0]
    assert image["group"] == image["sample"] == "a"
    assert image[["plate", "well", "time", "treatment", "pixel_size_um"]].isna().all()


def test_the_csvs_cell_type_stands_before_the_patterns(tmp_path):
    sample = "shsy5y[diff]_E10-4_Vessel-714_Ph_3"
    rows = [
        kaggle_row(name, rectangle(0, 0, 2, 2), sample_id=sample, cell_type=kind)
        for name, kind in (("a", "cort"), ("b", ""))
    ]
    source = kaggle(tmp_path, rows, pattern=PATTERN)
    assert source.images["cell_type"].tolist() == ["cort", "shsy5y"]
    assert source.annotations["cell_type"].tolist() == ["cort", "shsy5y"]


@pytest.mark.parametrize("plate", [True, False], ids=["several plates", "one plate"])
def test_the_plate_map_tells_the_treatment(tmp_path, plate):
    table = pd.DataFrame(
        {"plate": ["Vessel-714"] * 2, "well": ["E10", "E11"], "treatment": ["drug", "control"]}
    )
    table[table.columns if plate else ["well", "treatment"]].to_csv(tmp_path / "map.csv", index=False)
    rows = [
        kaggle_row(name, rectangle(0, 0, 2, 2), sample_id=f"shsy5y[diff]_{well}-4_Vessel-714_Ph_3")
        for name, well in (("a", "E10"), ("b", "E11"), ("c", "F1"))
    ]
    source = kaggle(tmp_path, rows, pattern=PATTERN, plate_map="map.csv")
    assert source.images["treatment"].tolist() == ["drug", "control", "diff"]
    assert source.notes[["check", "image"]].to_numpy().tolist() == [["plate_map", 2]]


# --------------------------------------------------------------------------------------------- folders, files


def test_a_folder_gives_its_images_with_those_below_it(tmp_path):
    (tmp_path / "plate_1").mkdir()
    (tmp_path / ".trash").mkdir()
    Image.fromarray(RAMP).save(tmp_path / "b.PNG")
    tifffile.imwrite(tmp_path / "plate_1" / "a.ome.tif", DEEP)
    Image.fromarray(RAMP).save(tmp_path / ".trash" / "old.png")
    (tmp_path / "notes.txt").write_text("no image")
    source = readers.read(dataset(tmp_path, format="folder"))
    assert source.images["image_id"].tolist() == ["b", "plate_1__a"]
    assert not source.images["annotated"].any()
    assert set(source.images["subset"]) == {"test"}
    assert len(source.masks) == len(source.annotations) == 0


DATASET_FILES = {
    "no yaml": ("root: [", "is no YAML"),
    "no keys": ("- a", "must hold keys"),
    "no format": ("root: .", "format"),
    "unknown format": ("{format: zarr, root: .}", "kaggle"),
    "unknown key": ("{format: folder, root: ., colour: red}", "colour"),
    "no root": ("format: folder", "root"),
    "no annotations": ("{format: kaggle, root: ., images: [a]}", "annotations"),
    "unknown subset": (
        "{format: coco, root: ., annotations: [{annotations: a, images: b, subset: x}]}",
        "subset",
    ),
    "no entries": ("{format: coco, root: ., annotations: []}", "annotations"),
    "broken pattern": ("{format: folder, root: ., pattern: '(?P<well>'}", "no regular expression"),
    "unknown field": ("{format: folder, root: ., pattern: '(?P<hue>.)'}", "hue"),
    "group from nowhere": ("{format: folder, root: ., pattern: '(?P<plate>.)', group: [well]}", "well"),
    "group of time": ("{format: folder, root: ., pattern: '(?P<time>.)', group: [time]}", "time"),
    "map without well": ("{format: folder, root: ., pattern: '(?P<plate>.)', plate_map: a.csv}", "plate_map"),
    "unknown policy": ("{format: folder, root: ., policies: {hole: shrug}}", "policies.hole"),
    "pixel size of 0": ("{format: folder, root: ., pixel_size_um: 0}", "pixel_size_um"),
    "endless pixel size": ("{format: folder, root: ., pixel_size_um: .inf}", "pixel_size_um"),
    "pixel size of a word": ("{format: folder, root: ., pixel_size_um: true}", "pixel_size_um"),
}


@pytest.mark.parametrize("name", DATASET_FILES)
def test_a_broken_dataset_file_is_refused_by_file_and_key(tmp_path, name):
    content, words = DATASET_FILES[name]
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(DataError, match=words) as caught:
        readers.read_dataset(file)
    assert all(
        sentence.startswith(str(file)) and sentence.endswith(".") for sentence in caught.value.sentences
    )


def test_all_faults_of_a_dataset_file_are_named(tmp_path):
    (tmp_path / "mine.yaml").write_text("{format: folder, colour: red, size: 3}")
    with pytest.raises(DataError) as caught:
        readers.read_dataset(tmp_path / "mine.yaml")
    assert len(caught.value.sentences) == 3


def test_the_datasets_of_the_repository_can_be_read(root):
    for file in sorted((root / "configs" / "datasets").glob("*.yaml")):
        assert readers.read_dataset(file).format in readers.READERS


# -------------------------------------------------------------------------------------------------- real data


def real(root: Path, data: Path, name: str) -> readers.Source:
    file = readers.read_dataset(root / "configs" / "datasets" / f"{name}.yaml")
    return readers.read(file.model_copy(update={"root": data / name}))


@pytest.mark.real
def test_the_real_images_of_the_competition_are_read(root, real_data):
    source = real(root, real_data, "sartorius")
    assert source.images.groupby(["subset", "annotated"]).size().to_dict() == {
        ("test", False): 3,
        ("train", False): 4,
        ("train", True): 69,
    }
    assert len(source.masks) == 5580
    assert set(source.notes["check"]) == {"pattern_mismatch"}
    unlabelled = source.images[~source.images["annotated"] & (source.images["subset"] == "train")]
    assert set(unlabelled["group"]) == {"Vessel-361/D1"}
    assert set(unlabelled["cell_type"]) == {"astro"}


@pytest.mark.real
def test_livecells_images_and_its_own_split_are_read(root, real_data):
    source = real(root, real_data, "livecell")
    assert source.images["subset"].value_counts().to_dict() == {"val": 5, "test": 15}
    assert len(source.masks) == 4528
    assert source.notes["check"].tolist() == ["box_mismatch"]  # a spike of a polygon that covers no pixel
    assert readers.survey(source.images["path"])["fault"].isna().all()
    assert source.images.set_index("image_id").loc["MCF7_Phase_G4_2_02d16h00m_1", "time"] == 64


@pytest.mark.real
def test_livecells_polygons_have_the_area_that_it_states(root, real_data):
    source = real(root, real_data, "livecell")
    stated = [
        cell["area"]
        for part in ("val", "test")
        for cell in json.loads((real_data / "livecell" / f"livecell_coco_{part}.json").read_bytes())[
            "annotations"
        ]
    ]
    ratio = rle.areas(source.masks) / np.array(stated)
    assert abs(np.median(ratio) - 1) < 0.02


@pytest.mark.real
def test_someones_own_16_bit_images_land_where_the_detectors_learned(real_data):
    source = readers.read(readers.dataset.Folder(format="folder", root=real_data / "own_folder"))
    assert len(source.images) == 6
    image = readers.read_uint8(source.images["path"][0])
    assert image.shape == (1022, 1024)
    assert np.median(image) == 128
    assert 5 < image.std() < 30  # the competition's images: 6 to 22
