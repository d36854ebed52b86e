"""The pixel size by each microscope's own words; what a printer or a camera states is no specimen's."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from neuroseg import readers
from neuroseg.readers.dataset import Folder
from neuroseg.readers.images.scale import micrometres

PLANE = np.arange(60, dtype=np.uint16).reshape(6, 10)


def surveyed(path) -> tuple[float | None, str | None]:
    found = readers.survey([str(path)])
    assert found["fault"].isna().all()
    return found["pixel_size_um"][0], found["pixel_note"][0]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        *[("µm", 1), ("μm", 1), ("um", 1), ("Micron", 1), ("micrometers", 1), ("\\u00B5m", 1), ("µm.", 1)],
        *[("nm", 1e-3), ("mm", 1e3), ("cm", 1e4), ("m", 1e6), ("inch", 25_400), ("Å", 1e-4), ("pm", 1e-6)],
        *[("pixel", None), ("", None), ("Mm", None), ("reference frame", None), ("furlong", None)],
    ],
)
def test_a_unit_of_length_is_understood_as_people_write_it(unit, expected):
    assert micrometres(unit) == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("unit", ["micron", "um", "microns", "inch", "cm", "mm"])
def test_an_imagej_unit_gives_the_pixel_size(tmp_path, unit):
    side = 0.65 / micrometres(unit)
    tifffile.imwrite(
        tmp_path / "a.tif", PLANE, imagej=True, resolution=(1 / side,) * 2, metadata={"unit": unit}
    )
    assert surveyed(tmp_path / "a.tif") == (pytest.approx(0.65, rel=1e-4), None)


def test_nikons_own_tag_gives_the_pixel_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PLANE, extratags=[(65326, "d", 1, 0.65, True)], metadata=None)
    assert surveyed(tmp_path / "a.tif") == (0.65, None)


def test_metaxpress_description_gives_the_pixel_size(tmp_path):
    text = (
        '<MetaData><PlaneInfo><prop id="spatial-calibration-state" type="bool" value="on"/>'
        '<prop id="spatial-calibration-x" type="float" value="0.65"/>'
        '<prop id="spatial-calibration-y" type="float" value="0.65"/>'
        '<prop id="spatial-calibration-units" type="string" value="um"/></PlaneInfo></MetaData>'
    )
    tifffile.imwrite(
        tmp_path / "a.tif", PLANE, description=text, metadata=None, resolution=(72, 72), resolutionunit="INCH"
    )
    assert surveyed(tmp_path / "a.tif") == (0.65, None)


@pytest.mark.parametrize(
    ("side", "word"), [(6.4504, "camera"), (25_400 / 300, "no microscope"), (0.01, "no micros")]
)
def test_a_cameras_or_printers_pixel_is_no_specimens(tmp_path, side, word):
    tifffile.imwrite(tmp_path / "a.tif", PLANE, resolution=(1e4 / side,) * 2, resolutionunit="CENTIMETER")
    size, note = surveyed(tmp_path / "a.tif")
    assert size is None
    assert word in note


def test_an_operettas_size_is_that_of_its_index_and_none_without(tmp_path):
    path = tmp_path / "Images" / "r02c02f01p01-ch1sk1fk1fl1.tiff"
    path.parent.mkdir()
    tifffile.imwrite(path, PLANE, resolution=(1e4 / 1.3,) * 2, resolutionunit="CENTIMETER")
    size, note = surveyed(path)
    assert (size, "Index.xml" in note) == (None, True)
    size = '<ImageResolutionX Unit="m">{}</ImageResolutionX>'
    text = f'<E xmlns="http://x/y"><Images><Image>{size}</Image></Images></E>'
    (path.parent / "Index.idx.xml").write_text(text.format("6.4504e-07"))
    assert surveyed(path) == (pytest.approx(0.64504), None)


def test_a_doubtful_size_is_a_problem_until_the_dataset_file_states_one(tmp_path, step):
    tifffile.imwrite(tmp_path / "a.tif", PLANE, resolution=(1550, 1550), resolutionunit="CENTIMETER")
    for line, size, checks in (("", None, ["pixel_size"]), ("pixel_size_um: 0.65\n", 0.65, [])):
        (tmp_path / "d.yaml").write_text(f"format: folder\nroot: '{tmp_path}'\n{line}")
        out = {name: tmp_path / f"{name}.parquet" for name in ("images", "instances")}
        step("validate").main(dataset=tmp_path / "d.yaml", problems=tmp_path / "p.csv", **out)
        assert pd.read_csv(tmp_path / "p.csv")["check"].tolist() == checks
        found = pd.read_parquet(out["images"])["pixel_size_um"][0]
        assert np.isnan(found) if size is None else found == size


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ("650", "if it is in nanometres, write 0.65"),
        ("50.5", r"\(0.05 to 10\): if it is in nanometres, write 0.0505"),
        ("12", r"\(0.05 to 10\)$"),
        ("0.00124", "if it is in millimetres, write 1.24"),
        ("0.02", r"\(0.05 to 10\)$"),
        ("0.05", None),
        ("10", None),
    ],
)
@pytest.mark.parametrize("policy", ["keep", "drop"])
def test_a_stated_size_that_no_image_of_cells_has_is_used_and_named(tmp_path, step, size, words, policy):
    tifffile.imwrite(
        tmp_path / "a.tif", PLANE, resolution=(1 / 0.65,) * 2, imagej=True, metadata={"unit": "um"}
    )
    text = f"format: folder\nroot: '{tmp_path}'\npixel_size_um: {size}\npolicies: {{pixel_size: {policy}}}\n"
    (tmp_path / "d.yaml").write_text(text)
    out = {name: tmp_path / f"{name}.parquet" for name in ("images", "instances")}
    step("validate").main(dataset=tmp_path / "d.yaml", problems=tmp_path / "p.csv", **out)
    found = pd.read_csv(tmp_path / "p.csv")
    assert found["check"].tolist() == ["pixel_size"] * (words is not None)
    assert all(found["message"].str.contains(words or ""))
    assert pd.read_parquet(out["images"])["pixel_size_um"].tolist() == [float(size)]


@pytest.mark.parametrize(
    ("per_cm", "differs"),
    [
        (10_000 / 1.3, True),
        (10_000 / 0.65, False),
        (10_000 / 0.6503, False),
        (10_000 / 6.5, False),
        (28, False),
    ],
)
@pytest.mark.parametrize("form", ["ome", "nikon"])
def test_two_sizes_that_differ_are_named_until_the_dataset_file_states_one(
    tmp_path, step, form, per_cm, differs
):
    told = {"PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}
    words = {"extratags": [(65326, "d", 1, 0.65, True)]} if form == "nikon" else {"metadata": told}
    name = tmp_path / ("a.tif" if form == "nikon" else "a.ome.tif")
    tifffile.imwrite(name, PLANE, resolution=(per_cm, per_cm), resolutionunit="CENTIMETER", **words)
    size, note = surveyed(name)
    assert size == 0.65
    assert note == (
        "states 0.65 µm a pixel in its metadata, which is taken, and 1.3 µm in its resolution tag"
        if differs
        else None
    )
    for line in ("", "pixel_size_um: 0.65\n"):
        (tmp_path / "d.yaml").write_text(f"format: folder\nroot: '{tmp_path}'\n{line}")
        out = {part: tmp_path / f"{part}.parquet" for part in ("images", "instances")}
        step("validate").main(dataset=tmp_path / "d.yaml", problems=tmp_path / "p.csv", **out)
        checks = pd.read_csv(tmp_path / "p.csv")["check"].tolist()
        assert checks == (["pixel_size"] if differs and not line else [])
        assert pd.read_parquet(out["images"])["pixel_size_um"].tolist() == [0.65]


@pytest.mark.parametrize(("first", "kept"), [("10x", ["a__10x", "a__40x"]), ("macro image", ["a"])])
def test_of_an_ome_tiff_each_position_has_its_own_size(tmp_path, first, kept):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        for name, size in ((first, 1.24), ("40x", 0.31)):
            told = {"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeY": size, "Name": name}
            file.write(PLANE, metadata=told, photometric="minisblack")
    images = readers.read(Folder(format="folder", root=tmp_path)).images
    assert images["image_id"].tolist() == kept
    sizes = readers.survey(images["path"])["pixel_size_um"].tolist()
    assert sizes == [1.24, 0.31][-len(kept) :]
