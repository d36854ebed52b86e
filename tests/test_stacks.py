"""Files of several images: time points and positions are images, depth is projected, a channel is chosen."""

import os
import tracemalloc
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from pydantic import ValidationError
from scipy import ndimage

from neuroseg import readers
from neuroseg.errors import DataError
from neuroseg.readers.dataset import Folder
from neuroseg.readers.images.stacks import Spec, located, marked

HEIGHT, WIDTH = 24, 32
VALUES = np.random.default_rng(0).integers(90, 170, (2, 3, 2, HEIGHT, WIDTH)).astype(np.uint16)
"""Two time points, three depths, two channels."""


def write(path: Path, planes: np.ndarray, axes: str, **options) -> None:
    form = {"imagej": True} if path.suffix == ".tif" and not path.name.endswith(".ome.tif") else {}
    metadata = {"axes": axes, **options.pop("metadata", {})}
    tifffile.imwrite(path, planes, metadata=metadata, photometric="minisblack", **form, **options)


def listed(folder: Path, **settings) -> pd.DataFrame:
    dataset = Folder.model_validate({"format": "folder", "root": folder, **settings})
    return readers.read(dataset).images.set_index("image_id")


def pixels(images: pd.DataFrame, image_id: str) -> np.ndarray:
    return readers.read_image(images.loc[image_id, "path"])


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_time_points_are_images_with_their_time(tmp_path, name):
    told = {"finterval": 1800.0} if name == "a.tif" else {"TimeIncrement": 0.5, "TimeIncrementUnit": "h"}
    write(tmp_path / name, VALUES[:, 0, 0], "TYX", metadata=told)
    images = listed(tmp_path)
    assert images["time"].to_dict() == {"a__t1": 0, "a__t2": 0.5}
    for at in range(2):
        assert (pixels(images, f"a__t{at + 1}") == VALUES[at, 0, 0]).all()


NAMED = {
    "A1_00d03h00m": r"(?P<well>A1)_(?P<time>\d+d\d+h\d+m)",
    "A1_20240131": r"(?P<well>A1)_(?P<stamp>\d{8})",
}


@pytest.mark.parametrize(("name", "first"), [("A1_00d03h00m", 3), ("A1_20240131", 24)])
def test_a_names_time_is_that_of_the_first_of_a_files_time_points(tmp_path, name, first):
    write(tmp_path / f"{name}.tif", VALUES[:, 0, 0], "TYX", metadata={"finterval": 1800.0})
    write(tmp_path / "A1_20240130.tif", VALUES[0, 0, 0], "YX")
    images = listed(tmp_path, pattern=NAMED[name])
    assert images["time"].filter(like="__t").tolist() == [first, first + 0.5]


@pytest.mark.parametrize("name", NAMED)
def test_time_points_of_unknown_interval_do_not_share_the_time_of_their_files_name(tmp_path, name):
    write(tmp_path / f"{name}.tif", VALUES[:, 0, 0], "TYX")
    dataset = Folder.model_validate({"format": "folder", "root": tmp_path, "pattern": NAMED[name]})
    source = readers.read(dataset)
    assert source.images["time"].isna().all()
    assert source.notes[["check", "image"]].to_numpy().tolist() == [["bad_time", 0], ["bad_time", 1]]
    assert source.notes["message"].str.contains("for 2 time points .* set it in Fiji").all()
    assert dataset.policies["bad_time"] == "keep"


def test_a_time_point_alone_leaves_its_time_to_the_name(tmp_path):
    write(tmp_path / "A1_00d03h00m.tif", VALUES[0, :, 0], "ZYX", metadata={"finterval": 1800.0})
    assert listed(tmp_path, pattern=NAMED["A1_00d03h00m"], z="max")["time"].tolist() == [3]


def test_the_clock_of_each_plane_goes_before_the_interval(tmp_path):
    told = {"Plane": {"DeltaT": [60.0, 5460.0], "DeltaTUnit": ["s", "s"]}, "TimeIncrement": 1.0}
    write(tmp_path / "a.ome.tif", VALUES[:, 0, 0], "TYX", metadata=told)
    assert listed(tmp_path)["time"].tolist() == [0, 1.5]


