"""Exports: each format opened by its own reader gives the same masks back."""

import json
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import shapely
import tifffile
from chain import copy, snakemake
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools.coco import COCO
from roifile import ImagejRoi, roiread
from shapely.geometry import shape

import neuroseg
from neuroseg import exports, readers, rle, tables
from neuroseg.errors import DataError
from neuroseg.exports.outlines import polygons
from neuroseg.readers.source import file_names
from neuroseg.readers.truth.contours import decode_geojson, decode_rois
from neuroseg.readers.truth.labels import decode as decode_labels

HEIGHT, WIDTH = 40, 60
MASKS = np.zeros((4, HEIGHT, WIDTH), bool)
MASKS[0, 5:15, 5:20] = True
MASKS[1, 20:36, 30:50] = True
MASKS[1, 22:34, 32:48] = False  # a hole
MASKS[1, 26:28, 38:40] = True  # with an island
MASKS[2, 0:3, 0:4] = MASKS[2, 3:6, 4:5] = True  # touching in a corner only, and the frame
MASKS[3, 39, 59] = True
IDS = [0, 2, 3, 7]


def instances(image_id, masks=MASKS, ids=IDS):
    runs = rle.from_masks(masks)
    boxes = rle.boxes(runs, masks.shape[2])
    frame = tables.empty("instances").reindex(range(len(masks)))
    frame["image_id"], frame["instance_id"], frame["cell_type"] = image_id, np.array(ids), ["astro", None] * 2
    frame["score"], frame["area"] = np.float32(0.5), rle.areas(runs)
    for at, side in enumerate(("x1", "y1", "x2", "y2")):
        frame[side] = boxes[:, at].astype(np.float32)
    frame["rle"] = tables.rle_column(rle.to_coco(runs, *masks.shape[1:])).to_numpy()
    return frame


def images(rows):
    silent = {"group": "g", "subset": "test", "annotated": False, "height": HEIGHT, "width": WIDTH}
    frame = tables.empty("images").reindex(range(len(rows)))
    for at, row in enumerate(rows):
        for name, value in (silent | row).items():
            frame.loc[at, name] = value
    return frame


@pytest.fixture
def written(tmp_path):
    """A function that writes tables of images with MASKS' cells and one image without, and exports them."""

    def export(*formats, size=0.65, **changes):
        rows = []
        for at, name in enumerate(("a", "empty")):
            path = tmp_path / f"{name}.png"
            Image.fromarray(
                np.random.default_rng(at).integers(90, 160, (HEIGHT, WIDTH), dtype=np.uint8)
            ).save(path)
            rows.append({"image_id": name, "path": str(path), "pixel_size_um": size})
        tables.write("images", images(rows), tmp_path / "validate" / "images.parquet")
        tables.write("instances", instances("a", **changes), tmp_path / "segment" / "e.parquet")
        out = tmp_path / "export" / "e"
        exports.write(
            formats, tmp_path / "segment" / "e.parquet", tmp_path / "validate" / "images.parquet", out
        )
        return out

    return export


def label_image(masks=MASKS, ids=IDS):
    labels = np.zeros(masks.shape[1:], int)
    for mask, number in zip(masks, ids, strict=True):
        labels[mask] = number + 1
    return labels


def test_label_images_hold_each_cell_under_its_instance_id_and_one(written):
    folder = written("labels") / "labels"
    labels = tifffile.imread(folder / "a_masks.tif")
    assert labels.dtype == np.uint16
    assert (labels == label_image()).all()
    assert not tifffile.imread(folder / "empty_masks.tif").any()


@pytest.fixture
def opened_by_napari(written):
    """Napari's own readers and writers, and an exported label image as they read it."""
    builtins = pytest.importorskip(
        "napari_builtins.io",
        reason="napari is not among the requirements (700 MB with Qt): make test-viewers",
    )
    path = str(written("labels") / "labels" / "a_masks.tif")
    ((labels, *_),) = builtins.napari_get_reader(path)(path)
    return builtins, np.asarray(labels)


