"""Names as microscopes write them: found by themselves, with wells, fields, times and channels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from PIL import Image

from neuroseg import quality, readers
from neuroseg.errors import DataError
from neuroseg.readers.plates.presets import preset_of


def read(folder, names, **keys):
    for at, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, np.full((6, 10), at, np.uint8))
    (folder / "set.yaml").write_text(yaml.safe_dump({"format": "folder", "root": str(folder), **keys}))
    return readers.read(readers.read_dataset(folder / "set.yaml"))


NAMES = {
    "incucyte": ("VID123_A1_1_00d12h30m.tif", "VID123", "A1", 12.5),
    "incucyte's export with dates": ("My plate_B12_4_2024y01m31d_12h00m.tif", "My plate", "B12", 0),
    "incucyte's tree": ("EssenFiles/ScanData/1912/14/1600/19/B2-1-Ph.tif", "19", "B2", 0),
    "imagexpress": ("run7_A01_s1_w1.TIF", "run7", "A1", None),
    "imagexpress with its code": (
        "run7_P24_s12_w15A2B3C4D-0F1E-4A2B-8C3D-0123456789AB.tif",
        "run7",
        "P24",
        None,
    ),
    "imagexpress without sites": ("run7_H12_w1.tif", "run7", "H12", None),
    "operetta": ("Images/r01c02f03p01-ch1sk1fk1fl1.tiff", None, "A2", None),
    "cellvoyager": ("AssayPlate_A01_T0001F001L01A01Z01C01.tif", "AssayPlate", "A1", None),
    "evos": ("scan_Plate_R_p00_0_C05f00d0.TIF", "scan_Plate_R_p00_0", "C5", None),
    "evos as displayed": ("scan_Plate_D_p00_0_A01f00d4.TIF", "scan_Plate_D_p00_0", "A1", None),
    "evos in time": (
        "run 2_Bottom Slide_TR2_p01_12_H12f15d4.TIF",
        "run 2_Bottom Slide_TR2_p01_12",
        "H12",
        None,
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_microscopes_names_are_known_without_a_pattern(tmp_path, name):
    file, plate, well, time = NAMES[name]
    image = read(tmp_path, [file]).images.iloc[0]
    assert [image["plate"], image["well"], image["time"]] == [plate, well, time]


@pytest.mark.parametrize(
    ("others", "words"),
    [
        (["mine.tif"], "1 of 3 names does not fit the preset evos (mine.tif)"),
        (["b/mine.tif", "c.tif"], "2 of 4 names do not fit the preset evos (b/mine.tif, c.tif)"),
        (
            [f"{name}.tif" for name in "abcd"],
            "4 of 6 names do not fit the preset evos (a.tif, b.tif, c.tif, ...)",
        ),
        ([NAMES["incucyte"][0]], "1 of 3 names does not fit the preset evos (VID123_A1_1_00d12h30m.tif)"),
    ],
)
@pytest.mark.parametrize("form", ["folder", "labels"])
def test_names_that_keep_the_others_from_being_read_are_named_with_the_cure(tmp_path, others, words, form):
    names = [NAMES["evos"][0], NAMES["evos"][0].replace("C05", "C06")]
    if form == "labels":
        (tmp_path / f"{Path(names[0]).stem}_masks.png").touch()
    source = read(tmp_path, [*names, *others], format=form)
    assert source.images["well"].isna().all()
    (note,) = source.notes[source.notes["check"] == "unfit_names"].itertuples()
    away = "leave such images out with `exclude`" if form == "folder" else "move such images away"
    assert (note.image, note.message) == (
        -1,
        f"names tell no plate, well, field or time, as {words}: {away}, "
        "or read the others with `pattern: evos`",
    )
    with pytest.raises(
        DataError, match=rf"do not tell the well by themselves, as {words[:30]}.*`pattern: evos`"
    ):
        read(tmp_path, [], format=form, group=["well"])


def test_names_that_no_preset_fits_are_left_alone(tmp_path):
    assert read(tmp_path, ["a.tif", "b.tif"]).notes.empty


def test_a_preset_may_be_named(tmp_path):
    source = read(
        tmp_path, [NAMES["evos"][0], NAMES["evos"][0].replace("C05", "C06"), "x.tif"], pattern="evos"
    )
    assert source.images["well"].tolist() == ["C5", "C6", None]
    assert source.notes["check"].tolist() == ["pattern_mismatch"]


def test_a_plate_map_needs_no_pattern_where_names_are_known(tmp_path):
    (tmp_path / "map.csv").write_text("well,treatment\nA2,drug\n")
    assert read(tmp_path, [NAMES["operetta"][0]], plate_map="map.csv").images["treatment"].tolist() == [
        "drug"
    ]


def test_a_plate_map_without_wells_in_the_names_is_refused(tmp_path):
    (tmp_path / "map.csv").write_text("well,treatment\nA2,drug\n")
    with pytest.raises(DataError, match="names do not tell the well"):
        read(tmp_path, ["mine.tif"], plate_map="map.csv")


PHOTOGRAPHS = [f"P_{well}_1_00d0{hour}h00m.tif" for well in ("A1", "B2") for hour in (0, 4)]
WELLS = {"P_A1_1_00d00h00m": ("A1", 0), "P_A1_1_00d04h00m": ("A1", 4)} | {
    "P_B2_1_00d00h00m": ("B2", 0),
    "P_B2_1_00d04h00m": ("B2", 4),
}
CELLS = np.kron([[0, 0, 0, 0], [0, 1, 0, 2]], np.ones((20, 15))).astype(np.uint8)
ODD = {
    "a label image": ({"cells_A1.tif": CELLS}, "label_image"),
    "black and white": ({"A1.tif": 255 * (CELLS > 0).astype(np.uint8)}, "label_image"),
    "label images under the photographs' names": (
        {name.replace(".tif", "_Cells.tiff"): CELLS.astype(np.uint16) for name in PHOTOGRAPHS},
        "label_image",
    ),
    "a label image of a photograph's very name": ({"P_A1_1_00d00h00m.png": CELLS}, "label_image"),
    "more label images than photographs": ({f"{at}.tif": CELLS * (at + 1) for at in range(9)}, "label_image"),
    "a blank image": ({"blank.tif": CELLS * 0 + 7}, "image_constant"),
    "a broken file": ({"broken.tif": b"II*\0\x08\0\0\0"}, "image_unreadable"),
    "a repeated image": ({"z.tif": None}, "duplicate_image"),
}


def photographs(folder, files=()):
    """Write photographs, and other files by name: pixels, bytes, or None for a photograph's pixels."""
    folder.mkdir(exist_ok=True)
    for seed, name in enumerate(PHOTOGRAPHS):
        pixels = np.random.default_rng(seed).integers(90, 170, CELLS.shape).astype(np.uint8)
        tifffile.imwrite(folder / name, pixels)
    for name, content in dict(files).items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        elif name.endswith(".png"):
            Image.fromarray(content).save(folder / name)
        else:
            first = tifffile.imread(folder / PHOTOGRAPHS[0])
            tifffile.imwrite(folder / name, first if content is None else content)


