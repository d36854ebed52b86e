"""The page's section on treatments: what is the control, which wells are compared, what the numbers are."""

import re

import numpy as np
import pandas as pd
import pytest

from neuroseg import readers, report, tables
from neuroseg.report import arms, counts, doses, evidence, ratios
from neuroseg.report.view import view

NAMES = ["None", "NA", "null", "001", "nan", "N/A"]
"""What a treatment, a plate or an image may be called."""


def plate(treatments, types=None, wells=None):
    """An images table of one image for each treatment, each in a well of its own."""
    number = len(treatments)
    frame = pd.DataFrame({"image_id": [f"image{at}" for at in range(number)], "treatment": treatments})
    frame["cell_type"] = pd.Series(types or [None] * number, dtype=object)
    frame = frame.assign(
        path="none.png", height=10, width=10, group="g", subset="test", annotated=False, sample="s"
    )
    frame["well"] = wells or [f"A{at + 1}" for at in range(number)]
    return frame.assign(plate="P", field=None, dose=None, dose_unit=None, time=np.nan, pixel_size_um=np.nan)


def summed(counts_, types="astro"):
    frame = pd.DataFrame({"image_id": [f"image{at}" for at in range(len(counts_))], "count": counts_})
    return frame.assign(cell_type=types, confluence=0.5, median_area_px=100.0)


def seen(images, counts_, types="astro", **parts):
    return view(
        report.Evidence(
            "plate", images, tables.empty("instances"), quantities={"one": summed(counts_, types)}, **parts
        )
    )


def words(html):
    return re.sub(
        r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<(style|svg).*?</\1>", " ", html, flags=re.S))
    )


@pytest.mark.parametrize(
    "arms_", [("None", "BDNF"), ("untreated", "acid"), ("DMSO", "AraC"), ("Vehicle", "drug")]
)
def test_a_recognised_name_is_the_control_wherever_it_stands_in_the_alphabet(arms_):
    control, other = arms_
    section = arms.section(seen(plate([other, control]), [6, 3]))
    assert section["table"].rows[0][:2] == (f"{other} / {control}", "cells per image")
    assert section["table"].rows[0][5] == "2.00"
    assert "known by its name" in section["control"]


@pytest.mark.parametrize("arms_", [("acid", "base"), ("DMSO", "PBS"), ("1", "2")])
def test_without_a_control_by_word_or_by_one_name_there_is_no_ratio(arms_):
    section = arms.section(seen(plate(list(arms_)), [3, 6]))
    assert section["table"] is None
    assert "No ratio is given" in section["control"]
    assert "`control:`" in section["control"]


def test_the_control_is_what_the_source_says_before_any_name():
    section = arms.section(seen(plate(["control", "acid"]), [3, 6], controls=("acid",)))
    assert section["table"].rows[0][:2] == ("control / acid", "cells per image")
    assert "as the plate map or the dataset file says" in section["control"]


def test_two_controls_that_the_source_names_are_one_arm_together():
    section = arms.section(seen(plate(["DMSO", "none", "acid"]), [2, 4, 6], controls=("DMSO", "none")))
    assert section["table"].rows[0][:3] == ("acid / DMSO + none", "cells per image", "1 / 2")
    assert section["table"].rows[0][5] == "2.00"


def test_wells_are_not_split_by_what_detectors_take_their_cells_for():
    images = plate(["none", "none", "acid", "acid"], wells=["A1", "A1", "B1", "B1"])
    table = arms.section(seen(images, [1, 3, 4, 8], types=["astro", "cort", "cort", "astro"]))["table"]
    assert table.header[0] == "comparison"
    assert table.rows[0][2] == "1 / 1"
    assert table.rows[0][5] == "3.00"


