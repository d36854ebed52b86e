"""Own labels to train on: label images of Cellpose and StarDist, Fiji's ROI sets, QuPath's GeoJSON."""

import json
import pickle
import re
import zipfile

import numpy as np
import pytest
import tifffile
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from roifile import ROI_TYPE, ImagejRoi, roiwrite

from neuroseg import quality, readers, rle
from neuroseg.errors import DataError
from neuroseg.readers.truth.labels import runs_of_labels

HEIGHT, WIDTH = 40, 60
LABELS = np.zeros((HEIGHT, WIDTH), np.uint16)
LABELS[5:15, 5:20], LABELS[5:15, 20:30], LABELS[20:35, 30:50] = 1, 2, 300
AREAS = [150, 100, 300]


def picture(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(100, 156, (HEIGHT, WIDTH), dtype=np.uint8)).save(
        path
    )


def read(folder, **keys):
    (folder / "set.yaml").write_text(yaml.safe_dump({"root": str(folder), "format": "labels", **keys}))
    return readers.read(readers.read_dataset(folder / "set.yaml"))


def cellpose(path, content):
    np.save(path, content, allow_pickle=True)


WRITERS = {
    "x_masks.tif": lambda path: tifffile.imwrite(path, LABELS),
    "x_masks.png": lambda path: Image.fromarray(LABELS).save(path),
    "x_cp_masks.png": lambda path: Image.fromarray(LABELS).save(path),
    "x_masks.TIF": lambda path: tifffile.imwrite(path, LABELS),
    "x_Masks.tif": lambda path: tifffile.imwrite(path, LABELS),
    "x_masks.ome.tif": lambda path: tifffile.imwrite(path, LABELS),
    "x_masks.btf": lambda path: tifffile.imwrite(path, LABELS, bigtiff=True),
    "x_LABELS.PNG": lambda path: Image.fromarray(LABELS).save(path),
    "x_masks.npy": lambda path: np.save(path, LABELS),
    "x_seg.npy": lambda path: cellpose(
        path, {"masks": LABELS, "filename": "x.png", "diams": np.float64(30.0)}
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_labels_beside_an_image_are_read_as_cellpose_keeps_them(tmp_path, name):
    picture(tmp_path / "x.png")
    WRITERS[name](tmp_path / name)
    source = read(tmp_path)
    assert source.images[["image_id", "annotated", "subset"]].to_numpy().tolist() == [["x", True, "train"]]
    assert rle.areas(source.masks).tolist() == AREAS
    assert source.annotations["where"].tolist() == [f"{name}:label {number}" for number in (1, 2, 300)]
    assert source.notes.empty


@pytest.mark.parametrize(
    ("image", "mask"),
    [("x.png", "x.tif"), ("x.png", "x.TIF"), ("\u00e4.png", "a\u0308.tif"), ("x.PNG", "x.bmp")],
)
def test_images_and_masks_in_folders_are_read_as_stardist_keeps_them(tmp_path, image, mask):
    picture(tmp_path / "images" / image)
    (tmp_path / "masks").mkdir()
    if mask.endswith(".bmp"):
        Image.fromarray(np.where(LABELS == 300, 3, LABELS).astype(np.uint8)).save(tmp_path / "masks" / mask)
    else:
        tifffile.imwrite(tmp_path / "masks" / mask, LABELS.astype(np.int32))
    source = read(tmp_path)
    assert rle.areas(source.masks).tolist() == AREAS
    assert len(source.images) == 1
    assert source.notes.empty


def test_an_image_without_labels_is_not_annotated_and_listed(tmp_path):
    picture(tmp_path / "x.png")
    picture(tmp_path / "y.png", 1)
    tifffile.imwrite(tmp_path / "x_masks.tif", LABELS)
    source = read(tmp_path)
    assert source.images["annotated"].tolist() == [True, False]
    assert source.notes[["check", "image", "where"]].to_numpy().tolist() == [["unpaired", 1, "y.png"]]


@pytest.mark.parametrize(
    ("keys", "first", "alone"),
    [
        ({}, "x_masks.tif", "zz_Masks.TIF"),
        ({}, "x_masks.tif", "sub/zz_masks.jpg"),
        ({}, "x_masks.tif", "x_overlay.png"),
        ({}, "x_masks.tif", "y.czi"),
        ({"images": ["images"], "annotations": "masks"}, "masks/x.tif", "masks/zz.tif"),
        ({"images": ["images"], "annotations": "masks"}, "masks/x.tif", "images/x_masks.png"),
        ({"images": ["images"], "annotations": "."}, "x.tif", "zz_masks.tif"),
        ({"format": "rois"}, "x_RoiSet.ZIP", "zz_rois.zip"),
        ({"format": "geojson"}, "x.GeoJSON", "zz.geojson"),
        ({"format": "geojson"}, "x.GeoJSON", "A2.json"),
        ({"format": "geojson"}, "x.GeoJSON", "x.geojson.gz"),
    ],
)
def test_an_annotation_file_without_image_is_listed(tmp_path, keys, first, alone):
    picture(tmp_path / (keys.get("images") or [""])[0] / "x.png")
    for name in (first, alone):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if name.lower().endswith(".tif"):
            tifffile.imwrite(tmp_path / name, LABELS)
        elif name.lower().endswith(".zip"):
            roiwrite(tmp_path / f"{name}.zip", ImagejRoi.frompoints(np.array([[5, 5], [20, 5], [20, 15]])))
            (tmp_path / f"{name}.zip").rename(tmp_path / name)
        else:
            (tmp_path / name).write_text("[]")
    source = read(tmp_path, **keys)
    assert source.images[["image_id", "annotated"]].to_numpy().tolist() == [["x", True]]
    assert source.notes[["check", "image", "where"]].to_numpy().tolist() == [["passed_over", -1, alone]]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("geojson", "x.ome.tif.geojson"), ("geojson", "x.ome.geojson"), ("rois", "x.ome.tif_rois.zip")],
)
def test_outlines_may_be_called_by_the_images_whole_name(tmp_path, kind, name):
    pixels = np.random.default_rng(0).integers(100, 156, (HEIGHT, WIDTH), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "x.ome.tif", pixels)
    if kind == "rois":
        roiwrite(tmp_path / name, [ImagejRoi.frompoints(np.array(SQUARE))])
    else:
        (tmp_path / name).write_text(json.dumps([feature(SQUARE)]))
    source = read(tmp_path, format=kind)
    assert rle.areas(source.masks).tolist() == [150]
    assert source.notes.empty


