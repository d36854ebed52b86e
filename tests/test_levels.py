"""Grey levels: a detector sees any export of a field alike, blank areas change nothing, noise stays noise."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroseg import readers
from neuroseg.readers.intensity import levels, looks
from neuroseg.readers.intensity.halos import halo_skewness
from neuroseg.readers.intensity.looks import ORDINARY, Learnt, Range


def culture(height: int = 256, width: int = 320, cells: int = 12, seed: int = 0) -> np.ndarray:
    """A background of 128 with noise, and cells with dark bodies and bright halos, float."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    image = random.normal(128, 2, (height, width))
    for _ in range(cells):
        row, column = random.uniform(0, height), random.uniform(0, width)
        away = np.hypot(rows - row, columns - column)
        image += 60 * np.exp(-(((away - 12) / 3) ** 2)) - 50 * np.exp(-((away / 7) ** 2))
    return image


FIELD = culture()


def stored(values: np.ndarray, bits: int) -> np.ndarray:
    return np.clip(np.rint(values), 0, 2**bits - 1).astype(np.uint8 if bits == 8 else np.uint16)


AS_IT_IS = stored(FIELD, 8)
LOW, HIGH = np.percentile(FIELD, (0.35, 99.65))

LEARNT = looks.learnt_from([looks.look(AS_IT_IS)])

EXPORTS = {
    "16 bit": stored(FIELD * 70, 16),
    "12 bit": stored(FIELD * 12, 16),
    "dark 8 bit": stored(FIELD * 60 / 128, 8),
    "bright 8 bit": stored(FIELD * 200 / 128, 8),
    "stretched 8 bit": stored((FIELD - LOW) / (HIGH - LOW) * 255, 8),
    "stretched 16 bit": stored((FIELD - LOW) / (HIGH - LOW) * 65535, 16),
    "camera offset": stored(FIELD * 2 + 1000, 16),
    "background at 20000": stored((FIELD - 128) * 70 + 20000, 16),
    "high": stored(FIELD / 128 * 40000, 16),
    "pale 8 bit": stored((FIELD - 128) * 0.2 + 128, 8),
}


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel().astype(float), other.ravel().astype(float))[0, 1])


def padded(image: np.ndarray, value: int, border: int = 90) -> np.ndarray:
    return np.pad(image, border, constant_values=value)


@pytest.mark.parametrize("name", EXPORTS)
def test_every_export_of_a_field_has_the_learnt_level_and_contrast(name):
    shown = readers.to_uint8(EXPORTS[name], LEARNT)
    seen = looks.look(shown)
    assert seen.level == pytest.approx(128, abs=8)
    assert seen.contrast == pytest.approx(looks.look(AS_IT_IS).contrast, rel=0.25)
    assert likeness(shown, AS_IT_IS) > 0.96


ONE_FIELD = {name: image for name, image in EXPORTS.items() if not name.startswith(("bright", "pale"))}
"""Those that lose no bright halo at the end of their range and are no coarser than one grey value."""


@pytest.mark.parametrize("name", ONE_FIELD)
def test_with_one_contrast_an_export_is_shown_as_the_field_itself_and_that_is_no_remark(name):
    itself = levels.shown(AS_IT_IS, LEARNT, one_contrast=True)
    assert itself.done == levels.Done()
    shown = levels.shown(ONE_FIELD[name], LEARNT, one_contrast=True)
    assert np.abs(shown.image.astype(float) - itself.image).mean() < 1.5
    assert looks.look(shown.image).contrast == pytest.approx(LEARNT.contrast.middle, rel=0.03)
    assert shown.done == levels.shown(ONE_FIELD[name], LEARNT).done


def test_with_one_contrast_a_wide_range_learnt_leaves_none_as_it_is_but_noise():
    wide = LEARNT._replace(contrast=Range(10, 30, 90), peak=Range(10, 40, 100))
    assert levels.shown(AS_IT_IS, wide).image is AS_IT_IS
    assert looks.look(levels.shown(AS_IT_IS, wide, one_contrast=True).image).contrast < 33
    noise = stored(np.random.default_rng(0).normal(128, 2, (256, 320)), 8)
    assert levels.shown(noise, wide, one_contrast=True).image is noise


@pytest.mark.parametrize("taken", [128, 129])
@pytest.mark.parametrize("bits", [8, 16])
def test_of_a_background_subtracted_export_the_bright_half_is_as_bright(taken, bits):
    found = levels.shown(stored((AS_IT_IS.astype(float) - taken) * (1 if bits == 8 else 70), bits))
    assert np.median(found.image) == pytest.approx(128, abs=2)
    halos = FIELD > 165
    assert found.image[halos].mean() - 128 == pytest.approx(AS_IT_IS[halos].mean() - 128, rel=0.5)
    assert found.done.cut == 0
    assert "cut off at 0, export without subtraction" in found.done.words