def test_naparis_own_reader_opens_label_images(opened_by_napari):
    _, labels = opened_by_napari
    assert (labels == label_image()).all()


def test_corrections_that_napari_itself_saves_are_read_back(opened_by_napari, tmp_path):
    builtins, labels = opened_by_napari
    corrected = np.where(labels == 1, 9, labels)
    saved = builtins.napari_write_labels(str(tmp_path / "a_masks.tif"), corrected, {"name": "a_masks"})
    found = decode_labels(Path(saved), HEIGHT, WIDTH)
    assert found.faults == []
    assert (
        rle.to_masks(found.masks, HEIGHT, WIDTH) == [corrected == number for number in (3, 4, 8, 9)]
    ).all()


def test_label_images_saved_as_napari_saves_them_are_read_back(written, tmp_path):
    labels = tifffile.imread(written("labels") / "labels" / "a_masks.tif").astype(
        np.uint32
    )  # napari's own type
    labels[labels == 1] = 9
    tifffile.imwrite(tmp_path / "a_masks.tif", labels, compression="zlib", compressionargs={"level": 1})
    found = decode_labels(tmp_path / "a_masks.tif", HEIGHT, WIDTH)
    assert found.faults == []
    assert (rle.to_masks(found.masks, HEIGHT, WIDTH) == [labels == number for number in (3, 4, 8, 9)]).all()


def test_label_images_tell_the_pixel_size_in_their_tags_and_as_ome(written):
    path = written("labels", size=0.65) / "labels" / "a_masks.tif"
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        assert 'PhysicalSizeX="0.65" PhysicalSizeXUnit="µm"' in file.ome_metadata
        page = file.pages[0]
        numerator, denominator = page.tags["XResolution"].value
        assert page.tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
    assert 1e4 * denominator / numerator == pytest.approx(0.65)
    assert readers.survey([str(path)])["pixel_size_um"].tolist() == [0.65]


def test_label_images_of_unknown_pixel_size_claim_none(written):
    path = written("labels", size=None) / "labels" / "a_masks.tif"
    assert readers.survey([str(path)])["pixel_size_um"].isna().all()


def test_more_than_65535_cells_take_32_bit(written):
    labels = tifffile.imread(written("labels", ids=[0, 1, 2, 65_535]) / "labels" / "a_masks.tif")
    assert labels.dtype == np.uint32
    assert labels.max() == 65_536


def test_cells_that_share_pixels_are_refused_as_label_images(written):
    masks = MASKS.copy()
    masks[2, 5:8, 5:8] = True
    with pytest.raises(DataError, match="Image a: the cells 0 and 3 share pixels"):
        written("labels", masks=masks)


def test_labels_of_an_image_are_asked_for_by_its_id(written, tmp_path):
    written()
    assert (neuroseg.labels(tmp_path / "segment" / "e.parquet", "a") == label_image()).all()
    assert not neuroseg.labels(tmp_path / "segment" / "e.parquet", "empty").any()
    with pytest.raises(DataError, match="there is no image b; there are 2: a, empty"):
        neuroseg.labels(tmp_path / "segment" / "e.parquet", "b")


def test_roi_sets_give_the_masks_back(written):
    folder = written("rois") / "rois"
    assert [roi.name for roi in roiread(folder / "a_rois.zip")] == ["00001", "00003", "00004", "00008"]
    found = decode_rois(folder / "a_rois.zip", HEIGHT, WIDTH)
    assert (rle.to_masks(found.masks, HEIGHT, WIDTH) == MASKS).all()
    assert found.faults == []
    assert decode_rois(folder / "empty_rois.zip", HEIGHT, WIDTH).cells == []


def test_roifile_sees_the_outline_of_a_cell_between_its_pixels(written):
    with zipfile.ZipFile(written("rois") / "rois" / "a_rois.zip") as archive:
        roi = ImagejRoi.frombytes(archive.read("00001.roi"))
    assert sorted(map(tuple, roi.coordinates().tolist())) == [(5, 5), (5, 15), (20, 5), (20, 15)]
    assert (roi.left, roi.top, roi.right, roi.bottom) == (5, 5, 20, 15)