def test_images_that_tell_no_well_are_said_to_count_as_wells():
    images = plate(["none", "none", "acid", None]).assign(well=[None, None, "B1", None])
    evidence_ = seen(images, [1, 3, 4, 8])
    sentence = "2 of 3 images with a treatment tell no well, and"
    assert arms.section(evidence_)["unknown"].startswith(sentence)
    assert sentence in words(report.render(evidence_.evidence, readers.read_image))
    assert arms.section(seen(plate(["none", "acid"]), [1, 3]))["unknown"] == ""


def test_images_are_not_counted_by_guessed_types():
    section = counts.section(seen(plate(["none", "acid"]), [1, 3], types=["astro", "cort"]))
    assert section["by_type"].header[0] == "images"
    assert [row[:3] for row in section["by_type"].rows] == [("2", "4", "2")]
    assert "cell type" not in section["by_image"].header


def test_a_well_of_several_types_is_one_row():
    table = pd.DataFrame({"plate": "P", "well": "A1", "treatment": "t", "cell_type": ["astro", "cort"]})
    table["image_id"] = ["a", "b"]
    wells = counts.by_well(table.assign(truth=[1, 2], predicted=[3, 4]))
    assert wells[["cell_type", "images", "truth", "predicted"]].to_numpy().tolist() == [["several", 2, 3, 7]]


def test_types_that_the_source_tells_are_compared_apart():
    images = plate(["none", "acid", "none", "acid"], types=["astro", "astro", "cort", "cort"])
    table = arms.section(seen(images, [1, 2, 10, 30]))["table"]
    assert [(row[0], row[6]) for row in table.rows if row[2] == "cells per image"] == [
        ("astro", "2.00"),
        ("cort", "3.00"),
    ]


def test_a_well_is_compared_with_controls_that_the_same_detectors_predicted():
    wells = arms.arms(
        plate(["none", "acid", "none", "acid", "acid"]),
        tables.empty("instances"),
        summed([10, 20, 100, 200, 5000]),
        pd.Series([0, 0, 1, 1, 2], index=[f"image{at}" for at in range(5)]),
    )
    row = arms.effects(wells, ["none"]).iloc[0]
    assert row["wells"] == "2 / 2"  # the well of fold 2 has no control there
    assert row["ratio"] == 2


def test_folds_weigh_as_mantel_and_haenszel_do():
    wells = arms.arms(
        plate(["none", "acid", "none", "none", "acid"]),
        tables.empty("instances"),
        summed([10, 10, 10, 10, 40]),
        pd.Series([0, 0, 1, 1, 1], index=[f"image{at}" for at in range(5)]),
    )
    row = arms.effects(wells, ["none"]).iloc[0]  # weights 1/2 and 2/3
    assert row["mean, treated"] == pytest.approx((10 / 2 + 40 * 2 / 3) / (1 / 2 + 2 / 3))
    assert row["mean, control"] == pytest.approx(10)


def measured(values, folds=None):
    return pd.DataFrame({"fold": 0 if folds is None else folds, "count": np.array(values, float)})


def test_a_ratio_has_an_interval_from_three_wells_an_arm_on():
    control = measured([100, 90, 110])
    found = ratios.compare(measured([50, 45, 55]), control, "count")
    # By hand: both means have a standard error of 10 % / sqrt(3), so 4 degrees of freedom: t = 2.776.
    half = 2.7764451 * np.sqrt(2 * 0.1**2 / 3)
    assert found.ratio == 0.5
    assert [found.low, found.high] == pytest.approx([0.5 * np.exp(-half), 0.5 * np.exp(half)])
    assert found.interval == "0.40 to 0.63"
    assert ratios.compare(measured([50, 55]), control, "count").interval is None
    assert ratios.compare(measured([0, 0, 0]), control, "count").interval is None
    assert ratios.compare(measured([6, 6, 6]), measured([5, 5, 5]), "count").interval is None
    assert ratios.compare(measured([3, 4, 5]), control, "count").interval == "0.0234 to 0.0685"