@pytest.mark.parametrize(
    ("done", "words"),
    [
        (levels.Done(), ""),
        (levels.Done(blank=0.3), "30 % blank"),
        (levels.Done(level=(60, 128)), "grey level 60 shown as 128"),
        (levels.Done(level=(127.996, 128), factor=2.28), "contrast multiplied by 2.28"),
        (levels.Done(0.3, (128, 128), 2.28), "30 % blank; contrast multiplied by 2.28"),
        (
            levels.Done(level=(127.5, 128), factor=2.28),
            "grey level 127.5 shown as 128, contrast multiplied by 2.28",
        ),
        (levels.Done(level=(128, 128)), ""),
        (
            levels.Done(0.3, (24800.5, 128), 0.301, 0),
            "30 % blank; grey level 24800 shown as 128, contrast multiplied by 0.301; "
            "what was darker than the background is cut off at 0, export without subtraction",
        ),
    ],
)
def test_what_was_done_is_data_and_reads_as_words(done, words):
    assert done.words == words


def test_what_looks_as_learnt_keeps_its_bytes():
    assert readers.to_uint8(AS_IT_IS) is AS_IT_IS
    assert levels.shown(AS_IT_IS).done == levels.Done()
    assert levels.shown(AS_IT_IS).content == tuple(slice(0, side) for side in AS_IT_IS.shape)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("border", [1, 7, 90, 200])
def test_a_black_border_changes_nothing_of_the_field_and_becomes_background(bits, border):
    field = AS_IT_IS if bits == 8 else EXPORTS["16 bit"]
    shown = levels.shown(padded(field, 0, border))
    inner = shown.image[border:-border, border:-border]
    assert (inner == readers.to_uint8(field)).all()
    assert np.ptp(shown.image[:border]) == 0
    assert shown.image[0, 0] == pytest.approx(128, abs=1)
    assert shown.look.blank == pytest.approx(1 - field.size / shown.image.size, abs=0.002)
    assert shown.done.blank == shown.look.blank
    rows, columns = shown.content
    assert (rows, columns) == tuple(slice(border, border + side) for side in field.shape)


@pytest.mark.parametrize("value", [60, 128, 255])
def test_a_grey_or_white_border_does_not_move_the_level(value):
    assert (readers.to_uint8(padded(AS_IT_IS, value))[90:-90, 90:-90] == AS_IT_IS).all()


