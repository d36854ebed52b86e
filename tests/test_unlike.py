"""What of an image is unlike those that detectors learnt from: from `predict` to a column of images.csv."""

import json
import re

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from test_appearance import CRISP
from test_levels import padded, stored
from test_morphology import images_of, instances_of, square

from neuroseg import files, morphology, tables
from neuroseg.detector import appearance, cells, checkpoints, remarks
from neuroseg.errors import DataError
from neuroseg.readers.intensity import looks
from neuroseg.segmentation import likeness

SEEN = {
    "as_learnt": CRISP,
    "dark": stored(CRISP * (60 / 128), 8),
    "negative": 255 - CRISP,
    "framed": padded(CRISP, 0),
    "blurred": cv2.GaussianBlur(stored(CRISP * (60 / 128), 8), None, 3),
}


def written(folder, *contents):
    """Files as `predict` writes them."""
    paths = [folder / f"{at}.json" for at in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        files.write_json({"remarks": [], "unlike": content}, path)
    return paths


@pytest.fixture
def listed(tmp_path) -> pd.DataFrame:
    for name, image in SEEN.items():
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    images = images_of(*SEEN, path=[str(tmp_path / f"{name}.png") for name in SEEN])
    images["height"], images["width"] = zip(*(image.shape for image in SEEN.values()), strict=True)
    tables.write("images", images, tmp_path / "images.parquet")
    return images


def test_what_predict_finds_unlike_is_a_column_of_the_table_of_images(listed, step, root, tmp_path):
    starter = checkpoints.read_detector(root / "resources" / "detectors" / "starter" / "model.pth")
    learnt = looks.plain(looks.learnt_from([looks.look(CRISP)]))
    checkpoints.write_detector(tmp_path / "model.pth", starter | {"looks": learnt, "cells": None})
    told = tmp_path / "remarks.json"
    step("predict").main(
        checkpoint=tmp_path / "model.pth",
        images=tmp_path / "images.parquet",
        source_name="starter",
        detections=tmp_path / "detections.parquet",
        remarks=told,
    )
    cell = square(0, 0, 3, *CRISP.shape)
    tables.write("instances", instances_of("dark", [cell]), tmp_path / "found.parquet")
    names = {"cells": "cells.parquet", "cells_csv": "cells.csv", "wells": "wells.csv", "dictionary": "m.csv"}
    step("quantify").main(
        instances=tmp_path / "found.parquet",
        images=tmp_path / "images.parquet",
        remarks=(told,),
        summary=tmp_path / "images.csv",
        **{flag: tmp_path / name for flag, name in names.items()},
    )
    rows = pd.read_csv(tmp_path / "images.csv", dtype=str, keep_default_na=False).set_index("image_id")
    column = rows["unlike_training"]
    assert column["as_learnt"] == ""
    assert column["dark"] == "grey level 60 shown as 128"
    assert re.fullmatch("inverted: dark lines are sharper .*, skewness of halos -.*", column["negative"])
    assert column["framed"] == "62 % blank"
    blurred = "grey level 60 shown as 128, contrast .*; blurred: sharpness 0.2, learnt 0.87 to 0.87"
    assert re.fullmatch(blurred, column["blurred"])
    assert set(json.loads(told.read_text())["unlike"]) == set(SEEN) - {"as_learnt"}


def test_what_several_detectors_say_is_said_once(tmp_path):
    first = {
        "a": {"levels": "grey level 0 shown as 128", "blurred": "blurred: sharpness 0.1, learnt 0.35 to 1.3"}
    }
    second = {
        "a": {"levels": "grey level 0 shown as 127", "crowd": "too many"},
        "b": {"noise": "noise: no cell"},
    }
    images = images_of("a", "b", "c")
    found = morphology.unlike(written(tmp_path, first, second), tables.empty("instances"), images)
    assert found == {
        "a": "grey level 0 shown as 128; blurred: sharpness 0.1, learnt 0.35 to 1.3; too many",
        "b": "noise: no cell",
    }


def test_cells_as_wide_as_none_are_told_of_every_image_of_that_pixel_size(tmp_path):
    images = images_of("a", "b", "c", pixel_size_um=[50.0, 50.0, 0.5])
    cells = instances_of("a", [square(4 * at, 0, 3) for at in range(12)])
    wide = f"cells would be {50 * np.sqrt(4 / np.pi * 9):.3g} µm wide: is the pixel size right?"
    predicted = written(tmp_path, {"b": {"crowd": "too many"}})
    assert morphology.unlike(predicted, cells, images) == {"a": wide, "b": f"too many; {wide}"}


@pytest.mark.parametrize(
    ("width", "count", "factor", "said"),
    [
        (20, 30, 1.0, None),
        (20, 30, 2.0, "cells are 40 pixels wide, learnt 15 to 25"),
        (38, 9, 1.0, None),  # too few to tell
        (38, 10, 1.0, "cells are 38 pixels wide, learnt 15 to 25"),
        (9, 10, 1.0, "cells are 9.03 pixels wide, learnt 15 to 25"),
        (9, 10, 2.0, None),
        (20, 151, 1.0, "151 cells per megapixel, learnt up to 100"),
        (20, 151, 1.1, None),
    ],
)
def test_cells_of_another_size_or_density_than_learnt_are_told(tmp_path, width, count, factor, said):
    learnt = {"width_px": [15.0, 20.0, 25.0], "per_megapixel": [1.0, 50.0, 100.0]}
    learnt["of_structure"] = [0.0, 0.1, 0.2]
    content = {"remarks": [], "unlike": {}, "cells": learnt, "magnified": {"a": factor}}
    files.write_json(content, tmp_path / "r.json")
    images = images_of("a", "b", height=1000, width=1000)
    found = pd.DataFrame({"image_id": ["a"] * count, "area": [round(np.pi * width**2 / 4)] * count})
    assert morphology.unlike([tmp_path / "r.json"], found, images) == ({"a": said} if said else {})
    told = likeness.sentences([likeness.read(content)] * 2, found, images)
    assert [text.partition(" (")[2] for text in told] == ([f"a: {said})"] if said else [])
    assert all(text.startswith("1 of 2 images ") for text in told)


@pytest.mark.parametrize(
    ("cells", "structure", "said"),
    [
        (0, 0.5, "cells cover 0 % of what shows structure, learnt from 20 %: cells may be missed"),
        (3, 0.5, "cells cover 0.6 % of what shows structure, learnt from 20 %: cells may be missed"),
        (30, 0.5, None),
        (0, 0.04, None),  # an empty well
    ],
)
def test_an_image_that_shows_much_where_no_cell_was_found_is_told(tmp_path, cells, structure, said):
    learnt = {"width_px": [10.0, 35.0, 60.0], "per_megapixel": [1.0, 50.0, 100.0]}
    learnt["of_structure"] = [0.2, 0.3, 0.5]
    content = {"remarks": [], "unlike": {}, "cells": learnt, "magnified": {}, "structure": {"a": structure}}
    files.write_json(content, tmp_path / "r.json")
    images = images_of("a", "b", height=1000, width=1000)
    found = pd.DataFrame({"image_id": ["a"] * cells, "area": [1000] * cells})
    assert morphology.unlike([tmp_path / "r.json"], found, images) == ({"a": said} if said else {})


def test_structure_is_where_cells_are_whatever_the_export():
    whole = looks.look(CRISP).structure
    assert 0.1 < whole < 0.9
    assert looks.look((CRISP * 200.0).astype(np.uint16)).structure == pytest.approx(whole, abs=0.02)
    assert looks.look(255 - CRISP).structure == pytest.approx(whole, abs=0.02)
    assert looks.look(stored(np.random.default_rng(0).normal(128, 3, CRISP.shape), 8)).structure < 0.01


def test_what_a_training_learns_of_cells_is_that_of_its_images():
    images = images_of("a", "b", "c", path="any", height=1000, width=500)
    table = pd.DataFrame({"image_id": ["a"] * 20 + ["b"] * 3 + ["x"], "area": [100] * 20 + [9] * 3 + [7]})
    width = round(np.sqrt(400 / np.pi), 4)
    share = 2000 / 5e5 / looks.look(CRISP).structure
    seen = appearance.of_some(images, lambda path: CRISP)
    told = cells.learnt(images, table, seen, np.ones(3))
    assert told == {
        "width_px": [width] * 3,
        "per_megapixel": [0.0, 6.0, 40.0],
        "of_structure": [0.0, round(share * 27 / 2000, 4), round(share, 4)],
    }
    assert cells.learnt(images, table[20:], seen, np.ones(3)) is None


def test_remarks_of_an_older_version_are_refused_by_name(tmp_path):
    files.write_json({"remarks": []}, tmp_path / "old.json")
    with pytest.raises(DataError, match=r"old.json: the key unlike is missing; run the stage"):
        morphology.unlike([tmp_path / "old.json"], tables.empty("instances"), images_of("a"))


def test_pixel_sizes_that_cannot_be_and_crowds_are_told_of_their_images(tmp_path):
    np.save(tmp_path / "a.npy", CRISP)
    images = images_of("a", "b", "c", "d", path=str(tmp_path / "a.npy"), pixel_size_um=[50.0, 8.7, 1.2, None])
    read = appearance.Adapted(np.load, looks.learnt_from([looks.look(CRISP)]))
    seen = remarks.Seen(images, np.ones(4), read, 1.24, {8.7: 104.2}, {"c": 0.0212})
    assert remarks.unlike(seen) == {
        "a": {"pixel_size": "50 µm a pixel: learnt at 1.24, looked at as it is"},
        "b": {"cell_width": "cells would be 104 µm wide: is the pixel size right?"},
        "c": {
            "crowd": "more detections than are kept of each field of view; those left out score at most 0.022"
        },
    }
    assert any("8.7 µm a pixel show as many cells" in text for text in remarks.sentences(seen))