def validated(folder, step, **keys):
    """Validate a folder of photographs; return the file of the table of images, and the problems."""
    policies = {"image_constant": "drop", "image_unreadable": "drop", "duplicate_image": "drop"}
    content = {"format": "folder", "root": str(folder), "policies": policies, **keys}
    (folder / "set.yaml").write_text(yaml.safe_dump(content))
    tables = {name: folder / f"{name}.parquet" for name in ("images", "instances")}
    step("validate").main(dataset=folder / "set.yaml", problems=folder / "problems.csv", **tables)
    return tables["images"], pd.read_csv(folder / "problems.csv")


@pytest.mark.parametrize(
    ("name", "form"),
    # of the photograph's very name, a label image is its annotation
    [
        (name, form)
        for name in ODD
        for form in ("folder", "labels")
        if (form, name[-9:]) != ("labels", "very name")
    ],
)
def test_what_is_left_out_by_its_pixels_does_not_take_the_others_wells_along(tmp_path, step, name, form):
    files, check = ODD[name]
    photographs(tmp_path, files)
    if form == "labels":
        tifffile.imwrite(
            tmp_path / PHOTOGRAPHS[0].replace(".tif", "_masks.tif"),
            np.pad([[1] * 12] * 12, ((9, 19), (9, 39))).astype(np.uint8),
        )
    table, problems = validated(tmp_path, step, format=form)
    found = pd.read_parquet(table).set_index("image_id")
    told = dict(zip(found.index, zip(found["well"], found["time"], strict=True), strict=True))
    assert told == WELLS
    assert problems["check"].value_counts().drop("unpaired", errors="ignore").to_dict() == {check: len(files)}


