"""Label images to train on, as Cellpose and StarDist keep them, beside their images or in folders."""

import pickle

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from readers_cases import HEIGHT, WIDTH, picture, read
from roifile import ImagejRoi, roiwrite

from neuroseg import quality, readers, rle
from neuroseg.errors import DataError
from neuroseg.readers.truth.labels import runs_of_labels

LABELS = np.zeros((HEIGHT, WIDTH), np.uint16)
LABELS[5:15, 5:20], LABELS[5:15, 20:30], LABELS[20:35, 30:50] = 1, 2, 300
AREAS = [150, 100, 300]


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
