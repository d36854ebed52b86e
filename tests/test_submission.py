"""The submission file: written and read back alike, and refused wherever the competition would refuse it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neuroseg import rle, segmentation, submission, tables
from neuroseg.errors import DataError

HEIGHT, WIDTH = 4, 6


def instances(masks: np.ndarray, image: str = "a") -> pd.DataFrame:
    runs = rle.from_masks(masks)
    _, height, width = masks.shape
    return pd.DataFrame(
        {
            "image_id": pd.Series([image] * len(runs), dtype="str"),
            "instance_id": np.arange(len(runs), dtype=np.int32),
            "cell_type": pd.Series(["cort"] * len(runs), dtype="str"),
            **dict(zip(("x1", "y1", "x2", "y2"), rle.boxes(runs, width).T.astype(np.float32), strict=True)),
            "area": rle.areas(runs),
            "rle": tables.rle_column(rle.to_coco(runs, height, width)),
            "score": np.float32(0.5),
        }
    )


def frames(
    *ids: str, height: int = HEIGHT, width: int = WIDTH, subset: object = "test", annotated: object = False
):
    optional = dict.fromkeys(
        ["cell_type", "sample", "plate", "well", "field", "treatment", "dose", "dose_unit"]
    )
    return pd.DataFrame({"image_id": list(ids)}).assign(
        path="x.png", height=height, width=width, group="g", subset=subset, annotated=annotated, time=np.nan,
        pixel_size_um=np.nan, **optional,
    )[tables.SCHEMAS["images"].names]  # fmt: skip


def written(folder, *rows: str) -> Path:
    path = folder / "submission.csv"
    path.write_text("\n".join(["id,predicted", *rows]) + "\n")
    return path


def labelled(labels: np.ndarray) -> np.ndarray:
    """The masks of the labels from 1 on, none empty, none overlapping."""
    return np.array([labels == label for label in range(1, 5) if (labels == label).any()]).reshape(
        -1, *labels.shape
    )


@given(labels=st.lists(arrays(np.uint8, (HEIGHT, WIDTH), elements=st.integers(0, 4)), min_size=1, max_size=3))
def test_reading_back_gives_the_same_masks(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("submit") / "s.csv"
    names = [f"image, {number}" for number in range(len(labels))]
    stacks = [labelled(each) for each in labels]
    given = pd.concat(
        [instances(masks, name) for masks, name in zip(stacks, names, strict=True)], ignore_index=True
    )
    assert submission.write(given, frames(*names), path) == len(given)
    back = submission.read(path, frames(*names))
    columns = ["image_id", "instance_id", "x1", "y1", "x2", "y2", "area", "rle"]
    pd.testing.assert_frame_equal(back[columns], given[columns])
    tables.check("instances", back, "read back")


def test_rows_are_row_major_and_count_from_one(tmp_path):
    mask = np.zeros((1, HEIGHT, WIDTH), bool)
    mask[0, 1, 2:4] = mask[0, 2, 0:1] = True
    submission.write(instances(mask), frames("a"), tmp_path / "s.csv")
    assert (tmp_path / "s.csv").read_text() == "id,predicted\na,9 2 13 1\n"


def test_an_image_without_cells_is_one_row_with_an_empty_field(tmp_path):
    masks = np.zeros((1, HEIGHT, WIDTH), bool)
    masks[0, 0, 0] = True
    submission.write(instances(masks, "b"), frames("a", "b", "c"), tmp_path / "s.csv")
    assert (tmp_path / "s.csv").read_text() == "id,predicted\na,\nb,1 1\nc,\n"
    assert submission.read(tmp_path / "s.csv", frames("a", "b", "c"))["image_id"].tolist() == ["b"]


def test_images_come_in_the_order_of_their_table_whatever_their_size(tmp_path):
    small, large = np.ones((1, 2, 2), bool), np.ones((1, 3, 5), bool)
    images = frames("large", "small")
    images[["height", "width"]] = [(3, 5), (2, 2)]
    given = pd.concat([instances(small, "small"), instances(large, "large")], ignore_index=True)
    submission.write(given, images, tmp_path / "s.csv")
    assert (tmp_path / "s.csv").read_text() == "id,predicted\nlarge,1 15\nsmall,1 4\n"


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (["a,1 2", "a,2 2"], "masks of image a overlap"),
        (["a,1 2", "a,1 2"], "masks of image a overlap"),
        (["a,5 1 1 2"], "line 2: a mask of image a is not in ascending order"),
        (["a,23 3"], "line 2: a mask of image a reaches past the frame"),
        (["a,1 3 3 1"], "line 2: a mask of image a names a pixel twice"),
        (["a,1 2", "a,7"], "line 3: a mask of image a is no list"),
        (["a,0 2"], "line 2: a mask of image a is no list"),
        (["a,1 0"], "line 2: a mask of image a is no list"),
        (["a,1.5 2"], "line 2: a mask of image a is no list"),
        (["a,-1 2"], "line 2: a mask of image a is no list"),
        (["a,1 2", "a,"], "line 3: a mask of image a is no list"),
        (["a,", "a,"], "line 2: a mask of image a is no list"),
        (["a,1 2", "z,1 2"], "image z is not one of those"),
        (["b,1 2"], "image a has no row"),
    ],
)
def test_the_gate_refuses(tmp_path, rows, complaint):
    images = frames("a", "b") if rows == ["b,1 2"] else frames("a")
    with pytest.raises(DataError) as error:
        submission.read(written(tmp_path, *rows), images)
    assert all("submission.csv: " in sentence for sentence in error.value.sentences)
    assert any(complaint in sentence for sentence in error.value.sentences)


def test_the_gate_lists_all_that_is_wrong(tmp_path):
    with pytest.raises(DataError) as error:
        submission.read(written(tmp_path, "a,5 1 1 2", "b,23 3", "z,"), frames("a", "b", "c"))
    assert len(error.value.sentences) == 4


@pytest.mark.parametrize("text", ["", "image,rle\na,1 2\n", "id,predicted,score\na,1 2,0.5\n"])
def test_a_file_of_other_columns_is_refused(tmp_path, text):
    path = tmp_path / "s.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"cannot be read|columns are"):
        submission.read(path, frames("a"))


def test_what_the_gate_refuses_is_not_written_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("the last one that passed")
    overlapping = instances(np.ones((2, HEIGHT, WIDTH), bool))
    with pytest.raises(DataError, match=r"s\.csv: masks of image a overlap"):
        submission.write(overlapping, frames("a"), path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "the last one that passed"


def test_masks_of_another_frame_are_refused(tmp_path):
    with pytest.raises(DataError, match="Image a"):
        submission.write(instances(np.ones((1, 3, 3), bool)), frames("a"), tmp_path / "s.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("subset", "annotated", "expected"),
    [
        (["train", "test", "train"], [True, False, False], ["b"]),
        (["train", "test", "train"], [True, True, False], ["c"]),
        (["train", "test", "train"], [True, True, True], ["a", "b", "c"]),
    ],
)
def test_submitted_are_unannotated_test_images_else_unannotated_ones_else_all(subset, annotated, expected):
    images = frames("a", "b", "c", subset=subset, annotated=annotated)
    assert submission.wanted(images)["image_id"].tolist() == expected


def test_the_stage_submits_the_test_images_alone(step, tmp_path, capsys):
    corner = np.zeros((1, HEIGHT, WIDTH), bool)
    corner[0, 0, 0] = True
    given = pd.concat([instances(corner, "train"), instances(corner, "test")], ignore_index=True)
    images = frames(
        "train", "test", "empty", subset=["train", "test", "test"], annotated=[True, False, False]
    )
    tables.write("images", images, tmp_path / "images.parquet")
    tables.write("instances", given, tmp_path / "instances.parquet")
    step("submit").main(
        instances=tmp_path / "instances.parquet",
        images=tmp_path / "images.parquet",
        submission=tmp_path / "out" / "s.csv",
    )
    assert (tmp_path / "out" / "s.csv").read_text() == "id,predicted\ntest,1 1\nempty,\n"
    assert capsys.readouterr().out == "1 cells in 2 images\n"


@pytest.mark.real
def test_the_real_truth_passes_through_the_stages_near_its_ceiling(real_data, step, tmp_path):
    """What no method can exceed: truth overlaps and predictions must not."""
    dataset = {
        **{"format": "kaggle", "root": str(real_data / "sartorius"), "images": []},
        **{"annotations": "extra/annotations_without_images.csv", "cell_types": ["shsy5y", "astro", "cort"]},
        "policies": {"image_missing": "keep", "duplicate_mask": "drop"},
    }
    (tmp_path / "truth.yaml").write_text(yaml.safe_dump(dataset))
    file = {
        name: tmp_path / f"{name}.parquet" for name in ("images", "truth", "folds", "segments", "per_image")
    }
    tables_of = {"images": file["images"], "instances": file["truth"]}
    step("validate").main(dataset=tmp_path / "truth.yaml", **tables_of, problems=tmp_path / "problems.csv")
    step("split").main(**tables_of, n_folds=5, folds=file["folds"], summary=tmp_path / "summary.csv")

    images, truth = tables.read("images", file["images"]), tables.read("instances", file["truth"])
    small_first = truth.assign(score=(1 / truth["area"]).astype(np.float32))  # the smaller one lies on top
    cut = segmentation.disjoint(small_first, images)
    tables.write("instances", cut, file["segments"])
    step("submit").main(instances=file["segments"], images=file["images"], submission=tmp_path / "s.csv")
    back = submission.read(tmp_path / "s.csv", images)
    assert sorted(back["rle"]) == sorted(cut["rle"])

    types = back["image_id"].map(images.set_index("image_id")["cell_type"])
    tables.write("instances", back.assign(cell_type=types, score=np.float32(1)), file["segments"])
    step("evaluate").main(
        **{
            "instances": file["segments"],
            "truth": file["truth"],
            "images": file["images"],
            "folds": file["folds"],
        },
        **{"bootstrap": 10, "metrics": tmp_path / "metrics.json", "per_image": file["per_image"]},
    )
    figures = json.loads((tmp_path / "metrics.json").read_text())
    ceiling = {cell_type: part["map"] for cell_type, part in figures["per_type"].items()}
    print(f"ceiling: {figures['map']} {ceiling}, {len(truth) - len(cut)} of {len(truth)} cells lost")
    assert len(pd.read_parquet(file["per_image"])) == 312
    assert ceiling == pytest.approx({"astro": 0.951, "cort": 0.989, "shsy5y": 0.951}, abs=0.005)


def mixed(folder: Path) -> dict[str, Path]:
    """An images table of image a, its truth, and instances of images a and b."""
    cell = instances(labelled(np.ones((HEIGHT, WIDTH), np.uint8)))
    written = {"images": frames("a", subset="train", annotated=True), "truth": cell}
    written |= {"instances": pd.concat([cell, cell.assign(image_id="b")], ignore_index=True)}
    written |= {"folds": pd.DataFrame({"image_id": ["a"], "fold": np.zeros(1, np.int8)})}
    paths = {name: folder / f"{name}.parquet" for name in written}
    for name, table in written.items():
        tables.write("instances" if name == "truth" else name, table, paths[name])
    return paths


@pytest.mark.parametrize("strange", ["instances", "truth"])
def test_instances_of_images_that_are_not_in_the_table_are_not_scored_without_a_word(tmp_path, step, strange):
    paths = mixed(tmp_path)
    given = (
        paths
        if strange == "instances"
        else paths | {"truth": paths["instances"], "instances": paths["truth"]}
    )
    with pytest.raises(
        DataError, match=r"instances\.parquet: image b has instances but is not in the images table"
    ):
        step("evaluate").main(
            **given, bootstrap=2, metrics=tmp_path / "m.json", per_image=tmp_path / "p.parquet"
        )
    assert not (tmp_path / "m.json").exists()


def test_instances_of_images_that_are_not_in_the_table_are_not_left_out_of_a_submission(tmp_path, step):
    paths = mixed(tmp_path)
    with pytest.raises(
        DataError, match=r"instances\.parquet: image b has instances but is not in the images table"
    ):
        step("submit").main(
            images=paths["images"], instances=paths["instances"], submission=tmp_path / "s.csv"
        )
    assert not (tmp_path / "s.csv").exists()