def test_an_interval_knows_how_wells_differ_within_their_fold_only():
    wells, folds = np.array([100, 90, 110, 95, 105, 100]), [0] * 6
    one = ratios.compare(measured(wells, folds), measured(wells * 2, folds), "count")
    shifted, folds = np.r_[wells, wells * 10], [0] * 6 + [1] * 6
    two = ratios.compare(measured(shifted, folds), measured(shifted * 2, folds), "count")
    assert two.ratio == one.ratio == 0.5
    assert two.wells == (12, 12)
    assert two.high - two.low < 1.2 * (one.high - one.low)


@pytest.mark.parametrize("sizes", [(3, 3), (3, 6), (6, 6), (4, 12)])
@pytest.mark.parametrize("effect", [1.0, 0.5])
def test_intervals_hold_the_true_ratio_as_often_as_they_say(sizes, effect):
    draw, held, times = np.random.default_rng(0), 0, 1000
    for _ in range(times):
        treated, control = (
            mean * draw.lognormal(0, 0.25, size) for mean, size in zip((effect, 1), sizes, strict=True)
        )
        found = ratios.compare(measured(treated), measured(control), "count")
        held += found.low <= effect <= found.high
    assert 0.93 <= held / times <= 0.985


def test_the_page_says_what_the_numbers_are():
    page = words(report.render(seen(plate(["none", "acid"]), [1, 3]).evidence, readers.read_image))
    assert "from three wells an arm on" in page
    assert "several detectors" not in page


def test_the_page_says_that_folds_have_other_detectors():
    images = plate(["none", "acid"])
    scored = pd.DataFrame({"image_id": images["image_id"], "ap": 0.5, "fold": [0, 1], "cell_type": "astro"})
    page = words(report.render(seen(images, [1, 3], per_image={"one": scored}).evidence, readers.read_image))
    assert "control wells of the same fold only" in page


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_looks_like_a_missing_value_survives_tables_and_page(tmp_path, name):
    images = plate([name, "acid"]).assign(plate=name, sample=name)
    images["image_id"] = [name, "image1"]
    images["cell_type"] = name
    tables.write("images", images, tmp_path / "images.parquet", controls=(name,))
    path = tmp_path / "one" / "images.csv"
    path.parent.mkdir()
    summary = summed([1, 3], types=name).assign(image_id=[name, "image1"], plate=name, well=["A1", "A2"])
    summary.assign(treatment=[name, "acid"]).to_csv(path, index=False)
    found = evidence.read_evidence(dataset="p", images=tmp_path / "images.parquet", quantities=[path])
    row = found.quantities["one"].iloc[0]
    assert row[["image_id", "cell_type", "plate", "treatment"]].tolist() == [name] * 4
    table = arms.section(view(found))["table"]
    assert table.rows[0][1] == f"acid / {name}"
    page = words(report.render(found, readers.read_image))
    assert f" {name} {name} {name} A1 {name} 1 " in page  # image, cell type, plate, well, treatment, cells


def test_an_empty_field_of_a_table_is_missing(tmp_path):
    path = tmp_path / "one" / "images.csv"
    path.parent.mkdir()
    path.write_text("image_id,treatment,count,confluence,median_area_px\na,,0,0,\n")
    row = evidence._read_csv(path).iloc[0]
    assert row[["treatment", "median_area_px"]].isna().all()


def test_an_images_table_keeps_the_controls_that_its_source_names(tmp_path):
    images = plate(["acid", "none"])
    tables.write("images", images, tmp_path / "a.parquet", controls=("none",))
    tables.write("images", images, tmp_path / "b.parquet")
    assert tables.read_controls(tmp_path / "a.parquet") == ("none",)
    assert tables.read_controls(tmp_path / "b.parquet") == ()


