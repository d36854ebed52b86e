"""Measures beyond scikit-image's: middle lines, hulls and neighbours of shapes whose answer is arithmetic."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial import ConvexHull
from test_morphology import HEIGHT, WIDTH, disc, flat, measured, square

from neuroseg import rle
from neuroseg.morphology.hull import hull_perimeter
from neuroseg.morphology.skeleton import skeleton
from neuroseg.morphology.surroundings import touching


def drawn(*boxes, height=HEIGHT, width=WIDTH):
    """A mask of boxes: top, left, height, width."""
    mask = np.zeros((height, width), bool)
    for top, left, rows, columns in boxes:
        mask[top : top + rows, left : left + columns] = True
    return mask


ROW = drawn((10, 5, 1, 41))
PLUS = drawn((30, 20, 1, 21), (20, 30, 21, 1))
TEE = drawn((10, 10, 1, 31), (10, 25, 20, 1))
RING = disc(30, 40, 20) & ~disc(30, 40, 17)


def test_a_row_of_pixels_is_its_own_middle_line():
    cell = measured(ROW).iloc[0]
    assert cell[["skeleton_length_px", "branch_points", "end_points", "thickness_px"]].tolist() == [
        40,
        0,
        2,
        1,
    ]
    assert cell["thinness"] == 40


def test_a_step_across_a_corner_is_the_root_of_two():
    found = skeleton(np.eye(11, dtype=bool))
    assert found.length == pytest.approx(10 * math.sqrt(2))
    assert (found.branch_points, found.end_points) == (0, 2)


@pytest.mark.parametrize(("shape", "ends"), [(PLUS, 4), (TEE, 3)], ids=["plus", "tee"])
def test_a_crossing_and_a_fork_are_one_branch_point(shape, ends):
    cell = measured(shape).iloc[0]
    assert (cell["branch_points"], cell["end_points"]) == (1, ends)
    assert cell["skeleton_length_px"] == shape.sum() - 1


@pytest.mark.parametrize("thickness", range(1, 9))
def test_a_bar_is_as_thick_as_it_has_rows(thickness):
    for mask in (drawn((10, 5, thickness, 60)), drawn((2, 30, 55, thickness))):
        cell = measured(mask).iloc[0]
        assert cell["thickness_px"] == pytest.approx(thickness, abs=0.1)  # less at the very ends
        assert (cell["branch_points"], cell["end_points"]) == (0, 2)
        length = max(np.ptp(np.nonzero(mask), axis=1))
        assert length - thickness <= cell["skeleton_length_px"] <= length


def test_a_disc_has_no_tips_and_a_ring_no_ends():
    cell = measured(disc(30, 40, 15)).iloc[0]
    assert cell["skeleton_length_px"] <= 2
    assert cell["thickness_px"] == pytest.approx(30, abs=1.5)
    ring = measured(RING).iloc[0]
    assert (ring["branch_points"], ring["end_points"]) == (0, 0)
    assert ring["skeleton_length_px"] == pytest.approx(2 * math.pi * 18.5, rel=0.08)
    assert ring["thickness_px"] == pytest.approx(3, abs=0.6)


def test_a_soma_with_two_neurites_has_two_tips_and_its_thickness_lies_between_theirs():
    cell = measured(disc(30, 40, 8) | drawn((29, 5, 3, 70))).iloc[0]
    assert (cell["branch_points"], cell["end_points"]) == (0, 2)
    assert 3 < cell["thickness_px"] < 17
    assert cell["thinness"] > 8


def test_a_shape_in_pieces_has_the_ends_of_both():
    cell = measured(drawn((5, 5, 1, 11), (40, 5, 1, 21))).iloc[0]
    assert (cell["skeleton_length_px"], cell["end_points"]) == (30, 4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_hull_is_as_long_as_scipys_and_as_that_of_its_mirror_images(seed):
    mask = np.random.default_rng(seed).random((9, 12)) < 0.4
    mask[4, 5] = True
    rows, columns = np.nonzero(mask)
    points = np.stack([rows, columns], axis=1)
    expected = 0.0
    if np.linalg.matrix_rank(points - points[0]) == 2:
        expected = ConvexHull(points).area  # of a polygon, scipy's area is the perimeter
        assert hull_perimeter(mask) == pytest.approx(expected)
    for turned in (mask[::-1], mask[:, ::-1], mask.T):
        assert hull_perimeter(turned) == pytest.approx(hull_perimeter(mask))


def test_a_square_is_convex_and_a_cross_is_not():
    assert measured(square(20, 30, 10))["convexity"].iloc[0] == 1
    cross = measured(drawn((20, 10, 5, 41), (2, 28, 41, 5))).iloc[0]
    hull = 4 * math.hypot(18, 18) + 4 * 4
    assert cross["convexity"] == pytest.approx(hull / cross["perimeter_px"], abs=1e-6)
    assert cross["convexity"] < 0.8


def test_circularity_is_that_of_imagej_and_at_most_one():
    assert measured(disc(30, 40, 20))["circularity"].iloc[0] == pytest.approx(1, abs=0.1)
    bar = measured(drawn((10, 5, 3, 61))).iloc[0]
    assert bar["circularity"] == pytest.approx(4 * math.pi * 183 / bar["perimeter_px"] ** 2, abs=1e-6)
    assert measured(square(20, 30, 3))["circularity"].iloc[0] == 1


def test_what_a_single_pixel_does_not_have_is_missing():
    cell = measured(square(7, 9, 1)).iloc[0]
    assert np.isnan(cell["convexity"])
    assert np.isnan(cell["circularity"])
    assert np.isnan(cell["nearest_neighbour_distance_px"])
    assert cell[["skeleton_length_px", "thinness", "branch_points", "end_points"]].tolist() == [0, 0, 0, 0]


# ----------------------------------------------------------------------------------------------- surroundings


def test_a_halo_is_as_bright_as_its_ring_over_the_background():
    mask = disc(30, 40, 8)
    pixels = np.full((HEIGHT, WIDTH), 100, np.uint8)
    pixels[ndimage.distance_transform_edt(~mask) <= 3] = 125
    pixels[mask] = 90
    assert measured(mask, image=lambda path: pixels)["halo_contrast"].iloc[0] == 0.25
    assert measured(mask)["halo_contrast"].iloc[0] == 0


def test_black_surrounds_and_other_cells_are_no_halo_and_no_background():
    mask = square(0, 0, 10)
    pixels = np.full((HEIGHT, WIDTH), 0, np.uint16)
    pixels[:20, :20] = 1000
    pixels[:13, :13] = 1500
    pixels[:10, 10:13] = 60000  # the other cell's
    cells = measured(mask, drawn((0, 10, 10, 3)), image=lambda path: pixels)
    assert cells["halo_contrast"][0] == 0.5


def test_a_cell_without_any_free_pixel_around_has_no_halo():
    whole = drawn((0, 0, HEIGHT, WIDTH))
    assert np.isnan(measured(whole)["halo_contrast"].iloc[0])


def test_the_nearest_neighbour_is_measured_from_centre_to_centre():
    cells = measured(square(10, 10, 3), square(10, 14, 3), square(40, 10, 3), pixel_size_um=0.5)
    assert cells["nearest_neighbour_distance_px"].tolist() == [4, 4, 30]
    assert cells["nearest_neighbour_distance_um"].tolist() == [2, 2, 15]


def test_cells_touch_at_edges_and_corners_and_not_over_a_gap():
    cells = measured(
        square(10, 10, 5), square(10, 15, 5), square(15, 20, 5), square(10, 21, 4), square(40, 40, 5)
    )
    assert cells["touching_neighbours"].tolist() == [1, 2, 1, 0, 0]


def test_cells_at_the_ends_of_rows_do_not_touch_around_the_frame():
    cells = measured(drawn((10, WIDTH - 3, 4, 3)), drawn((11, 0, 4, 3)))
    assert cells["touching_neighbours"].tolist() == [0, 0]


def touching_by_dilation(masks):
    around = [ndimage.binary_dilation(mask, np.ones((3, 3))) for mask in masks]
    count = np.zeros(len(masks), int)
    for one, other in itertools.permutations(range(len(masks)), 2):
        count[one] += (around[one] & masks[other]).any()
    return count


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.booleans())
def test_touching_neighbours_are_those_that_dilation_finds(seed, count, overlapping):
    rng = np.random.default_rng(seed)
    if overlapping:
        masks = rng.random((count, 14, 17)) < 0.02
    else:
        owner = rng.integers(0, 30, (14, 17))
        masks = np.stack([owner == label for label in range(count)])
    masks[np.arange(count), rng.integers(0, 14, count), rng.integers(0, 17, count)] = True
    assert touching(rle.from_masks(masks), 17).tolist() == touching_by_dilation(masks).tolist()


def test_flat_images_are_read_once_whatever_is_measured():
    seen = []
    measured(disc(20, 20, 5), square(40, 40, 5), image=lambda path: seen.append(path) or flat(path))
    assert seen == ["a.png"]
