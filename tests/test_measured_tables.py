"""The tables that a person opens: cells, images, wells, and the dictionary of their columns."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from test_morphology import HEIGHT, WIDTH, flat, images_of, instances_of, square

from neuroseg import morphology, tables

NAMES = {"cells": "cells.csv", "images": "images.csv", "wells": "wells.csv", "dictionary": "measures.csv"}


def summed(found, images):
    cells = morphology.measure(found, images, flat)
    of_images = morphology.of_images(cells, found, images)
    return of_images, morphology.of_wells(cells, of_images)


def plate(*wells, **columns):
    """Images of wells, each with one square of its number's size, and their cells."""
    names = [f"image{at}" for at in range(len(wells))]
    images = images_of(*names, **{"plate": "P", "well": list(wells), **columns})
    return pd.concat([instances_of(name, [square(5, 5, at + 2)]) for at, name in enumerate(names)]), images


def read(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False)


@pytest.fixture
def written(step, tmp_path):
    """A function that runs the step on a table of images whose pixels are flat, and returns the folder."""

    def run(found, images):
        folder = tmp_path / "images"
        folder.mkdir(exist_ok=True)
        for name in images["image_id"]:
            Image.fromarray(np.full((HEIGHT, WIDTH), 90, np.uint8)).save(folder / f"{name}.png")
        images = images.assign(path=[str(folder / f"{name}.png") for name in images["image_id"]])
        tables.write("images", images, tmp_path / "images.parquet")
        tables.write("instances", found, tmp_path / "found.parquet")
        out = tmp_path / "quantify"
        step("quantify").main(
            instances=tmp_path / "found.parquet",
            images=tmp_path / "images.parquet",
            cells=out / "cells.parquet",
            cells_csv=out / "cells.csv",
            summary=out / "images.csv",
            wells=out / "wells.csv",
            dictionary=out / "measures.csv",
        )
        return out

    return run


def test_the_step_writes_the_tables_and_their_dictionary(written):
    out = written(
        *plate("A1", "B2", treatment=["drug", "control"], dose=["0.5", None], dose_unit=["µM", None])
    )
    assert sorted(path.name for path in out.iterdir()) == sorted([*NAMES.values(), "cells.parquet"])
    cells = read(out / "cells.csv")
    assert cells["file"].tolist() == ["image0.png", "image1.png"]
    assert cells[["plate", "well", "treatment", "dose", "dose_unit"]].iloc[0].tolist() == [
        "P",
        "A1",
        "drug",
        "0.5",
        "µM",
    ]
    assert cells[["label", "area_px", "intensity_mean"]].iloc[1].tolist() == ["1", "9", "90.0"]
    assert read(out / "images.csv")["count"].tolist() == ["1", "1"]
    assert read(out / "wells.csv")["well"].tolist() == ["A1", "B2"]


def test_an_image_of_a_stack_is_listed_under_the_name_of_its_file():
    images = images_of("a_t1", "a_t2", path=["/x/day 1/a.tif::s1,t1,c1,z1", "/x/day 1/a.tif::s1,t2,c1,z1"])
    of_images, _ = summed(instances_of("a_t1", [square(0, 0, 3)]), images)
    assert of_images["file"].tolist() == ["a.tif", "a.tif"]


def test_cells_are_the_same_as_csv_and_as_parquet(written):
    out = written(*plate("A1", "B2", "C3", pixel_size_um=[0.5, np.nan, 0.123456]))
    one = tables.read_figures(out / "cells.parquet")
    other = pd.read_csv(out / "cells.csv", dtype={name: str for name in one if one[name].dtype == object})
    pd.testing.assert_frame_equal(one, other, check_dtype=False, check_exact=True)


@pytest.mark.parametrize(
    "word", ["None", "NA", "null", "001", "nan", "1e5", " a b", 'say "no"', "a,b", "10 µM"]
)
def test_words_that_programs_take_for_missing_or_numbers_stay_words(word, written):
    out = written(*plate("A1", "A2", plate=word, treatment=[word, None], field=word, dose=[word, None]))
    for table in ("cells", "images", "wells"):
        found = read(out / NAMES[table])
        assert found["treatment"].tolist() == [word, ""]
        assert found["dose"].tolist() == [word, ""]
        assert found["plate"].tolist() == [word, word]
    cells = tables.read_figures(out / "cells.parquet")
    assert cells["treatment"][0] == word
    assert cells["treatment"].isna().tolist() == [False, True]


def test_what_is_unknown_is_an_empty_field_and_no_zero(written):
    found, images = plate("A1", None)
    out = written(found[found["image_id"] == "image0"], images)
    rows = read(out / "images.csv")
    assert rows["count"].tolist() == ["1", "0"]
    assert rows["confluence"][1] == "0.0"
    unknown = [
        "median_area_px",
        "mean_touching_neighbours",
        "median_area_um2",
        "density_per_mm2",
        "pixel_size_um",
    ]
    assert (rows.loc[1, unknown] == "").all()
    assert read(out / "cells.csv")["nearest_neighbour_distance_px"].tolist() == [""]