def compressed(image: np.ndarray) -> np.ndarray:
    _, written = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 75])
    return cv2.imdecode(written, cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("value", [0, 60, 200, 255])
def test_a_surround_that_jpeg_blurs_is_blank_up_to_the_field(value):
    framed = np.full((420, 512), value, np.uint8)
    framed[70:326, 90:410] = AS_IT_IS  # off the 8 pixels' grid of JPEG
    shown, alone = levels.shown(compressed(framed)), looks.look(compressed(AS_IT_IS))
    rows, columns = shown.content
    assert 70 <= rows.start <= 75
    assert 321 <= rows.stop <= 326
    assert 90 <= columns.start <= 95
    assert 405 <= columns.stop <= 410
    assert shown.look.contrast == pytest.approx(alone.contrast, rel=0.1)
    inner = shown.image[78:318, 98:402].astype(float)
    assert np.abs(inner - AS_IT_IS[8:-8, 8:-8]).mean() < 3
    assert np.ptp(shown.image[[0, 66, 329, -1]]) == 0


def test_a_surround_that_turning_has_smoothed_is_blank_up_to_the_field():
    framed = np.zeros((420, 512), np.uint8)
    framed[80:336, 90:410] = AS_IT_IS
    turn = cv2.getRotationMatrix2D((256, 208), 3, 1)
    turned = cv2.warpAffine(framed, turn, (512, 420), flags=cv2.INTER_CUBIC)
    whole = cv2.warpAffine(np.where(framed, 1, 0).astype(np.uint8) * 255, turn, (512, 420))
    shown = levels.shown(turned)
    assert shown.look.contrast == pytest.approx(looks.look(AS_IT_IS).contrast, rel=0.15)
    assert shown.image[whole == 0].min() == shown.image[whole == 0].max()
    deep = cv2.erode(whole, np.ones((9, 9), np.uint8)) == 255
    assert (shown.image[deep] == turned[deep]).mean() > 0.999


@pytest.mark.parametrize("border", [150, 160])
def test_a_black_border_with_noise_of_the_camera_counts_as_blank(border):
    dark = np.random.default_rng(1).integers(80, 120, (256 + 2 * border, 320 + 2 * border))
    dark[border:-border, border:-border] = EXPORTS["16 bit"]
    shown = levels.shown(dark.astype(np.uint16))
    inner = shown.image[border:-border, border:-border]
    assert (np.abs(inner - 1.0 * AS_IT_IS) <= 1).mean() > 0.998
    assert shown.look.blank == pytest.approx(1 - FIELD.size / dark.size, abs=0.01)


def test_a_flat_background_with_cells_is_no_margin():
    image = np.full((256, 256), 120, np.uint8)
    rows, columns = np.mgrid[:256, :256]
    for centre in range(30, 256, 50):
        near = np.hypot(rows - centre, columns - centre) < 14
        image[near] = 120 + (40 * np.sin(rows + columns)[near]).astype(int)
    assert readers.to_uint8(image) is image


def test_an_empty_image_is_not_stretched_into_cells():
    noise = stored(np.random.default_rng(0).normal(2000, 12, (256, 320)), 16)
    assert readers.to_uint8(noise).std() < 2
    pale = stored(np.random.default_rng(0).normal(128, 1, (256, 320)), 8)
    assert readers.to_uint8(pale) is pale


def test_an_image_of_one_cell_is_not_taken_for_a_pale_one():
    sparse = stored(culture(512, 640, cells=2), 8)
    assert readers.to_uint8(sparse) is sparse


def test_images_are_brought_to_what_a_detector_has_learnt_from():
    learnt = Learnt(Range(98, 102, 113), Range(50, 70, 80), Range(65, 84, 100), Range(0.3, 0.4, 0.5))
    seen = looks.look(readers.to_uint8(EXPORTS["camera offset"], learnt))
    assert seen.level == pytest.approx(102, abs=1)
    assert 50 < seen.contrast < 80


def test_what_was_learnt_from_survives_a_file_and_keeps_its_own_images_as_they_are():
    images = [stored(culture(seed=seed), 8) for seed in range(3)]
    learnt = looks.learnt_from(map(looks.look, images))
    assert looks.from_plain(looks.plain(learnt)) == learnt
    assert all(readers.to_uint8(image, learnt) is image for image in images)
    assert learnt.level.low <= learnt.level.middle <= learnt.level.high


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({}, "'level' is missing"),
        ({"level": [1, 2]}, "three numbers"),
        ({"level": "abc"}, "three numbers"),
        (7, "three numbers"),
        ({"level": [3, 2, 1]}, "within 0 and 255, and ascend"),
        ({"level": [0, 1, float("nan")]}, "within 0 and 255"),
        ({"peak": [0, 1, 1e300]}, "within 0 and 255"),
    ],
)
def test_figures_that_are_none_are_refused(broken, why):
    content = {**looks.plain(ORDINARY), **broken} if isinstance(broken, dict) and broken else broken
    with pytest.raises(ValueError, match=why):
        looks.from_plain(content)


