"""What counts as an image in a folder as microscopes and colleagues leave it; the rest is listed with why."""

import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from neuroseg import readers
from neuroseg.errors import DataError
from neuroseg.readers.found import images

NOISE = np.random.default_rng(0).integers(90, 170, (40, 50)).astype(np.uint8)


def put(folder: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.lower().endswith((".png", ".tif", ".tiff", ".jpg")):
            Image.fromarray(np.roll(NOISE, seed, 1)).save(folder / name)
        else:
            (folder / name).write_bytes(b"something else")


def named(paths: list[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def validated(folder: Path, step, text: str = "") -> tuple[list[str], pd.DataFrame]:
    work = folder.parent / f"{folder.name}_out"
    work.mkdir(exist_ok=True)
    (work / "d.yaml").write_text(f"format: folder\nroot: '{folder}'\n{text}")
    out = {name: work / f"{name}.parquet" for name in ("images", "instances")}
    step("validate").main(dataset=work / "d.yaml", problems=work / "p.csv", **out)
    return pd.read_parquet(out["images"])["image_id"].tolist(), pd.read_csv(work / "p.csv")


@pytest.mark.parametrize(
    "name",
    [
        *(
            "A01_thumb.tif",
            "P1_B02_s1_w1_thumbC3D4.tif",
            "preview.png",
            "field_preview.jpg",
            "SYNOPHOTO_THUMB_M.jpg",
        ),
        *("a_masks.png", "a_cp_masks.tif", "a_mask.png", "a_labels.tif", "a_overlay.jpg", "a_outlines.png"),
        *(
            "@eaDir/a.tif/x.jpg",
            "__MACOSX/a.png",
            "Thumbnails/a.png",
            "a.czi",
            "a.nd2",
            "a.lif",
            "a.oib",
            "a.GIF",
        ),
        *(
            "a_Simple Segmentation.tif",
            "a_Probabilities.tif",
            "a-masks.tif",
            "a_cp_masks_001.tif",
            "a_seg.npy",
        ),
        *("a_Object Predictions.png", "a_masks_1.tif", "a_Masks.PNG", "a_masks.npy", "a_flows.tif"),
        *("MASK_a.tif", "a_predmask.png", "a-labels.tif", "overlay_a.png", "a mask.tif"),
        *("a.mask.tif", "aMask.tif", "a_mask_02.png", "masks/Mask_a.tif"),
        *("a_cellprob.tif", "a_dP.tif", "distance maps/a.tif"),
        *("a_prob.tif", "pred/a.tif", "heatmaps/a.png", "predictions/set/a.png"),
        *("overlays/a.png", "results/overlays x/a.png"),
    ],
)
def test_previews_results_and_foreign_formats_are_passed_over_and_listed(tmp_path, name):
    put(tmp_path, "a.png", name)
    taken, passed = images(tmp_path)
    assert named(taken, tmp_path) == ["a.png"]
    ((path, reason),) = passed
    assert Path(tmp_path / name).is_relative_to(path)
    assert reason


BLURRED = cv2.GaussianBlur(np.random.default_rng(1).normal(128, 90, (64, 80)), (0, 0), 1.5).clip(0, 255)
FLAT = np.kron(np.arange(20).reshape(4, 5), np.ones((10, 10))).astype(np.uint8)

LABELS = "masks Masks labels GT ground_truth GroundTruth annotations segmentation SegmentationClass labelsTr"


@pytest.mark.parametrize(
    "name",
    [
        *(f"{folder}/other.tif" for folder in [*LABELS.split(), "01_GT/SEG"]),
        *("results/cellpose/a.tif", "Mask of a.tif", "Drawing of a.tif", "StarDist/a.tif", "instances/a.tif"),
        *(
            "mask2.png",
            "b_GTmask.png",
            "b_seg.png",
            "label b.tif",
            "gt.png",
            "b_predictions.bmp",
            "b-Outlines.png",
            "b - Maske.tif",
            "Segmentierung/b.tif",
            "masques/z.png",
            "a_ground_truth.png",
            "a_GT.png",
            "a_binary.tif",
            "results_a.png",
        ),
    ],
)
def test_flat_pixels_under_a_name_for_labels_are_no_image(tmp_path, name):
    put(tmp_path, "images/a.png", "b_unmasked.png")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(FLAT).save(tmp_path / name)
    taken, passed = images(tmp_path)
    assert named(taken, tmp_path) == ["b_unmasked.png", "images/a.png"]
    ((path, reason),) = passed
    assert (path, reason) == (
        tmp_path / name,
        "by its name it is a label image or overlay "
        "(`include` in the dataset file takes it, where it names all images that are wanted)",
    )
    assert named(images(tmp_path, include=("*",))[0], tmp_path).count(name) == 1


@pytest.mark.parametrize("name", ["results/b_overlay.png", "outlines/c.jpg", "segmented b.tif"])
def test_colour_under_a_name_for_overlays_is_no_image(tmp_path, name):
    put(tmp_path, "a.png")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    colour = np.stack([NOISE, NOISE // 2, NOISE // 4], 2)
    Image.fromarray(colour).save(tmp_path / name)
    assert named(images(tmp_path)[0], tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    "names",
    [
        ("masks/a.png", "masks/b.png"),
        ("exp_mask_1.tif", "exp_mask_2.tif", "exp_mask_3.tif"),
        ("mask_A1.tif", "ctrl_A1.tif", "unmasked_A1.tif"),
        ("mask/A1.tif", "control/A1.tif", "damask/A1.tif"),
        ("wt_GT_1.tif", "wt_1_seg2.tif", "Predator/a.png", "agar overlay/c.png", "labelled cells.png"),
        ("results/plate 1/a.png", "results/plate 2/a.png"),
        ("WT.tif", "GT_WT.tif", "zone 1.tif", "border zone 1.tif", "w1.png", "w1_result.png"),
        ("labelled cells 0.tif", "cells 0.tif", "annotated a.png", "a.png", "a outlined.png"),
        ("Cellpose images/a.png", "border_1.tif", "threshold 5/d.png", "distance_2.tif"),
    ],
)
def test_photographs_under_a_name_for_labels_are_images(tmp_path, names):
    put(tmp_path, *names)
    assert named(images(tmp_path)[0], tmp_path) == sorted(names)
    assert images(tmp_path)[1] == []


@pytest.mark.parametrize(
    "photograph",
    [
        np.where(BLURRED > 140, BLURRED, 0),
        np.where(BLURRED > 115, 255, BLURRED),
        (BLURRED // 40 + 126),
        np.full_like(BLURRED, 128) + (np.arange(80) > 70),
    ],
    ids=["cut off at black", "cut off at white", "of low contrast", "nearly blank"],
)
def test_photographs_of_few_grey_values_under_a_name_for_labels_are_images(tmp_path, photograph):
    (tmp_path / "Labelled cells").mkdir()
    Image.fromarray(photograph.astype(np.uint8)).save(tmp_path / "Labelled cells" / "a.png")
    assert named(images(tmp_path)[0], tmp_path) == ["Labelled cells/a.png"]


def test_a_stack_and_a_broken_file_under_a_name_for_labels_are_left_to_those_who_read_them(tmp_path):
    rolled = np.stack([np.roll(NOISE, at, 0) for at in range(3)])
    tifffile.imwrite(tmp_path / "mask_film.tif", rolled, imagej=True, metadata={"axes": "TYX"})
    (tmp_path / "mask_broken.tif").write_bytes(b"II*\0 and no more")
    tifffile.imwrite(tmp_path / "labels.tif", np.stack([FLAT] * 3), imagej=True, metadata={"axes": "TYX"})
    taken, passed = images(tmp_path)
    assert named(taken, tmp_path) == ["mask_broken.tif", "mask_film.tif"]
    assert [path.name for path, _ in passed] == ["labels.tif"]


FOREIGN = {
    "QuPath": ".svs .ndpi .qptiff .SCN .mrxs",
    "Bio-Formats": ".ics .dm3 .sldy .dcm .mrc .czi .nd2 .lif .oib .vsi",
    "save it as PNG or TIFF": ".heic .avif .jxl .pgm .jfif .gif .jp2 .webp",
    "ffmpeg": ".avi .MP4",
    "what holds arrays": ".npy .h5",
    "unpack it": ".tif.gz .ome.TIF.GZ .czi.gz",
}


@pytest.mark.parametrize(
    ("ending", "words"), [(ending, words) for words, endings in FOREIGN.items() for ending in endings.split()]
)
def test_a_format_that_is_not_read_is_listed_with_how_to_convert_it(tmp_path, ending, words):
    put(tmp_path, "a.png", f"x{ending}", "table.csv.gz", "data.zip")
    taken, passed = images(tmp_path)
    assert named(taken, tmp_path) == ["a.png"]
    ((path, reason),) = passed
    assert (path.name, words in reason) == (f"x{ending}", True)


@pytest.mark.parametrize(
    "name",
    [
        "segmentation_1.png",
        "cell-mask.png",
        "p_masked.png",
        "mask_experiment.png",
        "thumbelina_1.png",
        "unlabelled.png",
        "HT_seg1.tif",
    ],
)
def test_a_name_that_only_resembles_a_results_is_an_image(tmp_path, name):
    put(tmp_path, name)
    assert named(images(tmp_path)[0], tmp_path) == [name]


def test_hidden_files_and_texts_are_no_images_and_not_listed(tmp_path):
    put(tmp_path, "a.png", "._a.png", ".trash/b.png", "notes.txt", "Thumbs.db")
    taken, passed = images(tmp_path)
    assert (named(taken, tmp_path), passed) == (["a.png"], [])


def test_patterns_include_and_exclude_by_name_or_path(tmp_path):
    put(tmp_path, "a_ph.png", "a_gfp.png", "day1/b_ph.png", "old/c_ph.png", "d_mask.png")
    taken, passed = images(tmp_path, include=("*_ph.png", "d_mask.png"), exclude=("old/*",))
    assert named(taken, tmp_path) == ["a_ph.png", "d_mask.png", "day1/b_ph.png"]
    assert {path.name: reason for path, reason in passed} == {
        "a_gfp.png": "the dataset file does not include it",
        "c_ph.png": "the dataset file excludes it",
    }


def test_linked_folders_are_followed_and_a_link_upwards_is_passed_over(tmp_path):
    put(tmp_path, "elsewhere/b.png", "here/a.png")
    (tmp_path / "here" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "here" / "again").symlink_to(tmp_path / "here")
    taken, passed = images(tmp_path / "here")
    assert named(taken, tmp_path / "here") == ["a.png", "linked/b.png"]
    assert [(path.name, "link" in reason) for path, reason in passed] == [("again", True)]


def test_a_blank_and_a_broken_image_are_rows_of_the_problems_and_the_others_stay(tmp_path, step):
    put(tmp_path / "in", "a.png", "b.png", "c.nd2")
    Image.fromarray(NOISE * 0 + 128).save(tmp_path / "in" / "blank.png")
    (tmp_path / "in" / "broken.tif").write_bytes(b"II*\0 and no more")
    ids, problems = validated(tmp_path / "in", step)
    assert ids == ["a", "b"]
    found = dict(zip(problems["where"], problems["check"], strict=True))
    assert found == {"c.nd2": "passed_over", "blank.png": "image_constant", "broken.tif": "image_unreadable"}


def test_a_policy_that_the_dataset_file_states_holds(tmp_path, step):
    put(tmp_path / "in", "a.png")
    Image.fromarray(NOISE * 0 + 128).save(tmp_path / "in" / "blank.png")
    with pytest.raises(DataError, match="same grey value"):
        validated(tmp_path / "in", step, "policies: {image_constant: error}\n")


def test_a_folder_of_which_nothing_is_left_says_why(tmp_path, step):
    (tmp_path / "in").mkdir()
    Image.fromarray(NOISE * 0 + 128).save(tmp_path / "in" / "blank.png")
    with pytest.raises(DataError, match=r"blank\.png has the same grey value"):
        validated(tmp_path / "in", step)


def test_a_folder_of_foreign_files_alone_names_the_way_to_convert_them(tmp_path):
    put(tmp_path, "a.czi")
    with pytest.raises(DataError, match="Fiji"):
        readers.read(readers.dataset.Folder(format="folder", root=tmp_path))


def test_a_name_in_latin_1_is_refused_with_the_cure(tmp_path, step):
    folder = tmp_path / "images"
    put(folder, "a.png", "b.png")
    place = os.fsencode(folder) + b"/Z\xe4hlung.png"
    os.rename(folder / "b.png", place)  # noqa: PTH104
    with pytest.raises(DataError, match=r"Z\\udce4hlung\.png: the name is not UTF-8, .* rename it"):
        validated(folder, step)
    os.rename(place, place.replace(b".png", b"_thumb.png"))  # noqa: PTH104
    names, problems = validated(folder, step)
    assert (names, problems["where"].tolist()) == (["a"], ["Z\\udce4hlung_thumb.png"])


def test_bmp_metamorphs_stk_and_bigtiff_are_images(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "a.bmp")
    tifffile.imwrite(tmp_path / "b.stk", NOISE)
    tifffile.imwrite(tmp_path / "c.BTF", NOISE, bigtiff=True)
    taken, passed = images(tmp_path)
    assert (named(taken, tmp_path), passed) == (["a.bmp", "b.stk", "c.BTF"], [])
    assert all((readers.read_image(path) == NOISE).all() for path in taken)


def test_a_file_that_two_folders_list_is_one_image(tmp_path):
    put(tmp_path, "a.png", "x/a.png", "x/b.png", "x/b_masks.png")
    (tmp_path / "y").symlink_to("x")
    for folders, ids in {
        ("x", "."): ["x__a", "b", "a"],
        ("x", "./x", "y"): ["a", "b"],
        (".", "x"): ["a", "x__a", "x__b", "y__a", "y__b"],
    }.items():
        dataset = readers.dataset.Folder(format="folder", root=tmp_path, images=folders)
        source = readers.read(dataset)
        assert source.images["image_id"].tolist() == ids, folders
        assert source.notes["check"].eq("passed_over").sum() == 1


def test_corrected_label_images_beside_the_images_are_no_images_where_labels_lie_elsewhere(tmp_path):
    put(tmp_path, "images/a.png", "images/a_masks.png", "masks/a.png")
    dataset = readers.dataset.Labels(format="labels", root=tmp_path, images=("images",), annotations="masks")
    assert readers.read(dataset).images["image_id"].tolist() == ["a"]


def test_label_images_beside_outlines_of_another_format_are_no_images(tmp_path):
    put(tmp_path, "a.png", "overlay_a.png", "b.png")
    (tmp_path / "masks").mkdir()
    Image.fromarray(FLAT).save(tmp_path / "masks" / "a.png")
    (tmp_path / "a.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    source = readers.read(readers.dataset.GeoJson(format="geojson", root=tmp_path))
    assert source.images["image_id"].tolist() == ["a", "b"]
    told = source.notes[source.notes["check"] == "passed_over"]
    assert told["where"].tolist() == ["masks/a.png", "overlay_a.png"]


def test_a_link_whose_file_is_not_there_is_listed(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.arange(60, dtype=np.uint16).reshape(6, 10))
    (tmp_path / "b.tif").symlink_to(tmp_path / "unmounted" / "b.tif")
    taken, passed = images(tmp_path)
    assert [path.name for path in taken] == ["a.tif"]
    assert [(path.name, reason) for path, reason in passed] == [
        ("b.tif", "it is a link to something that is not there")
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("z: deep", r"z: is 'deep'; write max, mean, focus or the number of a depth, from 1\."),
        ("z: 0", "z: is '0'; write max"),
        ("pixel_size_um: 0,65", r"pixel_size_um: must be a valid number, such as 0\.65\."),
        ("include: {a: b}", r"include: must be a list, such as \[a, b\]\."),
    ],
)
def test_a_wrong_value_is_refused_in_words_of_the_dataset_file(tmp_path, line, words):
    (tmp_path / "d.yaml").write_text(f"format: folder\nroot: '{tmp_path}'\n{line}\n")
    with pytest.raises(DataError, match=words):
        readers.read_dataset(tmp_path / "d.yaml")


def test_one_pattern_to_include_or_exclude_needs_no_list(tmp_path):
    (tmp_path / "d.yaml").write_text(
        f"format: folder\nroot: '{tmp_path}'\ninclude: '*_ph.tif'\nexclude: old/*\n"
    )
    found = readers.read_dataset(tmp_path / "d.yaml")
    assert (found.include, found.exclude) == (("*_ph.tif",), ("old/*",))