def test_doses_are_arms_of_their_own_by_size_and_all_doses_of_the_control_are_the_control():
    images = plate(["drug", "drug", "drug", "DMSO", "DMSO"])
    images = images.assign(dose=["10", "2", "0.5", "1", None], dose_unit=["µM", "µM", "µM", "%", None])
    table = arms.section(seen(images, [2, 4, 6, 8, 12]))["table"]
    assert [row[0] for row in table.rows[::3]] == [
        "drug 0.5 µM / DMSO",
        "drug 2 µM / DMSO",
        "drug 10 µM / DMSO",
    ]
    assert [row[-1] for row in table.rows[::3]] == ["0.60", "0.40", "0.20"]
    assert [row[2] for row in table.rows[::3]] == ["1 / 2"] * 3


def test_code_in_a_sentence_is_set_as_code_and_nothing_else_becomes_markup():
    page = report.render(seen(plate(["a<b", "c"]), [1, 2]).evidence, None)
    assert "(a&lt;b, c): name it with <code>control:</code> in the dataset file" in page


def test_wells_are_listed_with_area_in_the_unit_that_is_known(tmp_path):
    path = tmp_path / "one" / "wells.csv"
    path.parent.mkdir()
    rows = "P,NA,24.0,None,001,2,7,3.5,0.25,12.5,100.0,{}"
    head = "plate,well,time_h,treatment,dose,images,count,count_per_image,confluence,density_per_mm2"
    head += ",median_area_px"
    for area, name in (("50.0", "median area (µm²)"), ("", "median area (pixels)")):
        path.write_text(f"{head},median_area_um2\n{rows.format(area)}\n")
        images = plate(["a"])
        tables.write("images", images, tmp_path / "images.parquet")
        found = evidence.read_evidence(dataset="p", images=tmp_path / "images.parquet", wells=[path])
        sheet = counts._by_well(found.wells["one"])
        assert sheet.header[-1] == name
        assert sheet.rows[0][:7] == ("P", "NA", "24.0", "None", "001", "2", "7")


def test_images_of_several_magnifications_are_compared_by_area_not_by_image():
    images = plate(["none", "acid"]).assign(height=1000, width=1000, pixel_size_um=[1.0, 0.5])
    summary = summed([40, 10]).assign(density_per_mm2=[40.0, 40.0], median_area_um2=[100.0, 100.0])
    summary["median_area_px"] = [100.0, 400.0]
    wells = arms.arms(images, tables.empty("instances"), summary)
    ratios = arms.effects(wells, ["none"]).set_index("measure")["ratio"].to_dict()
    assert ratios == {"cells per mm²": 1.0, "confluence": 1.0, "median area (µm²)": 1.0}


@pytest.mark.parametrize(
    ("sizes", "words_"),
    [
        ([1.0, 0.5, None], "1 of 3 wells the pixel size is not known, so they are left out"),
        ([None] * 3, "3 of 3 wells the pixel size is not known, so counts and areas do not compare"),
        ([1.0, 0.5, 1.0], None),
    ],
)
def test_wells_of_unknown_magnification_among_several_are_said(sizes, words_):
    images = plate(["none", "acid", "base"]).assign(height=[1000, 1000, 500], pixel_size_um=sizes)
    images["pixel_size_um"] = images["pixel_size_um"].astype(float)
    section = arms.section(seen(images, [1, 2, 3]))
    assert words_ in section["scale"] if words_ else section["scale"] == ""


def test_doses_stand_by_their_size_whatever_their_units_and_commas():
    said = [("10", "nM"), ("1", "µM"), ("0,5", "nM"), ("2 mM", None), ("100 nM", None), (None, None)]
    said += [("20", "fM"), ("<1", "pM")]
    images = plate(["NGF"] * len(said)).assign(
        dose=[dose for dose, _ in said], dose_unit=[unit for _, unit in said]
    )
    wells = arms.arms(images, tables.empty("instances"), summed([1] * len(said)))
    assert doses.ordered(wells, ()) == [
        "NGF",
        "NGF 20 fM",
        "NGF <1 pM",
        "NGF 0,5 nM",
        "NGF 10 nM",
        "NGF 100 nM",
        "NGF 1 µM",
        "NGF 2 mM",
    ]
