"""Grey levels as a detector has learnt them: kept with the detector, and every image brought to them."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from test_levels import AS_IT_IS, EXPORTS, FIELD, culture, padded, stored

from neuroseg.detector import appearance, foreign
from neuroseg.errors import DataError
from neuroseg.readers.intensity import looks

CRISP = stored(FIELD + (abs(FIELD - 128) > 15) * np.random.default_rng(0).normal(0, 25, FIELD.shape), 8)
"""Cells with fine grain in them."""

PALE = looks.Learnt(
    looks.Range(98, 102, 113),
    looks.Range(50, 70, 80),
    looks.Range(65, 84, 100),
    looks.Range(0.3, 0.4, 0.5),
)


@pytest.fixture
def images(tmp_path) -> pd.DataFrame:
    for seed in range(3):
        np.save(tmp_path / f"{seed}.npy", stored(culture(seed=seed), 8))
    return pd.DataFrame(
        {"image_id": list("012"), "path": [str(tmp_path / f"{seed}.npy") for seed in range(3)]}
    )


def test_what_a_detectors_images_look_like_is_kept_with_it(images):
    seen = appearance.of_some(images, np.load)
    assert list(seen) == ["0", "1", "2"]
    learnt = looks.learnt_from(looks.look(np.load(path)) for path in images["path"])
    assert appearance.of_detector({"looks": looks.plain(looks.learnt_from(seen.values()))}) == learnt


def test_a_detector_that_does_not_tell_has_learnt_the_ordinary():
    assert appearance.of_detector({}) == looks.ORDINARY


def test_an_image_as_learnt_is_read_as_it_is_and_another_is_brought_to_it(tmp_path):
    for name, image in {
        "same": AS_IT_IS,
        "offset": EXPORTS["camera offset"],
        "framed": padded(AS_IT_IS, 0),
    }.items():
        np.save(tmp_path / f"{name}.npy", image)
    read = appearance.Adapted(np.load, looks.learnt_from([looks.look(AS_IT_IS)]))
    assert (read(tmp_path / "same.npy") == AS_IT_IS).all()
    assert np.abs(read(tmp_path / "offset.npy").astype(float) - AS_IT_IS).mean() < 3
    assert (read(tmp_path / "framed.npy")[90:-90, 90:-90] == AS_IT_IS).all()
    paths = pd.Series([str(tmp_path / f"{name}.npy") for name in ("same", "offset", "framed")])
    blank, other = appearance.sentences(read, paths, np.ones(3))
    assert blank.startswith("1 of 3 images have blank areas, taken for background (framed.npy: ")
    assert "other grey levels" in other
    assert "(offset.npy: grey level 1256 shown as 128, contrast multiplied by" in other


@pytest.mark.parametrize(
    ("pipeline", "told"),
    [
        ([{"type": "CropCells"}, {"type": "Microscope", "contrast": 0.8}], True),
        ([{"type": "Microscope", "contrast": 1}], True),
        ([{"type": "Microscope", "contrast": 0.3}], False),
        ([{"type": "Microscope"}, "contrast", {"type": "Microscope", "contrast": "0.8"}], False),
        (None, False),
    ],
)
def test_a_detector_taught_at_many_contrasts_is_shown_all_images_at_one(pipeline, told):
    assert appearance.at_many_contrasts({"config": {"train_pipeline": pipeline}}) is told


def test_at_one_contrast_two_exports_are_read_alike(tmp_path):
    np.save(tmp_path / "export.npy", stored((AS_IT_IS - 128.0) * 0.6 + 128, 8))
    np.save(tmp_path / "field.npy", AS_IT_IS)
    wide = looks.learnt_from([looks.look(AS_IT_IS)])._replace(contrast=looks.Range(10, 40, 90))
    read = appearance.Adapted(np.load, wide, one_contrast=True)
    export, field = (read(tmp_path / f"{name}.npy").astype(float) for name in ("export", "field"))
    assert np.abs(export - field).mean() < 1.5
    assert appearance.sentences(read, pd.Series([str(tmp_path / "export.npy")]), np.ones(1)) == []


def test_levels_of_16_bit_are_told_without_powers_of_ten(tmp_path):
    np.save(tmp_path / "wide.npy", AS_IT_IS.astype(np.uint16) * 100 + 12000)
    read = appearance.Adapted(np.load, looks.learnt_from([looks.look(AS_IT_IS)]))
    read(tmp_path / "wide.npy")
    (said,) = appearance.sentences(read, pd.Series([str(tmp_path / "wide.npy")]), np.ones(1))
    assert "grey level 24800 shown as 128, contrast" in said


def test_images_whose_background_was_cut_off_have_a_sentence_of_their_own(tmp_path):
    for name, image in {"dark": EXPORTS["dark 8 bit"], "cut": stored(AS_IT_IS - 128.0, 8)}.items():
        np.save(tmp_path / f"{name}.npy", image)
    read = appearance.Adapted(np.load, looks.learnt_from([looks.look(AS_IT_IS)]))
    paths = pd.Series([str(tmp_path / f"{name}.npy") for name in ("dark", "cut")])
    for path in paths:
        read(Path(path))
    said = appearance.sentences(read, paths, np.ones(2))
    assert any(
        "1 of 2 images lack what was darker than the background" in text and "(cut.npy" in text
        for text in said
    )
    assert any("1 of 2 images have other grey levels" in text and "(dark.npy" in text for text in said)


@pytest.mark.parametrize(
    ("change", "magnified", "words"),
    [
        (lambda image: cv2.GaussianBlur(image, None, 3), 1.0, "blurred: out of focus"),
        (lambda image: image, 4.0, "magnified 4 times: is the pixel size right?"),
        (lambda image: 255 - image, 4.0, "look turned over (negative phase contrast"),
        (lambda image: image, 1.0, None),
        (lambda image: 255 - image, 1.0, "look turned over (negative phase contrast"),
        (lambda image: stored(image.astype(float) * 1.8, 8), 1.0, "overexposed: expose shorter"),
        (
            lambda image: stored(np.random.default_rng(0).normal(128, 3, image.shape), 8),
            1.0,
            "nothing but noise",
        ),
    ],
)
def test_an_image_unlike_those_learnt_from_is_named_with_why(tmp_path, change, magnified, words):
    np.save(tmp_path / "a.npy", change(CRISP))
    read = appearance.Adapted(np.load, looks.learnt_from([looks.look(CRISP)]))
    read(tmp_path / "a.npy")
    told = appearance.sentences(read, pd.Series([str(tmp_path / "a.npy")]), np.array([magnified]))
    assert any(words in sentence for sentence in told) if words else not told


def test_magnifying_is_no_reason_for_grain(tmp_path):
    path = str(tmp_path / "a.npy")
    np.save(path, CRISP)
    read = appearance.Adapted(np.load, looks.learnt_from([looks.look(CRISP)]))
    read(Path(path))
    read.looks[path] = read.looks[path]._replace(sharpness=9.0)
    grainy = appearance.unlike(read, path, 1.1)["grainy"]
    assert grainy.startswith("grainy: sharpness 8.2, learnt")
    assert "magnified" not in grainy


def test_every_detector_has_its_own_levels(tmp_path):
    np.save(tmp_path / "a.npy", AS_IT_IS)
    shown = appearance.Adapted(np.load, PALE)(tmp_path / "a.npy")
    assert np.median(shown) == pytest.approx(102, abs=1)


@pytest.mark.parametrize("told", [{}, 3, {"level": [1, 2, 3]}, looks.plain(PALE) | {"peak": [2.0, 1.0, 3.0]}])
def test_a_detector_file_that_tells_nonsense_is_refused(told):
    content = {"model": "m", "classes": ["cell"], "fold": 0, "config": {}, "state_dict": {}, "looks": told}
    with pytest.raises(DataError, match="looks: they tell of no images"):
        foreign.check_content(content, Path("model.pth"))