def test_a_stack_without_times_has_none_and_numbers_sort_as_they_count(tmp_path):
    write(tmp_path / "a.tif", np.stack([VALUES[0, 0, 0] + at for at in range(11)]), "TYX")
    images = listed(tmp_path)
    assert images["time"].isna().all()
    assert images.index.tolist() == [f"a__t{at:02d}" for at in range(1, 12)]
    assert (pixels(images, "a__t10") == VALUES[0, 0, 0] + 9).all()


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
@pytest.mark.parametrize("axes", ["TZCYX", "TCZYX"])
def test_depth_is_projected_as_the_dataset_file_says(tmp_path, name, axes):
    if name == "a.tif" and axes == "TCZYX":
        axes = "TZCYX"  # the only order that ImageJ has
    planes = VALUES if axes == "TZCYX" else VALUES.swapaxes(1, 2)
    write(tmp_path / name, planes, axes)
    depths = VALUES[1, :, 1]
    for z, expected in {
        "max": depths.max(0),
        "mean": np.rint(depths.mean(0)),
        2: depths[1],
        "3": depths[2],
    }.items():
        images = listed(tmp_path, z=z, channel="2")
        assert images.index.tolist() == ["a__t1", "a__t2"]
        assert (pixels(images, "a__t2") == expected).all(), z


def test_the_sharpest_depth_is_in_focus(tmp_path):
    sharp = np.kron(np.random.default_rng(0).integers(90, 170, (6, 8)), np.ones((4, 4))).astype(np.uint16)
    blurred = (sharp.astype(float) + np.roll(sharp, 1, 0) + np.roll(sharp, 2, 0) + np.roll(sharp, 2, 1)) / 4
    write(tmp_path / "a.tif", np.stack([blurred.astype(np.uint16), sharp, blurred.astype(np.uint16)]), "ZYX")
    images = listed(tmp_path, z="focus")
    assert (pixels(images, "a") == sharp).all()


SHARP = np.kron(np.random.default_rng(0).integers(90, 170, (12, 12)), np.ones((5, 5))).astype(np.float32)
FOCUS = {
    "a hot pixel": (30, 1e6),
    "hot pixels": ([61, 700, 1503, 2590, 3333], 4000),
    "a dead pixel": (30, 0),
    "dark pixels of a worn camera": ([61, 700, 1503, 2590, 3333], -300),
    "a hot column": (slice(30, None, 60), 2000),
    "not a number": (30, np.nan),
    "infinite": (30, np.inf),
    "a corner of no data": (slice(0, 600), -9999),
    "a corner that is not a number": (slice(0, 600), np.nan),
    "nothing": (slice(0, 0), 0),
}
"""Which pixels of a plane have another value, and that."""


@pytest.mark.parametrize("spoilt", ["sharp", "blurred"])
@pytest.mark.parametrize(("gain", "offset"), [(1, 0), (3, 0), (1 / 3, -130)], ids=str)
@pytest.mark.parametrize("fault", FOCUS)
def test_the_sharpest_depth_is_found_whatever_single_pixels_and_light_do(
    tmp_path, fault, gain, offset, spoilt
):
    blurred = ndimage.gaussian_filter(SHARP, 2) * gain
    planes = {"blurred": blurred, "sharp": SHARP, "darker": blurred / 2}
    where, value = FOCUS[fault]
    planes[spoilt] = planes[spoilt].copy()
    planes[spoilt].flat[where] = value
    stack = np.stack(list(planes.values())) + offset
    stack[stack == value + offset] = value
    write(tmp_path / "a.tif", stack.astype(np.float32), "ZYX")
    assert (pixels(listed(tmp_path, z="focus"), "a") == pixels(listed(tmp_path, z=2), "a")).all()


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("z", ["max", "mean"])
def test_what_is_no_data_at_one_depth_does_not_count_there(tmp_path, z, inverted):
    holes = np.stack([SHARP, SHARP[::-1], SHARP[:, ::-1]]) + np.float32(0.5)
    holes[1, :20] = np.nan
    holes[2, :20, :20] = holes[:, 40:, 40:] = -9999
    write(tmp_path / "a.tif", holes, "ZYX")
    images = listed(tmp_path, z=z, **({"invert": True} if inverted else {}))
    there = np.ma.masked_invalid(np.where(holes == -9999, np.nan, holes))
    how = {"max": np.ma.min if inverted else np.ma.max, "mean": np.ma.mean}[z]
    expected = how(there, axis=0) / there.max() * 65535
    expected = (65535 - expected if inverted else expected).filled(0)
    assert abs(pixels(images, images.index[0]) - expected).max() <= 1