@pytest.mark.parametrize("content", ['{"features": null}', "7", '{"features": {"a": 1}}', '"text"'])
def test_geojson_without_a_list_of_features_is_called_so(tmp_path, content):
    picture(tmp_path / "x.png")
    (tmp_path / "x.geojson").write_text(content)
    assert read(tmp_path, format="geojson").notes["message"].tolist() == [
        "the outlines cannot be read (it holds no list of features)"
    ]


def test_of_two_label_images_the_one_that_is_not_read_is_listed(tmp_path):
    picture(tmp_path / "x.png")
    for name in ("x_masks.tif", "x_cp_masks.png"):
        WRITERS[name](tmp_path / name)
    (note,) = read(tmp_path).notes.itertuples()
    assert (note.where, note.message) == (
        "x_cp_masks.png",
        "the cells of x.png are read from x_masks.tif instead",
    )


def test_labels_of_frames_of_a_stack_are_called_so(tmp_path):
    frames = np.random.default_rng(0).integers(100, 156, (3, HEIGHT, WIDTH), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "x.tif", frames, imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite(tmp_path / "x__t2_masks.tif", LABELS)
    words = (
        "it is of one of several images in x.tif, where none can be corrected; "
        "save that one as x__t2.tif, in place of x.tif"
    )
    with pytest.raises(DataError, match="none of 1 images has an annotation file") as caught:
        read(tmp_path)
    assert caught.value.sentences[1].endswith(f"x__t2_masks.tif: {words}.")
    picture(tmp_path / "y.png")
    tifffile.imwrite(tmp_path / "y_masks.tif", LABELS)
    notes = read(tmp_path).notes
    assert dict(zip(notes["where"], notes["message"], strict=True))["x__t2_masks.tif"] == words
    for at, frame in enumerate(frames, 1):
        tifffile.imwrite(tmp_path / f"x__t{at}.tif", frame)
    (tmp_path / "x.tif").unlink()
    images = read(tmp_path, pattern=r"(?P<sample>.+?)(__t\d+)?$").images
    assert images["annotated"].tolist() == [False, True, False, True]
    assert images["group"].tolist() == ["x", "x", "x", "y"]


def test_a_folder_without_any_labels_is_refused(tmp_path):
    picture(tmp_path / "x.png")
    with pytest.raises(DataError, match="none of 1 images has an annotation file"):
        read(tmp_path)


@given(arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 3)))
def test_every_label_is_the_mask_of_its_pixels(labels):
    numbers, masks = runs_of_labels(labels)
    assert numbers.tolist() == sorted(set(labels.ravel().tolist()) - {0})
    dense = rle.to_masks(masks, *labels.shape)
    assert all((mask == (labels == number)).all() for number, mask in zip(numbers, dense, strict=True))