@pytest.mark.parametrize(
    "keys",
    [
        {"pattern": "incucyte"},
        {"plate_map": "map.csv"},
        {"group": ["well"]},
        {"plate_map": "map.csv", "pattern": r".*_(?P<well>[A-H]\d)_"},
    ],
)
def test_what_a_dataset_file_asks_of_names_is_asked_of_photographs(tmp_path, step, keys):
    photographs(tmp_path, {f"{at}.tif": CELLS * (at + 1) for at in range(9)})
    if "plate_map" in keys:
        (tmp_path / "map.csv").write_text("well,treatment\nA1,drug\nB2,none\n")
    table, problems = validated(tmp_path, step, **keys)
    found = pd.read_parquet(table)
    assert found["well"].tolist() == ["A1", "A1", "B2", "B2"]
    assert "plate_map" not in keys or found["treatment"].tolist() == ["drug", "drug", "none", "none"]
    assert set(problems["check"]) == {"label_image"}


def test_a_plate_map_beside_label_images_alone_says_that_no_image_is_left(tmp_path, step):
    tifffile.imwrite(tmp_path / "a.tif", CELLS)
    (tmp_path / "map.csv").write_text("well,treatment\nA1,drug\n")
    with pytest.raises(DataError, match="no image is left of 1"):
        validated(tmp_path, step, plate_map="map.csv")


def test_a_label_image_is_neither_another_channel_nor_another_image_of_its_place(tmp_path, step):
    photographs(tmp_path)
    for at, name in enumerate(PHOTOGRAPHS):
        (tmp_path / name).rename(tmp_path / f"P_A01_s{at}_w1.tif")
    (tmp_path / "0").mkdir()
    for name in ("P_A01_s0_w2.tif", "0/P_A01_s0_w1.tif"):
        tifffile.imwrite(tmp_path / name, CELLS)
    table, problems = validated(tmp_path, step)
    assert pd.read_parquet(table)["field"].tolist() == ["0", "1", "2", "3"]
    assert problems["check"].tolist() == ["label_image", "label_image"]


def test_the_first_scan_is_the_first_even_where_its_image_is_broken(tmp_path, step):
    photographs(tmp_path)
    for name, stamp in zip(PHOTOGRAPHS[:3], ("31d_08h00m", "31d_10h00m", "31d_12h00m"), strict=True):
        (tmp_path / name).rename(tmp_path / f"P_A1_1_2024y01m{stamp}.tif")
    (tmp_path / PHOTOGRAPHS[3]).unlink()
    (tmp_path / "P_A1_1_2024y01m31d_08h00m.tif").write_bytes(b"II*\0\x08\0\0\0")
    table, _ = validated(tmp_path, step)
    assert pd.read_parquet(table)["time"].tolist() == [2, 4]