@pytest.mark.parametrize(("channel", "expected"), [("gfp", 0), ("TL Phase", 1), ("1", 0), (2, 1)])
def test_a_channel_is_chosen_by_name_or_number(tmp_path, channel, expected):
    write(tmp_path / "a.ome.tif", VALUES[0, 0], "CYX", metadata={"Channel": {"Name": ["GFP", "TL Phase"]}})
    assert (pixels(listed(tmp_path, channel=channel), "a") == VALUES[0, 0, expected]).all()


@pytest.mark.parametrize(
    "names", [["GFP", "Phase Contrast"], ["BF", "Ph"], ["S-phase", "Phase"], ["Transferrin", "bright field"]]
)
def test_phase_contrast_is_taken_where_one_channel_is_called_so(tmp_path, names):
    write(tmp_path / "a.ome.tif", VALUES[0, 0], "CYX", metadata={"Channel": {"Name": names}})
    assert (pixels(listed(tmp_path), "a") == VALUES[0, 0, 1]).all()


@pytest.mark.parametrize(
    "names",
    [
        ["TL Phase", "BF"],
        ["Phase contrast 10x", "Brightfield"],
        ["Ph2", "DIC"],
        ["PhC", "BF"],
        ["相差", "BF"],
    ],
)
def test_it_is_asked_which_channel_is_phase_contrast_where_two_may_be(tmp_path, step, names):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.ome.tif", VALUES[0, 0], "CYX", metadata={"Channel": {"Name": names}})
    (tmp_path / "d.yaml").write_text(f"format: folder\nroot: '{tmp_path / 'in'}'\n")
    out = {name: tmp_path / f"{name}.parquet" for name in ("images", "instances")}
    with pytest.raises(DataError, match=f"2 channels .{', '.join(names)}.: say with `channel`"):
        step("validate").main(dataset=tmp_path / "d.yaml", problems=tmp_path / "p.csv", **out)


@pytest.mark.parametrize(
    ("axes", "planes", "settings", "words"),
    [
        ("CYX", VALUES[0, 0], {}, "2 channels .*say with `channel`"),
        ("ZYX", VALUES[0, :, 0], {}, "3 depths: say with `z`"),
        ("CYX", VALUES[0, 0], {"channel": "3"}, "its channels are 1, 2; correct `channel: 3`"),
        ("ZYX", VALUES[0, :, 0], {"z": 4}, "it holds 3 depths; correct `z: 4`"),
    ],
)
def test_what_the_dataset_file_does_not_say_is_asked_in_a_sentence(
    tmp_path, step, axes, planes, settings, words
):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.tif", planes, axes)
    lines = "".join(f"{name}: {value}\n" for name, value in settings.items())
    (tmp_path / "d.yaml").write_text(f"format: folder\nroot: '{tmp_path / 'in'}'\n{lines}")
    out = {name: tmp_path / f"{name}.parquet" for name in ("images", "instances")}
    with pytest.raises(DataError, match=words):
        step("validate").main(dataset=tmp_path / "d.yaml", problems=tmp_path / "p.csv", **out)


