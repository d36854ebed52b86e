"""Plate maps joined to images: wells, plates and treatments however they are written, and the control."""

from unicodedata import normalize

import numpy as np
import pytest
import tifffile
import yaml
from plates_cases import excel, folder

from neuroseg import readers
from neuroseg.errors import DataError


def test_sheets_that_fit_no_image_are_named(tmp_path):
    rows = [["#", "well", "treatment"], [1, "A1", "drug"]]
    excel(tmp_path / "map.xlsx", Map=rows, old=rows)
    with pytest.raises(
        DataError, match=r"its sheets Map, old, each taken for a plate, name A1 of Map, A1 of old"
    ):
        folder(tmp_path, ["A1"], "", plate_map="map.xlsx")
    excel(tmp_path / "map.xlsx", Map=rows)
    with pytest.raises(DataError, match=r"its sheet Map names A1\)"):
        folder(tmp_path, ["B1", "B2"], "", plate_map="map.xlsx")


def test_a_plate_map_that_the_dataset_file_does_not_name_is_told(tmp_path):
    for name in (
        "cells.csv",
        "mapping_OD.csv",
        "plate 1.csv",
        "Plattenplan.xlsx",
        "~$Layout.xlsx",
        "layout.txt",
    ):
        (tmp_path / name).write_text("not read")
    source = folder(tmp_path, ["A1"], "well,treatment\nA1,drug\n", plate_map=None)
    assert source.notes[["check", "message"]].to_numpy().tolist() == [
        ["unused_map", f"{name} may be a plate map and is not used; to use it, name it as `plate_map`"]
        for name in ("Plattenplan.xlsx", "map.csv", "plate 1.csv")
    ]
    assert folder(tmp_path, ["A1"], "well,treatment\nA1,drug\n").notes.empty


@pytest.mark.parametrize("written", ["p1", "P 1"])
def test_a_plate_of_images_is_one_however_it_is_written(tmp_path, written):
    for plate, well, hour in (("P1", "A1", 10), (written, "A1", 12), (written, "A2", 12)):
        tifffile.imwrite(tmp_path / f"{plate}_{well}_1_2024y01m31d_{hour}h00m.tif", np.eye(9, dtype=np.uint8))
    (tmp_path / "map.csv").write_text("plate,well,treatment\nP1,A1,x\nP1,A2,y\n")
    content = {"format": "folder", "root": str(tmp_path), "plate_map": "map.csv"}
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(content))
    source = readers.read(readers.read_dataset(tmp_path / "dataset.yaml"))
    assert set(source.images["plate"]) == {source.images["plate"].iloc[0]}
    assert sorted(source.images["time"]) == [0, 2, 2]
    assert source.images["group"].nunique() == 2
    assert (
        source.notes["message"].str.contains("plates that differ in case or blanks alone are one").sum() == 1
    )


def test_a_blank_between_digits_tells_names_apart(tmp_path):
    source = folder(
        tmp_path, ["A1", "A2", "A3"], "well,treatment\nA1,Cpd 1 5 uM\nA2,Cpd 15 uM\nA3,cpd15 uM\n"
    )
    assert source.images["treatment"].tolist() == ["Cpd 1 5 uM", "Cpd 15 uM", "Cpd 15 uM"]


def test_wells_join_however_they_are_written(tmp_path):
    source = folder(tmp_path, ["A1", "A02", "b3"], "well,treatment\na01,None\nA2,NA\nr02c03,BDNF\n")
    assert source.images.set_index("well")["treatment"].to_dict() == {"A1": "None", "A2": "NA", "B3": "BDNF"}
    assert source.notes.empty


@pytest.mark.parametrize("wells", ["C1,drug\nC2,none", "A1,drug\nC2,none"])
def test_a_map_that_fits_few_images_stops_the_run(tmp_path, wells):
    with pytest.raises(DataError, match=r"plate map map\.csv fits [01] of 3 images .*`plate_map: keep`"):
        folder(tmp_path, ["A1", "A2", "A3"], f"well,treatment\n{wells}\n")


def test_a_map_of_another_plate_stops_the_run(tmp_path):
    with pytest.raises(DataError, match="it names A1 of other"):
        folder(tmp_path, ["A1"], "plate,well,treatment\nother,A1,drug\n")


def test_a_pattern_that_fits_few_images_stops_the_run(tmp_path):
    with pytest.raises(DataError, match=r"the pattern .* fits 0 of 1 images .*`pattern_mismatch: keep`"):
        folder(tmp_path, ["Z99"], "well,treatment\nA1,drug\n", policies={"plate_map": "keep"})


def test_a_misfit_is_let_by_where_the_dataset_file_says_so(tmp_path):
    source = folder(tmp_path, ["A1", "A2", "A3"], "well,treatment\nC1,drug\n", policies={"plate_map": "keep"})
    assert source.images["treatment"].isna().all()
    assert source.notes["check"].tolist() == ["plate_map"] * 3


def test_a_map_of_most_images_notes_the_others(tmp_path):
    source = folder(tmp_path, ["A1", "A2", "A3"], "well,treatment\nA1,a\nA2,b\n")
    assert source.notes[["check", "image"]].to_numpy().tolist() == [["plate_map", 2]]


def test_the_only_plate_of_a_map_is_that_of_images_that_tell_none(tmp_path):
    pattern = r"VID\d+_(?P<well>[A-P]\d+)_"
    source = folder(tmp_path, ["A1"], "plate,well,treatment\nmine,A1,drug\n", pattern=pattern)
    assert source.images["treatment"].tolist() == ["drug"]