@pytest.mark.parametrize("name", ["P_A1_1_2020y01m31d_08h00m.tif", "old/P_A1_9_2024y01m30d_08h00m.tif"])
@pytest.mark.parametrize("pattern", [None, r"(?:.*/)?P_(?P<well>A1)_\d_(?P<stamp>\d{4}y.*)"])
def test_a_label_image_is_no_first_scan(tmp_path, step, name, pattern):
    photographs(tmp_path)
    for number, hour in enumerate(("08", "10", "12", "14")):
        (tmp_path / PHOTOGRAPHS[number]).rename(tmp_path / f"P_A1_1_2024y01m31d_{hour}h00m.tif")
    (tmp_path / "old").mkdir()
    tifffile.imwrite(tmp_path / name, CELLS)
    table, problems = validated(tmp_path, step, **({"pattern": pattern} if pattern else {}))
    assert pd.read_parquet(table)["time"].tolist() == [0, 2, 4, 6]
    assert problems["check"].tolist() == ["label_image"]


def test_a_label_image_that_is_added_changes_nothing_and_a_photograph_says_what_it_does(
    tmp_path, step, capsys
):
    photographs(tmp_path)
    table, problems = validated(tmp_path, step)
    before = table.read_bytes()
    assert problems.empty
    tifffile.imwrite(tmp_path / "cells_A1.tif", CELLS)
    validated(tmp_path, step)
    assert table.read_bytes() == before
    tifffile.imwrite(
        tmp_path / "cells_A1.tif", np.random.default_rng(9).integers(90, 170, (40, 60), np.uint8)
    )
    capsys.readouterr()
    _, problems = validated(tmp_path, step)
    assert pd.read_parquet(table)["well"].isna().all()
    assert problems["check"].tolist() == ["unfit_names"]
    assert f"{problems['message'][0]}." in capsys.readouterr().out.splitlines()
    validated(tmp_path, step, exclude="cells_*")
    assert table.read_bytes() == before


TREE = [
    f"EssenFiles/ScanData/{time}/19/{well}-1-{channel}.tif"
    for time in ("1912/14/2200", "1912/15/0130")
    for well in ("B2", "B3")
    for channel in ("Ph", "C1")
]


def test_incucytes_tree_gives_hours_since_the_first_scan_and_the_phase_channel(tmp_path):
    source = read(tmp_path, TREE)
    settings = quality.settings({"image_constant": "keep"}, {}, (), "set.yaml")
    found = quality.check(*source, readers.survey(source.images["path"]), settings)
    assert found.images[["plate", "well", "time"]].to_numpy().tolist() == [
        ["19", "B2", 0.0],
        ["19", "B3", 0.0],
        ["19", "B2", 3.5],
        ["19", "B3", 3.5],
    ]
    assert (found.problems["check"] == "other_channel").sum() == 4


def test_several_channels_of_which_none_is_known_must_be_chosen(tmp_path):
    names = [f"P_A01_s1_w{channel}.tif" for channel in (1, 2)]
    with pytest.raises(DataError, match="channels 1, 2; say with `channel`"):
        read(tmp_path, names)
    assert read(tmp_path, names, channel=2).notes[["check", "image"]].to_numpy().tolist() == [
        ["other_channel", 0]
    ]


@pytest.mark.parametrize("phase", ["Ph", "phase_contrast", "Phase-Contrast", "bright field"])
def test_the_channel_in_transmitted_light_is_known_however_its_name_is_written(tmp_path, phase):
    found = read(
        tmp_path, [f"A01_{phase}.tif", "A01_GFP.tif"], pattern=r"(?P<well>[A-P]\d\d)_(?P<channel>.+)"
    )
    assert found.notes[["check", "message"]].to_numpy().tolist() == [
        ["other_channel", f"the channel is GFP, {phase} is used"]
    ]