SPOTS = np.tile(np.pad(np.ones((7, 7), np.uint8), ((0, 3), (0, 3))), (HEIGHT // 10, WIDTH // 10))


FAULTS = {
    "another size": (LABELS[:, 1:], "pixels, the image 40 x 60"),
    "foreground alone": (np.where(LABELS > 0, 255, 0).astype(np.uint8), "cells are not told apart"),
    "foreground of 1 bit": (LABELS > 0, "cells are not told apart"),
    "foreground of 16 bit": (np.where(LABELS > 0, 65535, 0).astype(np.uint16), "holds 0 and 65535 alone"),
    "classes of pixels": (SPOTS * np.where(np.arange(WIDTH) < 30, 1, 2).astype(np.uint8), "in many pieces"),
    "a photograph": (
        np.random.default_rng(0).integers(90, 120, (HEIGHT, WIDTH), np.uint8),
        "in many pieces, as classes",
    ),
    "foreground as ones": ((LABELS > 0) & (np.arange(WIDTH) % 9 > 0) * np.uint8(1), "holds 0 and 1 alone"),
    "colour": (np.stack([LABELS] * 3, 2).astype(np.uint8), "one number a pixel"),
    "below zero": (-LABELS.astype(np.int32), "no whole numbers"),
    "halves": (LABELS.astype(np.float32) / 2, "no whole numbers"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_no_label_image_stops_the_run_by_its_name(tmp_path, name):
    labels, words = FAULTS[name]
    picture(tmp_path / "x.png")
    tifffile.imwrite(tmp_path / "x_masks.tif", labels)
    source = read(tmp_path)
    settings = quality.settings({}, {}, (), "set.yaml")
    with pytest.raises(DataError, match=words) as caught:
        quality.check(*source, readers.survey(source.images["path"]), settings)
    assert "x_masks.tif" in str(caught.value)


@pytest.mark.parametrize("name", ["x_masks.jpg", "x_masks.JPEG", "x_masks.png", "x_masks.tif"])
def test_a_label_image_that_is_a_jpeg_is_refused(tmp_path, name):
    picture(tmp_path / "x.png")
    grey = Image.fromarray(LABELS.astype(np.uint8))
    grey.save(tmp_path / name, "TIFF" if name.endswith("tif") else "JPEG", compression="jpeg")
    (note,) = read(tmp_path).notes.itertuples()
    assert (note.check, note.where) == ("rle_syntax", name)
    assert "compressed as JPEG" in note.message


def test_an_only_cell_may_have_two_pieces(tmp_path):
    picture(tmp_path / "x.png")
    tifffile.imwrite(tmp_path / "x_masks.tif", (LABELS > 0).astype(np.uint8))
    assert rle.areas(read(tmp_path).masks).tolist() == [sum(AREAS)]


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_that_names_code_is_refused_and_runs_none(tmp_path):
    picture(tmp_path / "x.png")
    cellpose(tmp_path / "x_seg.npy", {"masks": LABELS, "trap": Trap(tmp_path / "sprung")})
    notes = read(tmp_path).notes
    assert "which is not loaded; save the masks as TIFF" in notes["message"][0]
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_of_every_pickle_protocol_are_read(tmp_path, protocol):
    picture(tmp_path / "x.png")
    with (tmp_path / "x_seg.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"shape": (), "fortran_order": False, "descr": "|O"})
        box = np.empty((), object)
        box[()] = {"masks": LABELS}
        pickle.dump(box, file, protocol=protocol)
    assert rle.areas(read(tmp_path).masks).tolist() == AREAS


def test_a_macs_leavings_and_notes_in_a_roi_set_are_passed_over(tmp_path):
    picture(tmp_path / "x.png")
    roi = ImagejRoi.frompoints(np.array([[5, 5], [20, 5], [20, 15], [5, 15]]), name="one")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, content in {
            "1.roi": roi.tobytes(),
            "__MACOSX/._1.roi": b"Mac OS X",
            "notes.txt": b"mine",
        }.items():
            archive.writestr(name, content)
    source = read(tmp_path, format="rois")
    assert rle.areas(source.masks).tolist() == [150]
    assert source.notes.empty


def test_a_roi_set_is_read(tmp_path):
    picture(tmp_path / "x.png")
    square = np.array([[5, 5], [20, 5], [20, 15], [5, 15]])
    rois = [ImagejRoi.frompoints(square, name="one"), ImagejRoi.frompoints(square[:2], name="line")]
    rois[1].roitype = ROI_TYPE.LINE
    roiwrite(tmp_path / "x.zip", rois)
    source = read(tmp_path, format="rois")
    assert rle.areas(source.masks).tolist() == [150, 0]
    assert source.annotations["where"].tolist() == ["x.zip:ROI one", "x.zip:ROI line"]
    (note,) = source.notes.itertuples()
    assert (note.check, note.row, note.where) == ("no_outline", 1, "x.zip:ROI line")
    assert note.message == "the outline is of the kind line, and no area of three or more corners"


def feature(*rings, kind="Polygon", name=None):
    coordinates = [list(rings)] if kind == "MultiPolygon" else list(rings)
    properties = {"classification": {"name": name}} if name else {}
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": properties,
    }


SQUARE = [[5, 5], [20, 5], [20, 15], [5, 15], [5, 5]]
HOLE = [[10, 8], [12, 8], [12, 10], [10, 10], [10, 8]]


@pytest.mark.parametrize("kind", ["Polygon", "MultiPolygon"])
@pytest.mark.parametrize("collection", [True, False])
def test_qupaths_geojson_is_read_with_holes_and_classes(tmp_path, kind, collection):
    picture(tmp_path / "x.png")
    features = [feature(SQUARE, kind=kind), feature(SQUARE, HOLE, kind=kind, name="astro")]
    content = {"type": "FeatureCollection", "features": features} if collection else features
    (tmp_path / "x.geojson").write_text(json.dumps(content))
    source = read(tmp_path, format="geojson")
    assert rle.areas(source.masks).tolist() == [150, 146]
    assert source.annotations["cell_type"].tolist() == [None, "astro"]


@pytest.mark.parametrize("content", [[feature(SQUARE)], {"type": "FeatureCollection", "features": []}])
def test_geojson_under_another_ending_is_named_and_other_json_of_an_image_is_not(tmp_path, content):
    picture(tmp_path / "x.png")
    picture(tmp_path / "y.png", 1)
    (tmp_path / "x.json").write_text(json.dumps(content, indent=2))
    (tmp_path / "y.JSON").write_text('{"type": "exposure", "seconds": 3}')
    words = "it is GeoJSON, which is read from x.geojson: rename it"
    with pytest.raises(DataError, match="none of 2 images") as caught:
        read(tmp_path, format="geojson")
    assert caught.value.sentences[1] == f"{tmp_path / 'x.json'}: {words}."
    (tmp_path / "y.geojson").write_text(json.dumps([feature(SQUARE)]))
    notes = read(tmp_path, format="geojson").notes
    assert notes[notes["check"] == "passed_over"][["where", "message"]].to_numpy().tolist() == [
        ["x.json", words]
    ]


def test_features_of_a_class_that_qupath_ignores_are_left_out_and_named(tmp_path):
    derived = feature(HOLE)
    derived["properties"]["classification"] = {"names": ["astro", "Region*"]}
    features = [
        feature(SQUARE, name="Ignore*"),
        feature(SQUARE, name="astro"),
        derived,
        feature(HOLE, name="*"),
    ]
    for name, held in {"x": features, "y": features[:1], "z": []}.items():
        picture(tmp_path / f"{name}.png", ord(name))
        (tmp_path / f"{name}.geojson").write_text(json.dumps(held))
    source = read(tmp_path, format="geojson")
    assert source.annotations[["where", "cell_type"]].to_numpy().tolist() == [
        ["x.geojson:feature 1", "astro"]
    ]
    assert source.images["annotated"].tolist() == [True, False, True]
    assert source.notes[["check", "image", "where", "message"]].to_numpy().tolist() == [
        [
            "passed_over",
            0,
            "x.geojson",
            "left out 3 of 4 features: QuPath ignores their class (*, Ignore*, astro: Region*)",
        ],
        [
            "passed_over",
            1,
            "y.geojson",
            "left out 1 of 1 features: QuPath ignores their class (Ignore*); "
            "the image counts as not annotated, since none is left",
        ],
    ]
    survey = readers.survey(source.images["path"])
    left = quality.check(*source, survey, quality.settings({}, {}, (), "set.yaml"))
    assert len(left.instances) == 1


SMALL = [[[6, 6], [8, 6], [8, 8], [6, 8], [6, 6]], [[15, 6], [17, 6], [17, 8], [15, 8], [15, 6]]]


def an(object_type, ring=SQUARE, key="objectType", **properties):
    return {**feature(ring), "properties": {key: object_type, **properties}}


QUPATH = {
    "tiles and cores": (
        [an("tile"), an("tmaCore"), an("tma_core", key="object_type"), an("cell"), an("Detection", HOLE)],
        [150, 4],
        "left out 3 of 5 features: they are neither annotation, detection nor cell (tile, tmaCore, tma_core)",
    ),
    "old ids": (
        [{**feature(SQUARE), "id": "PathTileObject"}, {**feature(HOLE), "id": "PathCellObject"}],
        [4],
        "left out 1 of 2 features: they are neither annotation, detection nor cell (tile)",
    ),
    "only tiles": (
        [an("tile")],
        [],
        "left out 1 of 1 features: they are neither annotation, detection nor cell (tile); the image "
        "counts as not annotated, since none is left",
    ),
    "a region around detections": (
        [an("annotation"), *(an("detection", ring) for ring in SMALL)],
        [4, 4],
        "left out 1 of 3 features: they are annotations around several detections or cells",
    ),
    "a cell around its nucleus": ([an("annotation"), an("detection", SMALL[0])], [150, 4], None),
    "a nucleus kept beside": (
        [{**an("cell"), "nucleusGeometry": {"type": "Polygon", "coordinates": [HOLE]}}],
        [150],
        None,
    ),
    "a class as text": (
        [an("annotation", classification="Ignore*"), an("annotation", HOLE, classification="astro")],
        [4],
        "left out 1 of 2 features: QuPath ignores their class (Ignore*)",
    ),
}


@pytest.mark.parametrize("name", QUPATH)
def test_of_qupaths_objects_only_cells_count(tmp_path, name):
    features, areas, words = QUPATH[name]
    picture(tmp_path / "x.png")
    (tmp_path / "x.geojson").write_text(json.dumps(features))
    source = read(tmp_path, format="geojson")
    assert rle.areas(source.masks).tolist() == areas
    assert source.notes["message"].tolist() == ([words] if words else [])
    assert source.images["annotated"].tolist() == [bool(areas)]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("astro", "astro"),
        ({"names": [1, 2]}, "1: 2"),
        ({"names": ["a", "b"], "name": "c"}, "a: b"),
        ({"names": "astro"}, "astro"),
        (["a", 3], "a: 3"),
        (7, "7"),
        ({"names": [None]}, None),
        ({"colorRGB": -1}, None),
        (True, None),
    ],
)
def test_a_class_of_geojson_is_a_name_however_it_is_written(tmp_path, said, kind):
    picture(tmp_path / "x.png")
    (tmp_path / "x.geojson").write_text(json.dumps([an("annotation", classification=said)]))
    source = read(tmp_path, format="geojson")
    assert source.annotations["cell_type"].tolist() == [kind]
    assert source.notes.empty


def on_a_plane(kind, ring, place):
    """One cell on a plane of a stack, as Fiji or QuPath writes it."""
    if kind == "rois":
        return ImagejRoi.frompoints(np.array(ring), **place)
    shape = {"type": "Polygon", "coordinates": [ring], "plane": {"c": -1, "z": 0, "t": 0} | place}
    return {"type": "Feature", "geometry": shape}


@pytest.mark.parametrize(
    ("kind", "places", "planes"),
    [
        ("rois", [{"position": 0}, {"position": 4}], 2),
        ("rois", [{"t": 0}, {"t": 1}, {"t": 1}], 2),
        ("rois", [{"position": 2}, {"position": 2}], 1),
        ("rois", [{}, {"position": 2}], 1),
        ("rois", [{"c": 0}, {"c": 1}], 1),
        ("rois", [{"position": 0}, {"c": 0, "z": 0, "t": 0}], 1),
        ("geojson", [{}, {"t": 1}], 2),
        ("geojson", [{"z": 3}, {"z": 3, "c": 1}], 1),
    ],
)
def test_outlines_on_several_planes_are_not_drawn_on_one_image(tmp_path, kind, places, planes):
    picture(tmp_path / "x.png")
    cells = [on_a_plane(kind, SMALL[at % 2], place) for at, place in enumerate(places)]
    if kind == "rois":
        roiwrite(tmp_path / "x.zip", cells)
    else:
        (tmp_path / "x.geojson").write_text(json.dumps(cells))
    source = read(tmp_path, format=kind)
    assert len(source.masks) == (len(places) if planes == 1 else 0)
    told = source.notes[["check", "where"]].to_numpy().tolist()
    assert told == ([] if planes == 1 else [["rle_syntax", "x.zip" if kind == "rois" else "x.geojson"]])
    assert all(f"lie on {planes} planes of a stack" in words for words in source.notes["message"])


def test_an_ellipse_of_geojson_is_one(tmp_path):
    picture(tmp_path / "x.png")
    ellipse = feature([[5, 10], [15, 5], [25, 10], [15, 15], [5, 10]])
    ellipse["geometry"]["isEllipse"] = True
    (tmp_path / "x.geojson").write_text(json.dumps([ellipse]))
    assert rle.areas(read(tmp_path, format="geojson").masks)[0] == pytest.approx(np.pi * 10 * 5, rel=0.05)


def outlined(folder, kind, *corners):
    """Write outlines beside an image as ROI set or GeoJSON, and return what is read."""
    picture(folder / "x.png")
    if kind == "rois":
        roiwrite(folder / "x.zip", [ImagejRoi.frompoints(np.array(ring)) for ring in corners])
    else:
        (folder / "x.geojson").write_text(json.dumps([feature([*ring, ring[0]]) for ring in corners]))
    return read(folder, format=kind)


@pytest.mark.parametrize("kind", ["rois", "geojson"])
def test_an_outline_past_the_frame_is_refused_or_clipped_and_a_pixel_of_it_is_not(tmp_path, kind):
    def square(left, top):
        return [[left, top], [left + 20, top], [left + 20, top + 10], [left, top + 10]]

    source = outlined(tmp_path, kind, square(41, -1), square(5, 5), square(50, 20), square(20, 35))
    assert rle.areas(source.masks).tolist() == [19 * 9, 200, 100, 100]
    assert source.notes[["check", "image", "row"]].to_numpy().tolist() == [
        ["rle_range", 0, 2],
        ["rle_range", 0, 3],
    ]
    assert "the frame of 40 x 60 pixels, to x 50 to 70, y 20 to 30, as" in source.notes["message"][0]
    survey = readers.survey(source.images["path"])
    with pytest.raises(DataError, match="drawn on the image at another size, or on a crop of it; mend it"):
        quality.check(*source, survey, quality.settings({}, {}, (), "set.yaml"))
    left = quality.check(*source, survey, quality.settings({"rle_range": "drop"}, {}, (), "set.yaml"))
    assert left.instances["area"].tolist() == [19 * 9, 200]


SHAPES = {
    "a bare polygon": ({"type": "Polygon", "coordinates": [SQUARE]}, ""),
    "a bare multipolygon": ({"type": "MultiPolygon", "coordinates": [[SQUARE]]}, ""),
    "bare shapes": ([{"type": "Polygon", "coordinates": [SQUARE]}], ""),
    "a collection of shapes": (
        {
            "geometry": {
                "type": "GeometryCollection",
                "geometries": [{"type": "Polygon", "coordinates": [SQUARE]}],
            }
        },
        "the outline is a GeometryCollection, which is not read: make each of its polygons a feature",
    ),
    "a bare collection": ({"type": "GeometryCollection", "geometries": []}, "is a GeometryCollection"),
    "a point": ({"geometry": {"type": "Point", "coordinates": [1, 2]}}, "is a Point, and no area"),
    "an empty ring": ({"type": "Polygon", "coordinates": [[]]}, "a Polygon, and no area of three"),
    "a ring too few": ({"type": "Polygon", "coordinates": SQUARE}, "a Polygon, and no area of three"),
    "no feature": ([None], "the outline is 'None', and no area"),
    "a feature of odd properties": ([{**feature(SQUARE), "properties": ["a"]}], ""),
    "nothing": ({"type": "Feature", "geometry": None}, "the outline is without geometry"),
    "no number": ({"type": "Polygon", "coordinates": [[[1, 2], [9, 2], [9, float("nan")]]]}, "no numbers"),
    "shares": (
        {"type": "Polygon", "coordinates": [[[0.1, 0.2], [0.9, 0.2], [0.9, 0.9]]]},
        r"shares of the frame \(normalised\); write them in pixels, x times the width \(60\)",
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_of_geojson_is_read_or_called_what_it_is(tmp_path, name):
    content, words = SHAPES[name]
    picture(tmp_path / "x.png")
    (tmp_path / "x.geojson").write_text(json.dumps(content))
    source = read(tmp_path, format="geojson")
    assert rle.areas(source.masks).tolist() == [0 if words else 150]
    assert source.notes["row"].tolist() == ([0] if words else [])
    assert all(re.search(words, message) for message in source.notes["message"])


@pytest.mark.parametrize("name", ["x-labels.png", "MASK_x.png", "truth/mask of x.png"])
def test_a_label_image_of_another_name_is_told_how_it_must_be_called(tmp_path, name):
    picture(tmp_path / "x.png")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    Image.fromarray(LABELS).save(tmp_path / name)
    with pytest.raises(DataError, match="none of 1 images has") as caught:
        read(tmp_path)
    assert "by its name it is a label image" in caught.value.sentences[1]
    assert "call it x_masks if it has the cells of the image x" in caught.value.sentences[1]


@pytest.mark.real
def test_real_label_images_are_read(real_data, tmp_path):
    (tmp_path / "set.yaml").write_text(f"{{format: labels, root: {real_data / 't98g'}}}")
    source = readers.read(readers.read_dataset(tmp_path / "set.yaml"))
    assert len(source.images) == 42
    assert len(source.masks) == 2681


def test_one_name_in_two_folders_is_two_images(tmp_path):
    for at, folder in enumerate(("p1", "p2")):
        picture(tmp_path / folder / "A1.png", at)
    source = read(tmp_path, format="folder", images=["p1", "p2"])
    assert source.images["image_id"].tolist() == ["p1__A1", "p2__A1"]
