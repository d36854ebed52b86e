"""Simulated cultures: optics by arithmetic, anatomy by the real set's figures, the folder by its contract."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

from neuroseg import rle, simulation
from neuroseg.errors import DataError
from neuroseg.simulation import anatomy, drawing, experiment, faults, field, folder, kinds, optics

SMALL = simulation.Experiment(seed=3, train_images=12, test_images=3, height=200, width=260)
COLUMNS = [
    *("id", "annotation", "width", "height", "cell_type"),
    *("plate_time", "sample_date", "sample_id", "elapsed_timedelta"),
]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    out = tmp_path_factory.mktemp("culture") / "demo"
    simulation.write(SMALL, out)
    return out


@pytest.fixture(scope="module")
def train(simulated):
    return pd.read_csv(simulated / "train.csv", dtype=str)


@pytest.fixture(scope="module")
def fields():
    """Three full-size fields of each cell type, sparse enough for every cell to find a place."""
    return {
        name: [
            field.grow(kind, 30, 1.0, *field.FRAME, np.random.default_rng([7, number])) for number in range(3)
        ]
        for name, kind in kinds.KINDS.items()
    }


def digest(out):
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def phase_of_a_disc(radius, radians, side=96):
    y, x = np.mgrid[:side, :side] - side // 2
    return np.where(np.hypot(x, y) <= radius, radians, 0.0)


# -------------------------------------------------------------------------------- optics


def test_an_empty_field_has_intensity_one_everywhere():
    empty = np.zeros((64, 80))
    np.testing.assert_allclose(optics.intensity(empty, empty, optics.Microscope(defocus=3)), 1, atol=1e-12)


def test_a_thick_cell_is_dark_within_and_bright_around():
    disc = phase_of_a_disc(8, 0.2)
    light = optics.intensity(disc, np.zeros_like(disc), optics.Microscope(tilt=(0, 0)))
    assert light[48, 48 + 6] < 1
    assert light[48, 48 + 10] > 1


def test_the_middle_of_a_large_cell_shades_off_towards_the_background():
    disc = phase_of_a_disc(24, 0.2)
    light = optics.intensity(disc, np.zeros_like(disc), optics.Microscope())
    assert abs(light[48, 48] - 1) < 0.2 * abs(light[48, 48 + 22] - 1)


def test_the_contrast_of_a_thin_object_is_twice_its_phase():
    ripple = 0.001 * np.sin(2 * np.pi * 0.2 * np.arange(100)) * np.ones((100, 1))
    sharp = optics.Microscope(ring=50.0, blur=0.0)
    np.testing.assert_allclose(
        optics.intensity(ripple, np.zeros((100, 100)), sharp) - 1, -2 * ripple, atol=2e-6
    )


def test_defocus_moves_light_about_but_loses_none():
    disc = phase_of_a_disc(5, 1.0)
    light = [optics.intensity(disc, 0 * disc, optics.Microscope(blur=0.0, defocus=way)) for way in (0.0, 4.0)]
    assert np.abs(light[0] - light[1]).max() > 0.1
    assert light[0].mean() == pytest.approx(light[1].mean())


def test_what_floats_is_out_of_focus_where_the_same_thing_on_the_dish_is_sharp():
    disc, empty = phase_of_a_disc(3, 0.5), np.zeros((96, 96))
    microscope = optics.Microscope()
    on_the_dish, floating = (
        optics.intensity(*layers, microscope) for layers in ((disc, empty), (empty, disc))
    )
    assert not np.allclose(on_the_dish, floating, atol=0.05)
    lifted_none = optics.intensity(empty, disc, microscope._replace(lift=0.0))
    np.testing.assert_allclose(lifted_none, on_the_dish, atol=1e-12)


def test_uneven_light_is_levelled_as_in_the_real_images():
    empty, rng = np.zeros((300, 400)), np.random.default_rng(0)
    unlevelled = optics.Microscope(noise=0, levelling=())
    levelled = optics.Microscope(noise=0)
    assert np.ptp(optics.photograph(empty, empty, unlevelled, 20, rng).astype(int)) > 20
    assert np.ptp(optics.photograph(empty, empty, levelled, 20, rng).astype(int)) <= 2


# -------------------------------------------------------------------------------- drawing


def test_depth_within_a_straight_limb_is_the_distance_to_its_edge():
    limb = np.array([[10.0, 20.0, 5.0], [50.0, 20.0, 5.0]])
    depth = drawing.depth([limb], 0.0, (slice(0, 40), slice(0, 60)))
    assert depth[20, 30] == pytest.approx(5)
    assert depth[23, 30] == pytest.approx(2)
    assert depth[27, 30] == pytest.approx(-2)


def test_a_web_fills_the_angle_between_two_limbs_and_not_their_far_ends():
    limbs = [np.array([[30.0, 30, 3], [60, 30, 3]]), np.array([[30.0, 30, 3], [30, 60, 3]])]
    place = (slice(0, 70), slice(0, 70))
    bare, webbed = (drawing.depth(limbs, web, place) for web in (0.0, 12.0))
    assert bare[35, 35] < 0 < webbed[35, 35]
    assert webbed[30, 58] == bare[30, 58]


def test_a_drawing_window_shifts_nothing():
    limb = np.array([[33.3, 21.7, 4.0], [48.2, 40.1, 2.0]])
    place = drawing.window([limb], 3.0, (80, 90))
    whole = drawing.depth([limb], 0.0, (slice(0, 80), slice(0, 90)))
    part = drawing.depth([limb], 0.0, place)
    np.testing.assert_array_equal(part > 0, whole[place] > 0)
    assert (whole > 0).sum() == (part > 0).sum()


def test_fibres_and_spheres_off_the_canvas_draw_nothing_and_do_not_fail():
    phase = np.zeros((40, 40))
    drawing.lay_fibre(phase, np.array([[-90.0, -90, 1], [-60, -90, 1]]), 1.0)
    drawing.lay_spheres(phase, np.array([[200.0, 10, 3, 1]]))
    assert not phase.any()


def test_a_sphere_is_thickest_in_its_middle():
    phase = np.zeros((21, 21))
    drawing.lay_spheres(phase, np.array([[10.0, 10, 4, 2.0]]))
    assert phase[10, 10] == pytest.approx(2.0) == phase.max()
    assert phase[10, 15] == 0


def test_opening_cuts_off_a_thin_process_and_keeps_the_body():
    mask = np.zeros((40, 60), bool)
    mask[10:30, 10:30] = True
    mask[19:21, 30:55] = True
    opened = drawing.opened(mask, 3.0)
    assert opened[20, 20]
    assert not opened[20, 35:].any()
    np.testing.assert_array_equal(drawing.opened(mask, 0.0), mask)


def test_opening_of_something_thin_leaves_nothing():
    mask = np.zeros((10, 30), bool)
    mask[4:6] = True
    assert not drawing.opened(mask, 3.0).any()


def test_a_solid_mask_is_one_piece_without_holes():
    mask = np.zeros((20, 20), bool)
    mask[2:9, 2:9] = True
    mask[5, 5] = False
    mask[15, 15] = True
    assert drawing.solid(mask).sum() == 49


# -------------------------------------------------------------------------------- cells and their truth


@pytest.mark.parametrize(
    ("cell_type", "low", "high"), [("shsy5y", 190, 290), ("astro", 550, 1100), ("cort", 190, 270)]
)
def test_areas_lie_where_the_real_set_has_them(fields, cell_type, low, high):
    areas = np.concatenate([rle.areas(part.masks) for part in fields[cell_type]])
    assert low < areas.mean() < high
    assert areas.min() >= field.SMALLEST


def test_astros_are_the_longest_cells_and_cort_the_roundest(fields):
    elongation = {}
    for name, parts in fields.items():
        sides = np.concatenate([rle.boxes(part.masks, field.FRAME[1]) for part in parts])
        fill = np.concatenate([rle.areas(part.masks) for part in parts]) / np.prod(
            sides[:, 2:] - sides[:, :2], axis=1
        )
        elongation[name] = 1 / np.median(fill)
    assert elongation["astro"] > 1.3 * elongation["shsy5y"] > 1.3 * elongation["cort"]


def test_every_mask_is_one_piece_without_holes(fields):
    for parts in fields.values():
        for part in parts:
            for index in range(len(part.masks)):
                mask, _, _ = rle.crop(part.masks, index, field.FRAME[1])
                assert ndimage.label(mask)[1] == 1
                np.testing.assert_array_equal(mask, ndimage.binary_fill_holes(mask))


def test_truth_overlaps_slightly_as_in_the_real_set(fields):
    for name, parts in fields.items():
        shares = [1 - rle.union_area(part.masks) / rle.areas(part.masks).sum() for part in parts]
        assert 0 <= np.mean(shares) < 0.06, name
    assert max(1 - rle.union_area(part.masks) / rle.areas(part.masks).sum() for part in fields["shsy5y"]) > 0


@pytest.mark.parametrize("cell_type", list(kinds.KINDS))
def test_a_mask_covers_what_is_visible(fields, cell_type):
    """Grey levels vary more within the outlines than elsewhere, so that a detector can learn them."""
    for part in fields[cell_type]:
        inside = rle.to_masks(part.masks, *field.FRAME).any(0)
        far = ~ndimage.binary_dilation(inside, iterations=12)
        quiet = np.percentile(np.abs(part.image[far].astype(float) - optics.BACKGROUND), 90)
        assert np.mean(np.abs(part.image[inside] - optics.BACKGROUND) > max(quiet, 4)) > 0.3


def test_the_background_is_mid_grey_and_the_picture_eight_bit(fields):
    for parts in fields.values():
        for part in parts:
            assert part.image.dtype == np.uint8
            assert part.image.shape == field.FRAME
            assert np.median(part.image) == pytest.approx(optics.BACKGROUND, abs=1)


def test_a_field_too_small_for_its_cells_holds_fewer():
    crowded = field.grow(kinds.KINDS["astro"], 40, 1.0, 80, 80, np.random.default_rng(0))
    assert 0 < len(crowded.masks) < 40


@pytest.mark.parametrize("form", list(anatomy.FORMS))
def test_every_form_of_cell_gets_the_area_it_is_asked_for(form):
    kind = kinds.KINDS["shsy5y"]._replace(opening=0.0)
    body = anatomy.FORMS[form](np.random.default_rng(1))
    sized = field._sized(kind, body, 900.0)
    drawn = field._outlined(kind, anatomy.placed(sized, 150, 150, 0.3), (300, 300), None)
    assert drawn.mask.sum() == pytest.approx(900 * body.size, rel=0.15)


# -------------------------------------------------------------------------------- the experiment


def test_both_arms_of_each_type_have_as_many_wells_and_images():
    images = experiment.plan(simulation.Experiment()).query("subset == 'train' and fault == ''")
    assert (images.groupby(["cell_type", "treatment"]).size() == 6).all()
    wells = images.drop_duplicates(["plate", "well"]).groupby(["cell_type", "treatment"]).size()
    assert (wells == 3).all()


def test_each_well_belongs_to_one_plate_one_type_and_one_arm():
    images = experiment.plan(simulation.Experiment(train_images=90))
    for columns in ("cell_type", "treatment"):
        assert (images.groupby(["plate", "well"])[columns].nunique() == 1).all()
    assert (images.groupby("plate")["cell_type"].nunique() == 1).all()
    assert images.duplicated(["plate", "well", "field", "subset"]).sum() == 0
    assert images["image_id"].is_unique


def test_an_image_does_not_change_when_others_join():
    few, many = (experiment.plan(SMALL._replace(train_images=number)) for number in (12, 24))
    shared = few.query("fault == ''").merge(many, on="image_id", suffixes=("", "_later"))
    assert len(shared) == 12 + SMALL.test_images
    assert (shared["cells"] == shared["cells_later"]).all()


def test_survival_and_density_scale_the_cells_planned():
    plain, dense = (
        experiment.plan(simulation.Experiment(train_images=360, density=density)) for density in (1.0, 3.0)
    )
    assert dense["cells"].mean() == pytest.approx(3 * plain["cells"].mean(), rel=0.02)
    means = plain.groupby(["cell_type", "treatment"])["cells"].mean().unstack()
    np.testing.assert_allclose(means["treated"] / means["control"], 0.6, rtol=0.06)


def test_every_number_that_makes_no_experiment_gets_its_own_sentence(tmp_path):
    nonsense = simulation.Experiment(-1, 2, -1, 10, 10, 0.0, float("nan"), -1.0)
    with pytest.raises(DataError) as error:
        simulation.write(nonsense, tmp_path / "out")
    assert len(error.value.sentences) == 8
    assert error.value.sentences[1] == "train_images is 2; choose 3 or more."
    assert list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------------------- the folder written


def test_the_layout_is_the_competitions(simulated, train):
    assert sorted(path.name for path in simulated.iterdir()) == [
        "effect.json",
        "faults.csv",
        "plate_map.csv",
        "test",
        "train",
        "train.csv",
    ]
    assert list(train.columns) == COLUMNS
    assert len(list((simulated / "test").glob("*.png"))) == SMALL.test_images
    assert train["id"].nunique() == SMALL.train_images + 2
    assert not set(train["id"]) & {path.stem for path in (simulated / "test").iterdir()}


def test_metadata_are_spelt_as_in_the_competition(train):
    assert train["id"].str.fullmatch("[0-9a-f]{12}").all()
    assert (
        train["sample_id"].str.fullmatch(r"(shsy5y|astro|cort)\[\w+\]_[A-H]\d+-\d_Vessel-\d+_Ph_[1-4]").all()
    )
    assert train["plate_time"].str.fullmatch(r"\d\dh\d\dm00s").all()
    assert train["elapsed_timedelta"].str.fullmatch(r"0 days \d\d:\d\d:00").all()
    assert pd.to_datetime(train["sample_date"], format="%Y-%m-%d").notna().all()
    assert (train.groupby("id")[COLUMNS[2:]].nunique() == 1).all(axis=None)


def test_pictures_are_eight_bit_grey_of_the_size_asked_for(simulated):
    for path in (simulated / "test").glob("*.png"):
        with Image.open(path) as picture:
            assert (picture.mode, picture.size) == ("L", (SMALL.width, SMALL.height))


def test_no_two_pictures_are_alike(simulated):
    pictures = [name for name in digest(simulated) if name.endswith(".png")]
    assert len({digest(simulated)[name] for name in pictures}) == len(pictures)


def test_the_plate_map_names_every_well_once(simulated, train):
    wells = pd.read_csv(simulated / "plate_map.csv")
    assert list(wells.columns) == ["plate", "well", "treatment"]
    assert not wells.duplicated(["plate", "well"]).any()
    assert set(wells["treatment"]) == {"control", "treated"}
    spelt = train["sample_id"].str.extract(r"_(?P<well>[A-H]\d+)-\d_(?P<plate>Vessel-\d+)_").drop_duplicates()
    assert len(spelt.merge(wells)) == len(spelt) == len(wells)


def test_the_effect_drawn_is_the_truths_own(simulated, train):
    effect = json.loads((simulated / "effect.json").read_text())["cells_treated_to_control"]
    assert effect["expected"] == SMALL.survival
    planted = pd.read_csv(simulated / "faults.csv").set_index("check")["image_id"]
    sound = train[~train["id"].isin(planted[["image_unreadable", "image_missing"]])].drop_duplicates()
    names = sound["sample_id"].str.extract(r"_(?P<well>[A-H]\d+)-\d_(?P<plate>Vessel-\d+)_")
    told = sound[["id", "cell_type"]].join(names).merge(pd.read_csv(simulated / "plate_map.csv"))
    means = told.groupby(["cell_type", "treatment", "id"]).size().groupby(level=[0, 1]).mean().unstack()
    np.testing.assert_allclose(means["treated"] / means["control"], pd.Series(effect["drawn"]), atol=1e-4)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(simulated, tmp_path):
    simulation.write(SMALL, tmp_path / "again")
    assert digest(tmp_path / "again") == digest(simulated)
    simulation.write(SMALL._replace(seed=4, train_images=3, test_images=0), tmp_path / "other")
    assert not set(digest(tmp_path / "other").values()) & set(digest(simulated).values())


# -------------------------------------------------------------------------------- faults


def test_each_planted_fault_is_where_the_manifest_says(simulated, train):
    planted = pd.read_csv(simulated / "faults.csv")
    assert list(planted.columns) == ["check", "image_id", "description"]
    where = planted.set_index("check")["image_id"]
    assert set(where.index) == {
        "duplicate_mask",
        "hollow_mask",
        "rle_range",
        "image_unreadable",
        "image_missing",
    }

    assert train[train.duplicated()]["id"].tolist() == [where["duplicate_mask"]]

    runs, wrong = rle.from_kaggle(train["annotation"].tolist(), SMALL.height, SMALL.width)
    assert train["id"][wrong == rle.RANGE].tolist() == [where["rle_range"]]
    assert not wrong[wrong != rle.RANGE].any()

    hollow = []
    for index, image in enumerate(train["id"]):
        mask, _, _ = rle.crop(runs, index, SMALL.width)
        filled = ndimage.binary_fill_holes(mask).sum()
        hollow += [image] if filled > mask.sum() else []
        assert filled == mask.sum() or filled > 1.1 * mask.sum()
    assert hollow == [where["hollow_mask"]]

    assert not (simulated / "train" / f"{where['image_missing']}.png").exists()
    with (
        Image.open(simulated / "train" / f"{where['image_unreadable']}.png") as picture,
        pytest.raises(OSError, match="truncated"),
    ):
        picture.load()


def test_the_other_images_can_be_read(simulated, train):
    where = pd.read_csv(simulated / "faults.csv").set_index("check")["image_id"]
    readable = set(train["id"]) - {where["image_missing"], where["image_unreadable"]}
    assert len(readable) == SMALL.train_images
    for name in readable:
        with Image.open(simulated / "train" / f"{name}.png") as picture:
            picture.load()


def test_mending_the_planted_faults_gives_back_the_truth():
    rng = np.random.default_rng(5)
    height, width = 160, 200
    rows, truth = [], []
    for cell_type in kinds.KINDS:
        grown = field.grow(kinds.KINDS[cell_type], 6, 1.0, height, width, rng)
        truth += rle.to_kaggle(grown.masks)
        rows += [
            {"id": cell_type, "annotation": text, "cell_type": cell_type}
            for text in rle.to_kaggle(grown.masks)
        ]
    spoilt, _ = faults.plant(pd.DataFrame(rows), height, width)
    masks = rle.to_masks(rle.from_kaggle(spoilt["annotation"].tolist(), height, width)[0], height, width)
    mended = rle.to_kaggle(rle.from_masks(np.array([ndimage.binary_fill_holes(mask) for mask in masks])))
    assert len(spoilt) == len(rows) + 1
    assert list(dict.fromkeys(mended)) == truth


# -------------------------------------------------------------------------------- writing


def test_an_earlier_simulation_is_replaced(simulated, tmp_path):
    out = tmp_path / "demo"
    out.mkdir()
    (out / folder.EFFECT).write_text("{}")
    (out / "stale.txt").write_text("")
    simulation.write(SMALL._replace(train_images=3, test_images=0), out)
    assert (out / "train.csv").is_file()
    assert not (out / "stale.txt").exists()
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="something else"):
        simulation.write(SMALL, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_failure_half_way_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("the lamp is broken")

    monkeypatch.setattr(folder, "photograph", fail)
    with pytest.raises(RuntimeError, match="lamp"):
        simulation.write(SMALL, tmp_path / "demo")
    assert list(tmp_path.iterdir()) == []


def test_the_step_hands_every_flag_on(step, tmp_path, monkeypatch):
    simulate = step("simulate")
    asked = []
    monkeypatch.setattr(simulation, "write", lambda *arguments: asked.append(arguments))
    simulate.main(
        seed=1,
        train_images=4,
        test_images=2,
        height=80,
        width=90,
        density=2.0,
        survival=0.5,
        debris=3.0,
        out=tmp_path,
    )
    assert asked == [(simulation.Experiment(1, 4, 2, 80, 90, 2.0, 0.5, 3.0), tmp_path)]


@pytest.mark.real
def test_grey_levels_lie_within_the_real_sets(real_data, fields):
    """Mean and spread of the whole picture, type by type, against all real images of that type."""
    table = pd.read_csv(real_data / "sartorius" / "train.csv").drop_duplicates("id")
    for cell_type, parts in fields.items():
        real = []
        for name in table.loc[table["cell_type"] == cell_type, "id"]:
            with Image.open(real_data / "sartorius" / "train" / f"{name}.png") as picture:
                real.append(np.asarray(picture.convert("L"), float))
        spread = [image.std() for image in real]
        for part in parts:
            assert abs(part.image.mean() - np.mean([image.mean() for image in real])) < 3
            assert 0.6 * min(spread) < part.image.std() < 1.4 * max(spread)