def test_names_are_searched_for_a_preset_once(tmp_path, monkeypatch):
    from neuroseg.readers import experiment

    calls = []
    monkeypatch.setattr(experiment, "preset_of", lambda texts: calls.append(texts) or preset_of(texts))
    assert read(tmp_path, ["P_A01_s1_w1.tif"]).images["well"].tolist() == ["A1"]
    assert len(calls) == 1


def test_a_pattern_sees_the_folders_above_a_name(tmp_path):
    pattern = r"(?P<plate>P\d)/(?P<well>[A-H]\d)"
    source = read(tmp_path, ["run/P1/A1.tif", "run/P2/A1.tif"], pattern=pattern)
    assert source.images["plate"].tolist() == ["P1", "P2"]


def test_a_clock_that_a_pattern_takes_for_hours_is_named_with_the_cure(tmp_path):
    pattern = r".*/(?P<time>\d+)/(?P<plate>\d+)/(?P<well>[A-P]\d+)-(?P<field>\d+)-Ph"
    names = [name.replace("0130", "0400") for name in TREE if "Ph" in name]
    source = read(tmp_path, names, pattern=pattern)
    assert sorted(set(source.images["time"])) == [400, 2200]
    (note,) = source.notes.itertuples()
    assert (note.check, note.image, note.where) == ("clock_time", -1, sorted(names)[0])
    assert note.message == (
        "the times 0400, 2200 are taken as hours and may be hour and minute of a clock: "
        "set `pattern: incucyte_raw`, which fits all names, "
        "or let `pattern` take date and clock together as `stamp`, or write a span such as 16h00m"
    )
    assert quality.CHECKS["clock_time"].default == "keep"


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (
            ["0000", "1630"],
            "0000, 1630 are taken as hours and may be hour and minute of a clock: let `pattern`",
        ),
        (["1600"], "the time 1600 is taken"),
        (["0000", "0400", "0800"], "the times 0000, 0400, ... are taken"),
        (["160000", "200000"], "160000, 200000 are taken as hours and may be a date, a clock"),
        (["20240131"], "20240131 is taken as hours and may be a date"),
        (
            ["0", "24", "930", "1000"],
            "the times 930, 1000 are taken as hours and may be hour and minute of a",
        ),
        (["930", "1000"], "the times 930, 1000 are taken"),
        (["1612"], "the time 1612 is taken"),
        (["0", "24", "48", "931"], "the time 931 is taken"),
        (["0", "1000"], "clock or another unit: let `pattern`"),
        (["0000", "24", "0930", "1600"], "the times 0930, 1600 are taken"),
        *((["0", "24", "48", str(hour)], None) for hour in (72, 120, 200, 990, 504)),
        (["0", "200", "400", "600"], None),
        (["0", "20", "48", "96", "168", "240", "336", "400"], None),
        (["930h"], None),
        *((["0", "1200", "2400"], None), (["0000", "0024", "0048"], None), (["0000", "0060", "0120"], None)),
        *((["0000", "0030"], None), (["16h00m"], None), (["0"], None), (["1675"], None)),
    ],
)
def test_numbers_that_look_like_no_hours_are_named(tmp_path, times, words):
    found = read(tmp_path, [f"A1_{time}.tif" for time in times], pattern=r"(?P<well>A1)_(?P<time>\w+)").notes
    assert found["check"].tolist() == ["clock_time"] * (words is not None)
    assert words is None or words in found["message"].iloc[0]


@pytest.mark.parametrize(
    ("first", "second", "span"),
    [
        ("20240131_103000", "20240131_133000", 3),
        ("20240131_103000", "20240131_103036", 0.01),
        ("2024-01-31T10-30-00.250", "2024-01-31T10-30-36.250", 0.01),
        ("20240131", "20240202", 48),
        ("2024-01-31", "2024-02-01_1200", 36),
        ("2401311030", "2401311130", 1),
    ],
)
def test_stamps_become_hours_since_the_plates_first_image(tmp_path, first, second, span):
    source = read(tmp_path, [f"A1_{first}.tif", f"A1_{second}.tif"], pattern=r"(?P<well>A1)_(?P<stamp>.+)")
    assert source.images["time"].tolist() == pytest.approx([0, span])
    assert source.notes.empty


