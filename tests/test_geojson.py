"""Outlines to train on: Fiji's ROI sets and QuPath's GeoJSON."""

import json
import re
import zipfile

import numpy as np
import pytest
import tifffile
from readers_cases import HEIGHT, WIDTH, picture, read
from roifile import ROI_TYPE, ImagejRoi, roiwrite

from neuroseg import quality, readers, rle
from neuroseg.errors import DataError


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