def filled(geometry, height=HEIGHT, width=WIDTH):
    """The pixels whose centres lie in a shape, as shapely sees it."""
    y, x = np.mgrid[:height, :width] + 0.5
    return shapely.contains_xy(geometry, x, y)


def test_geojson_is_valid_and_gives_the_masks_back(written):
    folder = written("geojson") / "geojson"
    features = json.loads((folder / "a.geojson").read_text())["features"]
    shapes = [shape(feature["geometry"]) for feature in features]
    assert all(each.is_valid for each in shapes)
    assert (np.stack([filled(each) for each in shapes]) == MASKS).all()
    assert [feature["properties"]["name"] for feature in features] == ["1", "3", "4", "8"]
    assert features[0]["properties"]["classification"] == {"name": "astro"}
    assert "classification" not in features[1]["properties"]
    found = decode_geojson(folder / "a.geojson", HEIGHT, WIDTH)
    assert (rle.to_masks(found.masks, HEIGHT, WIDTH) == MASKS).all()
    assert json.loads((folder / "empty.geojson").read_text())["features"] == []


@given(arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_outlines_enclose_the_pixels_of_any_mask_and_no_other(mask):
    pieces = [shapely.Polygon(outer, holes) for outer, *holes in polygons(mask, 0, 0)]
    assert all(piece.is_valid for piece in pieces)
    whole = shapely.MultiPolygon(pieces)
    assert whole.is_valid
    assert (filled(whole, *mask.shape) == mask).all()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
def test_coco_gives_the_masks_back(written, capsys):
    coco = COCO(written("coco") / "coco" / "annotations.json")
    capsys.readouterr()
    assert [image["image_id"] for image in coco.dataset["images"]] == ["a", "empty"]
    found = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert (np.stack([coco.annToMask(each) for each in found]) == MASKS).all()
    assert [each["label"] for each in found] == [1, 3, 4, 8]
    assert [image["file_name"] for image in coco.dataset["images"]] == ["a.png", "empty.png"]
    assert found[0]["bbox"] == [5, 5, 15, 10]
    assert [coco.cats[each["category_id"]]["name"] for each in found] == ["astro", "cell", "astro", "cell"]
    assert coco.getAnnIds(imgIds=[2]) == []


def test_overlays_show_every_image_with_its_cells_outlined(written):
    folder = written("overlays") / "overlays"
    with Image.open(folder / "a_overlay.png") as picture:
        drawn = np.asarray(picture)
    coloured = np.ptp(drawn.astype(int), axis=2) > 0
    assert coloured[5, 5:20].all()
    assert not coloured[6:14, 6:19].any()
    assert coloured[~MASKS.any(axis=0)].sum() == 0
    with Image.open(folder / "empty_overlay.png") as picture:
        assert (np.ptp(np.asarray(picture).astype(int), axis=2) == 0).all()


def stored(folder):
    """An array of Zarr, version 2, as its specification says it lies on disk: JSON, and tiles of zlib."""
    known = json.loads((folder / ".zarray").read_text())
    assert known["compressor"]["id"] == "zlib"
    size = known["chunks"][0]
    whole = np.full(known["shape"], known["fill_value"], known["dtype"])
    for row, column in np.ndindex(*(-(-side // size) for side in known["shape"])):
        content = zlib.decompress((folder / str(row) / str(column)).read_bytes())
        tile = np.frombuffer(content, known["dtype"]).reshape(known["chunks"])
        place = whole[row * size : (row + 1) * size, column * size : (column + 1) * size]
        place[:] = tile[: place.shape[0], : place.shape[1]]
    return whole


def test_ome_zarr_holds_the_image_and_its_cells_at_every_size(written, tmp_path, monkeypatch):
    monkeypatch.setattr(exports.ome_zarr, "TILE", 16)
    place = written("ome_zarr", size=0.65) / "ome_zarr" / "a.ome.zarr"
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture)
    labels = label_image()
    for step, level in ((1, "0"), (2, "1"), (4, "2")):
        assert (stored(place / level) == pixels[::step, ::step]).all()
        assert (stored(place / "labels" / "cells" / level) == labels[::step, ::step]).all()
    assert max(stored(place / "2").shape) <= 16
    (scales,) = json.loads((place / "labels" / "cells" / ".zattrs").read_text())["multiscales"]
    assert [axis["unit"] for axis in scales["axes"]] == ["micrometer"] * 2
    found = [dataset["coordinateTransformations"][0]["scale"] for dataset in scales["datasets"]]
    assert found == [[0.65, 0.65], [1.3, 1.3], [2.6, 2.6]]


def test_ome_zarrs_own_reader_opens_image_and_cells(written, tmp_path):
    reader = pytest.importorskip(
        "ome_zarr.reader", reason="ome-zarr is not among the requirements (400 MB): make test-viewers"
    )
    parse_url = pytest.importorskip("ome_zarr.io").parse_url
    place = written("ome_zarr", size=0.65) / "ome_zarr" / "a.ome.zarr"
    image, labels = (node for node in reader.Reader(parse_url(place))() if node.data)
    with Image.open(tmp_path / "a.png") as picture:
        assert (np.asarray(image.data[0]) == np.asarray(picture)).all()
    assert (np.asarray(labels.data[0]) == label_image()).all()
    assert labels.metadata["properties"][1] == {"cell_type": "astro", "score": 0.5}


def test_the_same_cells_give_the_same_bytes_and_nothing_of_a_former_export_stays(written):
    first = {path: path.read_bytes() for path in written(*exports.EXPORTS).rglob("*") if path.is_file()}
    again = {path: path.read_bytes() for path in written(*exports.EXPORTS).rglob("*") if path.is_file()}
    assert len(first) == 30
    assert first == again
    assert [path.name for path in written("coco").iterdir() if path.is_dir()] == ["coco"]


def test_an_unknown_format_is_named_with_those_there_are(written):
    with pytest.raises(DataError, match="no export format 'tiff'; there are: labels, rois"):
        written("tiff")


def test_a_gone_image_leaves_the_former_export_as_it_was(written, tmp_path):
    folder = written("labels")
    (tmp_path / "validate" / "images.parquet").unlink()
    with pytest.raises(DataError):
        exports.write(
            ["coco"], tmp_path / "segment" / "e.parquet", tmp_path / "validate" / "images.parquet", folder
        )
    assert (folder / "labels" / "a_masks.tif").is_file()
    assert [path.name for path in folder.parent.iterdir()] == ["e"]


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), unique=True, max_size=8))
def test_any_ids_give_file_names_that_no_system_refuses_or_confuses(ids):
    names = file_names(ids)
    assert len({name.casefold() for name in names}) == len(ids)
    assert all(Path(f"{name}_masks.tif").name == f"{name}_masks.tif" for name in names)
    assert not any(set(name) & set('<>:"/\\|?*\0') or name != name.strip(" .") for name in names)
    assert all(len(name.encode()) <= 165 for name in names)


def test_ids_that_are_plain_names_are_kept():
    assert file_names(["A1_01", "Zelle größe 50%", "p1__A1"]) == ["A1_01", "Zelle größe 50%", "p1__A1"]
    assert all("~" in name for name in file_names(["A1", "a1", "a/b", "nul.tif", "x."]))


def test_the_chain_gives_the_formats_of_the_configuration_as_words(tmp_path):
    folder = copy(tmp_path)
    (folder / "two.yaml").write_text("export: {formats: [labels, coco]}\n")
    planned = snakemake("-n", "-p", "--cores", "1", "--configfile", "two.yaml", folder=folder).stdout
    commands = re.findall(r"scripts/export.py.*?2>&1", planned, re.DOTALL)
    assert len(commands) == 2
    assert all("--formats labels coco " in command for command in commands)