@pytest.mark.parametrize(
    "stamp",
    [
        *("31012024", "31.01.2024_1030", "20241301", "240131", "2024-1-31", "monday", "20240131_1030pm"),
        *("2010-Jan-12_1416", "20240131_106000"),
    ],
)
def test_a_stamp_that_cannot_be_read_is_listed(tmp_path, stamp):
    names = [f"A1_{stamp}.tif", "A1_20240131_0900.tif"]
    source = read(tmp_path, names, pattern=r"(?P<well>A1)_(?P<stamp>.+)")
    assert source.images.set_index("image_id")["time"].isna().to_dict() == {
        f"A1_{stamp}": True,
        "A1_20240131_0900": False,
    }
    (note,) = source.notes.itertuples()
    assert note.check == "bad_time"
    assert f"'{stamp}' is no date such as" in note.message


def test_the_plate_and_time_of_an_operettas_export_are_those_of_its_folder(tmp_path):
    folders = (
        "P1__2024-01-31T12_00_00-Measurement 1",
        "P1__2024-02-01T12_30_00-Measurement 2",
        "P2__2024-01-31T12_00_00-Measurement 1",
    )
    found = read(tmp_path, [f"{folder}/Images/r01c02f03p01-ch1sk1fk1fl1.tiff" for folder in folders]).images
    assert found[["plate", "well", "time"]].to_numpy().tolist() == [
        ["P1", "A2", 0],
        ["P1", "A2", 24.5],
        ["P2", "A2", 0],
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("r01c02f03p01-ch1sk1fk1fl1.tiff", "r01c02f03p02-ch1sk1fk1fl1.tiff"),
        ("P_A01_T0001F001L01A01Z01C01.tif", "P_A01_T0002F001L01A01Z01C01.tif"),
        ("day1/P_A1_1_00d00h00m.tif", "day2/P_A1_1_00d00h00m.tif"),
        ("ZStep_1/P_A01_s1_w1.tif", "ZStep_2/P_A01_s1_w1.tif"),
    ],
)
def test_images_that_would_count_twice_for_a_well_are_named(tmp_path, one, other):
    (note,) = read(tmp_path, [one, other]).notes.itertuples()
    assert (note.check, note.image) == ("same_place", 1)
    assert f"are those of {one}," in note.message
    assert quality.CHECKS["same_place"].default == "keep"


def test_annotated_images_of_one_place_are_no_fault(tmp_path):
    names = ["A1_1_a.tif", "A1_1_a_masks.tif", "A1_1_b.tif", "A1_1_b_masks.tif"]
    found = read(tmp_path, names, format="labels", pattern=r"(?P<well>[A-H]\d+)_(?P<field>\d)_")
    assert found.images[["well", "field"]].to_numpy().tolist() == [["A1", "1"]] * 2
    assert "same_place" not in set(found.notes["check"])


def test_fields_times_and_names_that_tell_no_field_are_not_taken_for_one_place(tmp_path):
    names = ["P_A1_1_00d00h00m.tif", "P_A1_2_00d00h00m.tif", "P_A1_1_00d12h00m.tif", "Q_A1_1_00d00h00m.tif"]
    assert read(tmp_path, names).notes.empty
    assert read(tmp_path, names, pattern=r"._(?P<well>A1)").notes.empty