def test_every_column_of_every_table_stands_in_the_dictionary_in_order(written):
    out = written(*plate("A1", "B2"))
    dictionary = read(out / "measures.csv")
    assert (dictionary["meaning"] != "").all()
    for table in ("cells", "images", "wells"):
        columns = dictionary.loc[dictionary["table"] == table, "column"].tolist()
        assert read(out / NAMES[table]).columns.tolist() == columns
        assert len(columns) == len(set(columns))


def test_the_page_of_measures_is_what_make_measures_writes(root):
    assert (root / "docs" / "measures.md").read_text(encoding="utf-8") == morphology.page(), (
        "run `make measures`"
    )


def test_the_page_names_every_column_or_the_statistic_and_its_column():
    page = morphology.page()
    for column in morphology.dictionary()["column"]:
        statistic, _, measure = column.partition("_")
        assert f"`{column}`" in page or (f"`{statistic}_`" in page and f"`{measure}`" in page)


# ------------------------------------------------------------------------------------------- images and wells


def test_quartiles_are_those_of_the_images_cells():
    sizes = [2, 3, 4, 5, 7]
    found = instances_of("a", [square(8 * at, 8 * at, size) for at, size in enumerate(sizes)])
    of_images, _ = summed(found, images_of("a", pixel_size_um=0.5))
    areas = np.square(sizes)
    row = of_images.iloc[0]
    assert (
        row[["q25_area_px", "median_area_px", "q75_area_px"]].tolist()
        == np.quantile(areas, [0.25, 0.5, 0.75]).tolist()
    )
    assert row["mean_area_um2"] == areas.mean() / 4


def test_a_well_is_the_cells_of_all_its_images_together():
    images = images_of("a", "b", "c", plate="P", well=["A1", "A1", "A2"], pixel_size_um=2.0)
    images["height"] = HEIGHT
    found = [instances_of("a", [square(0, 0, 2), square(20, 20, 4)]), instances_of("b", [square(0, 0, 10)])]
    _, wells = summed(pd.concat(found), images)
    first, second = wells.to_dict("records")
    assert (first["well"], first["images"], first["count"], first["count_per_image"]) == ("A1", 2, 3, 1.5)
    assert (first["median_area_px"], first["mean_area_px"]) == (16, 40)
    assert first["confluence"] == round(120 / (2 * HEIGHT * WIDTH), 6)
    assert first["density_per_mm2"] == pytest.approx(3 / (2 * HEIGHT * WIDTH * 4e-6), abs=1e-6)
    assert (second["well"], second["count"], second["confluence"], second["density_per_mm2"]) == (
        "A2",
        0,
        0,
        0,
    )
    assert np.isnan(second["median_area_px"])


def test_times_treatments_and_doses_are_rows_of_their_own():
    told = {
        "well": "A1",
        "time": [0, 24, 24, np.nan],
        "treatment": ["x", "x", "x", "x"],
        "dose": ["1", "1", "10", "1"],
    }
    found, images = plate(*"abcd", **told)
    _, wells = summed(found, images)
    assert list(zip(wells["time_h"].fillna(-1), wells["dose"], strict=True)) == [
        (0, "1"),
        (24, "1"),
        (24, "10"),
        (-1, "1"),
    ]


def test_wells_stand_in_their_natural_order():
    found, images = plate(
        "A10", "B1", "A2", "A1", plate=["P10", "P2", "P2", "P10"], dose=["5", "5", "5", "5"]
    )
    _, wells = summed(found, images)
    assert list(zip(wells["plate"], wells["well"], strict=True)) == [
        ("P2", "A2"),
        ("P2", "B1"),
        ("P10", "A1"),
        ("P10", "A10"),
    ]


def test_without_wells_a_row_is_a_treatment_and_another_what_is_of_no_experiment():
    found, images = plate(None, None, None, plate=None, treatment=["drug", "drug", None])
    _, wells = summed(found, images)
    rows = wells[["treatment", "images", "count"]].fillna({"treatment": ""}).values.tolist()
    assert sorted(rows) == [["", 1, 1], ["drug", 2, 2]]
    assert wells["well"].isna().all()


def test_a_well_of_several_pixel_sizes_or_types_says_so():
    images = images_of("a", "b", well="A1", pixel_size_um=[0.5, 1.0], cell_type=["astro", "cort"])
    found = pd.concat([instances_of("a", [square(0, 0, 2)]), instances_of("b", [square(0, 0, 2)])])
    _, wells = summed(found, images)
    row = wells.iloc[0]
    assert np.isnan(row["pixel_size_um"])
    assert row["cell_type"] == "several"
    assert row["median_area_um2"] == 2.5
    assert row["density_per_mm2"] == pytest.approx(2 / (HEIGHT * WIDTH * 1.25e-6), abs=1e-6)


def test_a_density_needs_the_pixel_size_of_every_image_of_the_well():
    found, images = plate("A1", "A1", pixel_size_um=[0.5, np.nan])
    _, wells = summed(found, images)
    assert np.isnan(wells["density_per_mm2"].iloc[0])


def test_images_of_which_nothing_is_known_are_one_row_beside_those_of_which_something_is():
    found, images = plate("A1", None, None)
    _, wells = summed(found, images.assign(plate=["P", None, None]))
    assert dict(zip(wells["well"].fillna(""), wells["images"], strict=True)) == {"A1": 1, "": 2}
    assert wells["count"].sum() == 3
    _, none = summed(found, images.assign(plate=None, well=None))
    assert none.empty