STORED = ("NFC", "NFD")


@pytest.mark.parametrize("named", STORED)
@pytest.mark.parametrize("listed", STORED)
@pytest.mark.parametrize("case", [str, str.upper, str.lower])
@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_names_join_however_their_letters_are_stored_and_typed(tmp_path, named, listed, case, ending):
    for well in ("mitte", "Größe"):
        tifffile.imwrite(
            tmp_path / f"{normalize(named, f'Zählung é_{well}_1')}.tif", np.ones((6, 10), np.uint8)
        )
    rows = [["plate", "well", "treatment"], [" Zählung  é", "Mitte", "Öl"], ["Zählung é", "Größe", "Wasser"]]
    rows[1:] = [[normalize(listed, case(cell)) for cell in row] for row in rows[1:]]
    excel(tmp_path / "map.xlsx", Map=rows)
    (tmp_path / "map.csv").write_text("\n".join(map(",".join, rows)), encoding="utf-8")
    pattern = normalize(listed, r"(?P<plate>Zählung \w)_(?P<well>\w+)_")
    keys = {"pattern": pattern, "control": normalize(named, "öl"), "plate_map": f"map.{ending}"}
    content = {"format": "folder", "root": str(tmp_path), **keys}
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(content))
    source = readers.read(readers.read_dataset(tmp_path / "dataset.yaml"))
    columns = ["plate", "well", "treatment", "control"]
    assert sorted(source.images[columns].values.tolist()) == [
        ["Zählung é", "Größe", case("Wasser"), False],
        ["Zählung é", "mitte", case("Öl"), True],
    ]
    assert source.notes.empty


@pytest.mark.parametrize(("first", "second"), [("DMSO", "dmso"), ("NGF 10", "NGF10"), ("ngf10", "NGF  10")])
def test_treatments_that_differ_in_case_or_blanks_alone_are_one_and_this_is_said(tmp_path, first, second):
    text = f"well,treatment,control\nA1,{first},yes\nA2,{second},yes\nA3,BDNF,\n"
    source = folder(tmp_path, ["A1", "A2", "A3"], text)
    assert source.images["treatment"].tolist() == [first, first, "BDNF"]
    assert source.images["control"].tolist() == [True, True, False]
    (note,) = source.notes.itertuples()
    assert (note.check, note.where) == ("passed_over", "map.csv")
    words = f"differ in case or blanks alone are one ({' '.join(second.split())} is {first})"
    assert words in note.message


@pytest.mark.parametrize("listed", ["VID123", "VID 123", " vid  123 ", "V I D\u00a0123"])
def test_plates_that_differ_in_case_or_blanks_alone_are_one(tmp_path, listed):
    text = f"plate,well,treatment\n{listed},A1,drug\nother,A1,none\n"
    source = folder(tmp_path, ["A1"], text)
    assert source.images[["plate", "treatment"]].values.tolist() == [["VID123", "drug"]]
    assert source.notes.empty


def test_treatments_that_names_of_images_spell_in_two_ways_are_one(tmp_path):
    pattern = r"VID\d+_(?P<well>A\d)-(?P<treatment>\w+?)_"
    text = "well,treatment\nA1,\nA2,\nA3,Bdnf\n"
    source = folder(tmp_path, ["A1-bdnf", "A2-dmso", "A3-x", "A4-DMSO"], f"{text}A4,\n", pattern=pattern)
    assert source.images["treatment"].tolist() == ["Bdnf", "dmso", "Bdnf", "dmso"]
    assert "(bdnf is Bdnf, DMSO is dmso)" in source.notes["message"].item()


def test_the_dataset_files_control_stands_before_the_plate_maps(tmp_path):
    plate_map = "well,treatment,control\nA1,acid,yes\nA2,base,\n"
    source = folder(tmp_path, ["A1", "A2"], plate_map, control="base")
    assert source.images["control"].tolist() == [False, True]
    source = folder(tmp_path, ["A1", "A2"], plate_map)
    assert source.images["control"].tolist() == [True, False]


def test_a_control_that_no_image_has_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no image has the treatment 'DMSO' \(there: acid\)"):
        folder(tmp_path, ["A1"], "well,treatment\nA1,acid\n", control="DMSO")


def test_validate_hands_on_what_the_control_is(tmp_path, step):
    from neuroseg import tables

    folder(
        tmp_path,
        ["A1", "A2"],
        "well,treatment\nA1,acid\nA2,base\n",
        control=["base"],
        policies={"image_constant": "keep"},
    )
    step("validate").main(
        dataset=tmp_path / "dataset.yaml",
        images=tmp_path / "images.parquet",
        instances=tmp_path / "instances.parquet",
        problems=tmp_path / "problems.csv",
    )
    assert tables.read_controls(tmp_path / "images.parquet") == ("base",)


def test_doses_and_fields_reach_the_table_of_images(tmp_path):
    source = folder(tmp_path, ["A1", "A2"], "well,treatment,dose (µM)\nA1,drug,001\nA2,drug,\n")
    columns = ["field", "treatment", "dose", "dose_unit"]
    found = source.images[columns].astype(object).fillna("")
    assert found.values.tolist() == [["1", "drug", "1", "µM"], ["1", "drug", "", ""]]