GROUPS = {
    "incucyte": (["P_A1_1_00d00h00m", "P_A1_2_00d12h00m", "Q_A01_1_00d00h00m"], {}, ["P/A1", "P/A1", "Q/A1"]),
    "no plate": (["A01_s1_w1", "A01_s2_w1"], {}, ["A1", "A1"]),
    "a pattern of the well": (["A1 0h", "A1 9h"], {"pattern": r"(?P<well>A\d) (?P<time>\d+h)"}, ["A1", "A1"]),
    "a pattern of field and time": (
        ["f1 0h", "f1 9h", "f2 9h"],
        {"pattern": r"f(?P<field>\d) (?P<time>\d+h)"},
        ["1", "1", "2"],
    ),
    "fields without a time": (["f1", "f2"], {"pattern": r"f(?P<field>\d)"}, ["f1", "f2"]),
    "a pattern of the sample": (
        ["s1 A1", "s1 B1"],
        {"pattern": r"(?P<sample>s\d) (?P<well>[AB]\d)"},
        ["s1", "s1"],
    ),
    "samples, as stated": (
        ["P_A1_1_00d00h00m", "P_A1_1_00d12h00m"],
        {"group": ["sample"]},
        ["P_A1_1_00d00h00m", "P_A1_1_00d12h00m"],
    ),
    "names that tell nothing": (["a", "b"], {}, ["a", "b"]),
    "names of which one does not fit": (["P_A1_1_00d00h00m", "a"], {}, ["P_A1_1_00d00h00m", "a"]),
}


@pytest.mark.parametrize("form", ["folder", "labels"])
@pytest.mark.parametrize("name", GROUPS)
def test_images_of_a_well_or_of_a_field_in_time_are_a_group(tmp_path, name, form):
    names, keys, groups = GROUPS[name]
    (tmp_path / "labels").mkdir()
    for one in names:
        tifffile.imwrite(tmp_path / "labels" / f"{one}.tif", np.eye(6, 10, dtype=np.uint8))
    place = {"annotations": "labels"} if form == "labels" else {}
    source = read(
        tmp_path, [f"images/{one}.tif" for one in names], format=form, images=["images"], **place, **keys
    )
    assert source.images["group"].tolist() == groups


@pytest.mark.parametrize(
    ("names", "pattern", "times"),
    [
        (["A1_30min.tif", "A1_120min.tif"], r"(?P<well>A1)_(?P<time>\w+)", [0.5, 2]),
        (["A1_30min.tif", "A1_120min_x.tif"], r"(?P<well>A1)_(?P<time>\d+)min", [0.5, 2]),
        (["A1_24h30.tif", "A1_3d.tif"], r"(?P<well>A1)_(?P<time>\w+)", [24.5, 72]),
        (["A1_2d.tif", "A1_3d.tif"], r"(?P<well>A1)_(?P<time>\d+)", [48, 72]),
        (["DIV7_A1.tif", "DIV14_A1.tif"], r"DIV(?P<time>\d+)_(?P<well>A1)", [168, 336]),
        (["day 1/A1.tif", "day 2/A1.tif"], r"day (?P<time>\d+)/(?P<well>A1)", [24, 48]),
        (["A1_24h.tif", "A1_48h.tif"], r"(?P<well>A1)_(?P<time>\d+)h", [24, 48]),
        (["A1_24s1.tif", "A1_48s1.tif"], r"(?P<well>A1)_(?P<time>\d+)", [24, 48]),
        (["A1_24_d.tif", "A1_48_d.tif"], r"(?P<well>A1)_(?P<time>\d+)", [24, 48]),
    ],
)
def test_a_time_has_the_unit_that_stands_beside_it(tmp_path, names, pattern, times):
    source = read(tmp_path, names, pattern=pattern)
    found = dict(zip(source.images["path"].str[len(str(tmp_path)) + 1 :], source.images["time"], strict=True))
    assert found == pytest.approx(dict(zip(names, times, strict=True)))


def test_a_span_taken_as_a_stamp_is_told_to_be_a_time(tmp_path):
    names = ["A1_30min.tif", "A1_120min.tif"]
    source = read(tmp_path, names, pattern=r"(?P<well>A1)_(?P<stamp>.+)")
    assert [note.message.split(": ")[-1] for note in source.notes.itertuples()] == [
        "let `pattern` take it as `time`"
    ] * 2