@pytest.mark.parametrize("shape", [(1, 1), (9, 9), (16, 300), (63, 64), (700, 16)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_small_images_go_by_their_median(shape, kind):
    image = np.full(shape, 40, kind)
    image[0, 0] = 20
    shown = readers.to_uint8(image)
    assert shown.dtype == np.uint8
    assert shown[-1, -1] == 128


@settings(max_examples=30, deadline=None)
@given(
    scale=st.floats(0.3, 300),
    offset=st.floats(0, 5000),
    border=st.integers(0, 60),
)
def test_no_gain_offset_or_border_of_a_camera_matters_much(scale, offset, border):
    values = FIELD * scale + offset
    gain = max(1.0, values.max() / 65000)
    image = padded(stored(values / gain, 16), 0, border) if border else stored(values / gain, 16)
    shown = readers.to_uint8(image)
    inner = shown[border:-border, border:-border] if border else shown
    assert np.median(inner) == pytest.approx(128, abs=2)
    if np.ptp(stored(values / gain, 16)) > 60:  # fewer grey values show no cells
        assert likeness(inner, AS_IT_IS) > 0.95
        assert 12 < looks.look(inner).contrast < 100


@pytest.mark.parametrize("name", ["as it is", *EXPORTS])
def test_halos_turn_their_sign_with_the_image_and_no_gain_changes_them(name):
    image = EXPORTS.get(name, AS_IT_IS)
    found = looks.look(image).halos
    assert found == pytest.approx(looks.look(AS_IT_IS).halos, rel=0.35)  # one export cuts halos off
    assert looks.look(image.max() - image).halos == pytest.approx(-found, abs=1e-3)


def test_neither_a_black_border_nor_a_scale_bar_nor_noise_makes_halos_dark():
    marked = AS_IT_IS.copy()
    marked[240:244, 200:300] = 0
    assert looks.look(marked).halos > 0.5
    assert looks.look(padded(AS_IT_IS, 0)).halos > 0.5
    assert abs(looks.look(stored(np.random.default_rng(0).normal(128, 3, (256, 320)), 8)).halos) < 0.1


def test_halos_of_a_large_image_are_looked_for_in_windows_in_all_its_parts():
    field = np.tile(AS_IT_IS, (20, 16))
    field[:, :2500] = 128
    assert np.isnan(halo_skewness(field[:, :2500]))
    assert halo_skewness(field) > 0.5


@pytest.mark.parametrize("folder", ["sartorius/train", "sartorius/test", "livecell/images", "t98g/images"])
def test_real_images_that_detectors_learn_from_keep_their_bytes(folder, real_data):
    paths = sorted(path for path in Path(real_data, folder).rglob("*") if path.suffix in (".png", ".tif"))
    for path in paths[:: max(1, len(paths) // 12)]:
        image = readers.read_image(path)
        assert readers.to_uint8(image) is image, path.name


@pytest.mark.parametrize("folder", ["sartorius/train", "livecell/images", "t98g/images", "own_folder"])
def test_real_images_are_told_from_the_same_turned_over(folder, real_data):
    paths = sorted(path for path in Path(real_data, folder).rglob("*") if path.suffix in (".png", ".tif"))
    for path in paths[:: max(1, len(paths) // 8)]:
        image = readers.read_image(path)
        assert looks.fault(looks.look(image), ORDINARY) is None, path.name
        assert looks.fault(looks.look(image.max() - image), ORDINARY) == "inverted", path.name


def test_what_is_unlike_ordinary_images_is_listed_with_why(tmp_path, step):
    (tmp_path / "in").mkdir()
    shapes = {
        "a": AS_IT_IS,
        "b": padded(AS_IT_IS, 0),
        "c": EXPORTS["dark 8 bit"],
        "d": stored((FIELD - 128) * 70, 16),
    }
    for name, image in shapes.items():
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", image)
    tifffile.imwrite(tmp_path / "in" / "g.tif", 255 - AS_IT_IS)
    tifffile.imwrite(tmp_path / "in" / "f.tif", stored(FIELD / 128 * 65000, 16))
    noise = np.random.default_rng(0).normal(128, 3, (256, 320))
    tifffile.imwrite(tmp_path / "in" / "e.tif", stored(noise, 8))
    (tmp_path / "d.yaml").write_text(f"format: folder\nroot: '{tmp_path / 'in'}'\n")
    out = {name: tmp_path / f"{name}.parquet" for name in ("images", "instances")}
    step("validate").main(dataset=tmp_path / "d.yaml", problems=tmp_path / "p.csv", **out)
    found = pd.read_csv(tmp_path / "p.csv").query("check == 'image_look'").set_index("image_id")["message"]
    words = {"b": "% blank", "c": "grey level 60 shown as 128", "d": "cut off at 0", "e": "nothing but noise"}
    words |= {"f": "is overexposed", "g": "looks turned over"}
    assert set(found.index) - {"a"} == set(words)
    assert all(word in found[name] for name, word in words.items())


@pytest.mark.parametrize(
    ("label", "told"),
    [
        (np.kron(np.arange(80, dtype=np.uint16).reshape(8, 10), np.ones((32, 32), np.uint16)), True),
        (np.where(FIELD > 160, 255, 0).astype(np.uint8), True),
        (np.clip(FIELD * 2.0 - 250, 0, 255).astype(np.uint8), False),
        (np.clip(FIELD * 2.0, 0, 255).astype(np.uint8), False),
    ],
    ids=["numbers", "black and white", "cut off at black", "cut off at white"],
)
def test_label_images_of_any_name_are_left_out_of_a_folder_and_listed(tmp_path, step, label, told):
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", AS_IT_IS)
    tifffile.imwrite(tmp_path / "in" / "a_Objects.tif", label)
    (tmp_path / "d.yaml").write_text(f"format: folder\nroot: '{tmp_path / 'in'}'\n")
    out = {name: tmp_path / f"{name}.parquet" for name in ("images", "instances")}
    step("validate").main(dataset=tmp_path / "d.yaml", problems=tmp_path / "p.csv", **out)
    problems = pd.read_csv(tmp_path / "p.csv").query("check == 'label_image'")
    assert list(problems["image_id"]) == ["a_Objects"] * told
    assert len(pd.read_parquet(out["images"])) == 2 - told


def test_an_image_turned_over_that_the_dataset_file_inverts_is_as_any(tmp_path, step):
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "g.tif", 255 - AS_IT_IS)
    (tmp_path / "d.yaml").write_text(f"format: folder\nroot: '{tmp_path / 'in'}'\ninvert: true\n")
    out = {name: tmp_path / f"{name}.parquet" for name in ("images", "instances")}
    step("validate").main(dataset=tmp_path / "d.yaml", problems=tmp_path / "p.csv", **out)
    assert pd.read_csv(tmp_path / "p.csv").empty