def test_positions_are_images_under_their_own_names(tmp_path):
    with tifffile.TiffWriter(tmp_path / "plate.ome.tif") as file:
        for at, name in enumerate(("A1 left", "A1 right", "A1 right")):
            file.write(VALUES[0, at, 0], metadata={"axes": "YX", "Name": name})
        file.write(VALUES[0, 0, 0][::4, ::4], metadata={"axes": "YX", "Name": "macro image"})
    images = listed(tmp_path, pattern=r"(?P<well>[A-P]\d+) ", group=["well"])
    assert images.index.tolist() == ["plate__A1_left", "plate__A1_right_2", "plate__A1_right_3"]
    assert images["well"].tolist() == ["A1"] * 3
    assert (pixels(images, "plate__A1_right_3") == VALUES[0, 2, 0]).all()


def test_positions_with_time_points_are_images_each(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        for name in ("one", "two"):
            file.write(
                VALUES[:, 0, int(name == "two")],
                metadata={"axes": "TYX", "Name": name},
                photometric="minisblack",
            )
    images = listed(tmp_path)
    assert images.index.tolist() == ["a__one__t1", "a__one__t2", "a__two__t1", "a__two__t2"]
    assert (pixels(images, "a__two__t2") == VALUES[1, 0, 1]).all()


def test_pages_of_which_nothing_is_said_are_what_the_dataset_file_says(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", VALUES[0, :, 0], photometric="minisblack", metadata=None)
    with pytest.raises(readers.ImageError, match=r"say which with `pages` \(time, z or channel\)"):
        pixels(listed(tmp_path), "a")
    assert listed(tmp_path, pages="time").index.tolist() == ["a__t1", "a__t2", "a__t3"]
    assert (pixels(listed(tmp_path, pages="time"), "a__t3") == VALUES[0, 2, 0]).all()
    assert (pixels(listed(tmp_path, pages="z", z="max"), "a") == VALUES[0, :, 0].max(0)).all()
    assert (pixels(listed(tmp_path, pages="channel", channel=2), "a") == VALUES[0, 1, 0]).all()


def test_unlike_pages_stay_refused_whatever_is_said(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in (VALUES[0, 0, 0], VALUES[0, 1, 0][:20]):
            file.write(page, photometric="minisblack", metadata=None)
    with pytest.raises(readers.ImageError, match="2 images of unlike pages"):
        pixels(listed(tmp_path, pages="time"), "a")


FORMS = {
    "ome": {"ome": True, "metadata": {"axes": "TYX"}},
    "imagej": {"imagej": True, "metadata": {"axes": "TYX"}},
    "one page": {"imagej": True, "metadata": {"axes": "TYX"}, "truncate": True, "byteorder": ">"},
    "pages": {"metadata": None, "compression": "zlib"},
}
"""How a file says that its pages are time points, if it does."""

FRAMES = {
    "8 bit": ("uint8", 255, (10, 60), (190, 250)),
    "8 in 16 bit": ("uint16", 255, (10, 60), (190, 250)),
    "10 in 16 bit": ("uint16", 1023, (20, 300), (800, 1000)),
    "12 in 16 bit": ("uint16", 4095, (100, 900), (3500, 4000)),
    "16 bit": ("uint16", 65535, (10_000, 25_000), (60_000, 65_000)),
    "16 in 32 bit": ("uint32", 65535, (10_000, 25_000), (60_000, 65_000)),
    "20 bit": ("uint32", 102_600, (200, 70_000), (60_000, 102_400)),
    "signed": ("int16", 2600, (200, 700), (2000, 2400)),
    "fraction": ("float32", 2600, (200, 700), (2000, 2400)),
}
"""The type that holds a dark and a bright frame, the value that is stored for zero, and their ends."""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", FRAMES)
def test_white_as_zero_is_turned_over_at_one_value_for_all_of_a_file(tmp_path, form, name):
    kind, white, *between = FRAMES[name]
    frames = np.stack([np.linspace(*each, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) for each in between]).round()
    form = form if kind != "uint32" or form == "ome" else "pages"  # ImageJ has no such type
    stored = (white - frames).astype(kind)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite", **FORMS[form])
    images = listed(tmp_path, pages="time" if form == "pages" else None)
    top = frames.max()
    shown = frames if top <= 65535 else frames * 65535 / top
    for at in range(2):
        assert abs(pixels(images, f"a__t{at + 1}") - shown[at]).max() <= (1 if top > 65535 else 0)


SCENE = np.random.default_rng(1).uniform(0.1, 0.2, (HEIGHT, WIDTH))


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        *(("float32", form) for form in FORMS),
        *((kind, "pages") for kind in ("float64", "uint32", "int32", "int16")),
    ],
)
def test_time_points_that_differ_in_brightness_alone_stay_unlike(tmp_path, kind, form):
    times = {"u": 1e6, "i": 30_000}.get(np.dtype(kind).kind, 1.0)
    frames = np.stack([SCENE * factor * times for factor in (1, 2, 4)]).astype(kind)
    frames[0, 0, 0] = -1 if kind.startswith("int") else frames[0, 0, 0]
    tifffile.imwrite(tmp_path / "a.tif", frames, photometric="minisblack", **FORMS[form])
    images = listed(tmp_path, pages="time" if form == "pages" else None)
    assert readers.survey(images["path"])["digest"].nunique() == 3
    stored = frames.astype(np.float64) - min(frames.min(), 0)
    for at in range(3):
        expected = stored[at] / stored.max() * 65535
        assert abs(pixels(images, f"a__t{at + 1}") - expected).max() <= 1


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_depths_of_unlike_ranges_are_projected_on_one_scale(tmp_path, kind):
    depths = np.stack([SCENE, SCENE[::-1] * 4, SCENE[:, ::-1] * 2]).astype(kind)
    tifffile.imwrite(tmp_path / "a.tif", depths, metadata={"axes": "ZYX"}, photometric="minisblack")
    for z, expected in {"max": depths.max(0), "mean": depths.mean(0), 1: depths[0]}.items():
        assert abs(pixels(listed(tmp_path, z=z), "a") - expected / depths.max() * 65535).max() <= 1


def test_the_mean_of_whole_numbers_in_floating_point_is_not_spread(tmp_path):
    depths = VALUES[0, :, 0].astype(np.float32)
    write(tmp_path / "a.tif", depths, "ZYX")
    assert (pixels(listed(tmp_path, z="mean"), "a") == np.rint(depths.mean(0))).all()


def test_one_time_point_with_fractions_spreads_all(tmp_path):
    frames = np.stack([VALUES[0, 0, 0], VALUES[1, 0, 0] + 0.5]).astype(np.float32)
    write(tmp_path / "a.tif", frames, "TYX")
    images = listed(tmp_path)
    for at in range(2):
        assert abs(pixels(images, f"a__t{at + 1}") - frames[at] / frames.max() * 65535).max() <= 1


def test_channels_are_spread_each_between_its_own_ends(tmp_path):
    write(tmp_path / "a.tif", np.stack([SCENE, SCENE * 1e6]).astype(np.float32), "CYX")
    assert abs(pixels(listed(tmp_path, channel="1"), "a") - SCENE / SCENE.max() * 65535).max() <= 1


def test_no_data_of_one_plane_is_none_in_all(tmp_path):
    frames = np.stack([SCENE, SCENE * 2, SCENE * 0 - 9999, SCENE * 4]).astype(np.float32)
    frames[0, :5] = frames[1, 0, 0] = -9999
    write(tmp_path / "a.tif", frames, "TYX")
    images = listed(tmp_path)
    expected = np.where(frames == -9999, 0, frames) / frames.max() * 65535
    for at in range(4):
        assert abs(pixels(images, f"a__t{at + 1}") - expected[at]).max() <= 1


def test_series_of_one_type_are_spread_between_the_same_ends_and_others_by_themselves(tmp_path):
    series = [VALUES[0, 0, 0], (SCENE * 2).astype(np.float32), SCENE.astype(np.float32), SCENE * 1000]
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        for at, plane in enumerate(series):
            file.write(plane, photometric="minisblack", metadata={"axes": "YX", "Name": f"p{at}"})
    images = listed(tmp_path)
    assert (pixels(images, "a__p0") == series[0]).all()
    for at, top in ((1, series[1].max()), (2, series[1].max()), (3, series[3].max())):
        assert abs(pixels(images, f"a__p{at}") - series[at] / top * 65535).max() <= 1


def test_a_time_point_that_takes_the_grey_levels_of_the_others_is_named(tmp_path, step):
    frames = np.stack([SCENE, SCENE * 2, SCENE * 1e4]).astype(np.float32)
    write(tmp_path / "a.tif", frames, "TYX")
    (tmp_path / "d.yaml").write_text(f"format: folder\nroot: '{tmp_path}'\n")
    out = {name: tmp_path / f"{name}.parquet" for name in ("images", "instances")}
    step("validate").main(dataset=tmp_path / "d.yaml", problems=tmp_path / "p.csv", **out)
    found = pd.read_csv(tmp_path / "p.csv").query("check == 'few_grey_levels'").set_index("image_id")
    assert found.index.tolist() == ["a__t1", "a__t2"]
    levels = np.ptp(np.rint(frames[1] / frames.max() * 65535)) + 1
    assert f"has {levels:.0f} grey levels only" in found["message"]["a__t2"]
    assert f"reach from {frames.min():.6g} to {frames.max():.6g}" in found["message"]["a__t2"]


def test_a_broken_time_point_does_not_take_the_others_along(tmp_path):
    frames = np.stack([SCENE, SCENE * 2, SCENE * 4]).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", frames, photometric="minisblack", compression="zlib", metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        offset = file.pages[1].dataoffsets[0]
    with (tmp_path / "a.tif").open("r+b") as file:
        file.seek(offset)
        file.write(bytes(20))
    found = readers.survey(listed(tmp_path, pages="time")["path"])
    assert found["fault"].tolist() == [None, "image_unreadable", None]


@pytest.mark.parametrize("z", ["max", "mean", "focus"])
def test_a_long_stack_is_looked_at_plane_by_plane(tmp_path, z):
    depths = np.random.default_rng(0).random((120, 100, 100)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", depths, photometric="minisblack", compression="zlib", metadata=None)
    (path,) = listed(tmp_path, pages="z", z=z)["path"]
    readers.read_image(path)
    os.utime(tmp_path / "a.tif", (1, 1))  # so that its ends are looked for again
    tracemalloc.start()
    readers.read_image(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < depths.nbytes / 3


def one_of_a_set(folder: Path, at: int, count: int, planes: np.ndarray, axis: str) -> None:
    ids = [f"urn:uuid:{uuid.UUID(int=number + 1)}" for number in range(count)]
    blocks = "".join(
        f'<TiffData First{axis}="{number}" IFD="0" PlaneCount="1">'
        f'<UUID FileName="{axis}{number}.ome.tif">{name}</UUID></TiffData>'
        for number, name in enumerate(ids)
    )
    sizes = "".join(f'Size{each}="{count if each == axis else 1}" ' for each in "TZC")
    xml = (
        f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{ids[at]}">'
        f'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="{WIDTH}" '
        f'SizeY="{HEIGHT}" {sizes}'
        f'TimeIncrement="2" TimeIncrementUnit="h"><Channel ID="C:0" SamplesPerPixel="1"/>{blocks}</Pixels>'
        "</Image></OME>"
    )
    tifffile.imwrite(folder / f"{axis}{at}.ome.tif", planes, description=xml, metadata=None)


def test_files_of_a_set_that_hold_a_time_point_each_have_its_time(tmp_path):
    for at in range(2):
        one_of_a_set(tmp_path, at, 2, VALUES[at, 0, 0], "T")
    images = listed(tmp_path)
    assert images["time"].to_dict() == {"T0": 0, "T1": 2}
    assert (pixels(images, "T1") == VALUES[1, 0, 0]).all()


def test_an_ome_tiff_of_one_plane_leaves_its_time_to_the_name(tmp_path):
    write(tmp_path / "a_12h.ome.tif", VALUES[0, 0, 0], "YX", metadata={"TimeIncrement": 1.0})
    assert listed(tmp_path, pattern=r"a_(?P<time>\d+h)")["time"].tolist() == [12]


def test_a_broken_stack_is_a_problem_of_its_own_row(tmp_path, step):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.tif", VALUES[:, 0, 0], "TYX")
    (tmp_path / "in" / "b.tif").write_bytes((tmp_path / "in" / "a.tif").read_bytes()[:900])
    (tmp_path / "d.yaml").write_text(f"format: folder\nroot: '{tmp_path / 'in'}'\n")
    out = {name: tmp_path / f"{name}.parquet" for name in ("images", "instances")}
    step("validate").main(dataset=tmp_path / "d.yaml", problems=tmp_path / "p.csv", **out)
    assert pd.read_parquet(out["images"])["image_id"].tolist() == ["a__t1", "a__t2"]
    assert pd.read_csv(tmp_path / "p.csv")["check"].tolist() == ["image_unreadable"]


def test_a_file_of_one_image_keeps_its_plain_path(tmp_path):
    write(tmp_path / "a.tif", VALUES[0, 0, 0], "YX")
    assert listed(tmp_path)["path"].tolist() == [str(tmp_path / "a.tif")]


@pytest.mark.parametrize("spec", [Spec(1, 2, 3, "4"), Spec(10, 1, 1, "max", "time"), None])
@pytest.mark.parametrize("name", ["x/a::b.tif", "x/a\nb.tif", "x/a\r\n.tif"])
def test_a_place_in_a_file_is_read_as_it_is_written(name, spec):
    assert located(marked(Path(name), spec)) == (Path(name), spec, None)


@pytest.mark.parametrize("settings", [{"z": "min"}, {"z": 0}, {"pages": "t"}])
def test_words_that_mean_nothing_are_refused(tmp_path, settings):
    with pytest.raises(ValidationError):
        listed(tmp_path, **settings)


@pytest.mark.parametrize("axes", ["ZYX", "YXZ"])
def test_depths_are_told_by_the_axes_also_where_pages_are_something_else(tmp_path, axes):
    depths = np.stack([VALUES[0, 0, 0] + at for at in range(4)])
    stored = depths if axes == "ZYX" else np.moveaxis(depths, 0, 2)
    tifffile.imwrite(tmp_path / "a.tif", stored, metadata={"axes": axes}, photometric="minisblack")
    assert (pixels(listed(tmp_path, z=3), "a") == depths[2]).all()


def test_four_depths_that_their_writer_stored_as_samples_of_one_page_are_four(tmp_path):
    depths = np.stack([VALUES[0, 0, 0] + at for at in range(4)])
    tifffile.imwrite(
        tmp_path / "a.tif", depths, metadata={"axes": "ZYX"}, photometric="rgb", planarconfig="separate"
    )
    assert (pixels(listed(tmp_path, z="focus"), "a") == depths[0]).all()
    assert (pixels(listed(tmp_path, z=4), "a") == depths[3]).all()


@pytest.mark.parametrize(("imagej", "words"), [(True, "after 3 of 6 images"), (False, "after page 4")])
def test_a_stack_whose_copy_was_cut_off_is_not_taken_for_what_is_left_of_it(tmp_path, imagej, words):
    planes = np.stack([VALUES[0, 0, 0] + at for at in range(6)])
    with tifffile.TiffWriter(tmp_path / "a.tif", imagej=imagej) as file:
        for part in [planes] if imagej else planes:
            file.write(part, photometric="minisblack", metadata={} if imagej else None)
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[: len(content) * 11 // 20])
    (path,) = listed(tmp_path, pages="time")["path"]
    with pytest.raises(readers.ImageError, match=f"is cut off {words}, copy it anew") as caught:
        readers.read_image(path)
    assert caught.value.check == "image_unreadable"
