"""Tables are refused when they break their declaration, and survive a crash of the writer."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from neuroseg import files, tables
from neuroseg.errors import DataError

COVERAGE = tables.Coverage(images=("a", "b"), sources=("m/0/none",))


def images(**changes) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "image_id": ["a", "b"],
            "path": ["a.png", "b.png"],
            "height": [520, 520],
            "width": [704, 704],
            "cell_type": ["cort", None],
            "group": ["w1", "w2"],
            "subset": ["train", "test"],
            "annotated": [True, False],
            "sample": ["s1", None],
            "plate": [None, None],
            "well": [None, None],
            "field": ["1", None],
            "time": [11.5, None],
            "treatment": [None, None],
            "dose": ["0.5", None],
            "dose_unit": [None, None],
            "pixel_size_um": [None, None],
        }
    )
    return frame.assign(**changes)


def detections(count: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "image_id": ["a"] * count,
            "cell_type": "cort",
            "score": np.linspace(1, 0, count, dtype=np.float32),
            "x1": np.float32(1),
            "y1": np.float32(2),
            "x2": np.float32(11),
            "y2": np.float32(12),
            "mask": tables.patch_column(rng.integers(0, 256, (count, 28, 28), np.uint8)),
            "source": "m/0/none",
        }
    )


def test_a_table_comes_back_as_it_was_written(tmp_path):
    tables.write("images", images(), tmp_path / "images.parquet")
    again = tables.read("images", tmp_path / "images.parquet")
    expected = images()
    assert again.columns.tolist() == expected.columns.tolist()
    assert again.astype(object).where(again.notna(), None).to_dict("records") == expected.astype(
        object
    ).where(expected.notna(), None).to_dict("records")


def test_patches_come_back_as_they_were_written(tmp_path):
    frame = detections(5)
    tables.write("detections", frame, tmp_path / "d.parquet", COVERAGE)
    again = tables.read("detections", tmp_path / "d.parquet")
    assert (tables.patches(again) == tables.patches(frame)).all()
    assert tables.patches(again.iloc[[3, 1]]).tolist() == tables.patches(frame)[[3, 1]].tolist()


def test_coverage_names_images_in_which_nothing_was_found(tmp_path):
    tables.write("detections", detections(0), tmp_path / "d.parquet", COVERAGE)
    assert tables.read_coverage(tmp_path / "d.parquet") == COVERAGE
    assert len(tables.read("detections", tmp_path / "d.parquet")) == 0


def test_a_detections_table_without_coverage_is_refused(tmp_path):
    with pytest.raises(TypeError, match="coverage"):
        tables.write("detections", detections(1), tmp_path / "d.parquet")


def test_reading_some_images_gives_their_rows_only(tmp_path):
    tables.write("images", images(), tmp_path / "images.parquet")
    assert tables.read("images", tmp_path / "images.parquet", images=["b"])["image_id"].tolist() == ["b"]


@pytest.mark.parametrize("name", list(tables.SCHEMAS))
def test_an_empty_table_can_be_written_and_read(tmp_path, name):
    coverage = COVERAGE if name == "detections" else None
    tables.write(name, tables.empty(name), tmp_path / "t.parquet", coverage)
    assert tables.read(name, tmp_path / "t.parquet").columns.tolist() == tables.SCHEMAS[name].names


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_id": ["a", "a"]}, "row 1 .*image a.* image_id occurs twice"),
        ({"height": [520, 0]}, "row 1 .*image b.* must be positive"),
        ({"subset": ["train", "holdout"]}, "subset must be one of train, val, test"),
        ({"group": ["w1", None]}, "group is empty"),
        ({"height": ["tall", "taller"]}, "no images table"),
    ],
)
def test_a_broken_row_is_named(tmp_path, changes, words):
    with pytest.raises(DataError, match=words):
        tables.write("images", images(**changes), tmp_path / "images.parquet")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("score", np.float32("nan"), "score is empty"),
        ("score", np.float32(-1), "score must be"),
        ("x2", 1, "box is empty"),
    ],
)
def test_a_broken_detection_is_named(tmp_path, column, value, words):
    frame = detections(3).assign(**{column: value})
    with pytest.raises(DataError, match=words):
        tables.write("detections", frame, tmp_path / "d.parquet", COVERAGE)


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(DataError, match="lacks the column path"):
        tables.write("images", images().drop(columns="path"), tmp_path / "images.parquet")


def test_another_table_is_not_taken_for_this_one(tmp_path):
    tables.write("images", images(), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="expected a table of folds, this is images"):
        tables.read("folds", tmp_path / "t.parquet")


def test_a_foreign_parquet_file_is_refused(tmp_path):
    images().to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="none of ours"):
        tables.read("images", tmp_path / "t.parquet")


def test_a_damaged_file_is_refused_with_the_way_to_mend_it(tmp_path):
    path = tmp_path / "images.parquet"
    tables.write("images", images(), path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"images\.parquet: the file is damaged .* delete it"):
        tables.read("images", path)


def test_a_bit_flipped_in_the_data_is_noticed(tmp_path):
    path = tmp_path / "d.parquet"
    tables.write("detections", detections(200), path, COVERAGE)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        tables.read("detections", path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        tables.read("images", tmp_path / "none.parquet")


def test_a_failing_writer_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")

    def fail() -> None:
        with files.replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_replacing_never_writes_through_a_hard_link(tmp_path):
    (tmp_path / "cache").write_text("old")
    (tmp_path / "out").hardlink_to(tmp_path / "cache")
    with files.replacing(tmp_path / "out") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "cache").read_text() == "old"


def test_equal_tables_are_equal_files(tmp_path):
    for name in ("one", "two"):
        tables.write("detections", detections(7), tmp_path / name, COVERAGE)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def crowd(images: str, each: int) -> pd.DataFrame:
    frame = detections(each * len(images))
    return frame.assign(image_id=np.repeat(list(images), each))


def test_a_table_written_in_pieces_reads_as_one(tmp_path):
    coverage = tables.Coverage(tuple("abcd"), COVERAGE.sources)
    whole = crowd("abcd", 3)
    with tables.writing("detections", tmp_path / "d.parquet", coverage) as append:
        append(whole[:3])
        append(whole[3:3])
        append(whole[3:])
    again = tables.read("detections", tmp_path / "d.parquet")
    assert again["image_id"].tolist() == list("aaabbbcccddd")
    assert (tables.patches(again) == tables.patches(whole)).all()
    assert tables.read_coverage(tmp_path / "d.parquet") == coverage


def test_small_pieces_share_a_row_group_and_large_ones_do_not(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 4)
    with tables.writing("folds", tmp_path / "f.parquet") as append:
        for image in "abcdefghij":
            append(pd.DataFrame({"image_id": [image], "fold": [0]}))
    groups = pq.ParquetFile(tmp_path / "f.parquet").metadata
    assert [groups.row_group(group).num_rows for group in range(groups.num_row_groups)] == [4, 4, 2]


def test_a_piece_that_is_refused_leaves_nothing_behind(tmp_path):
    def fail() -> None:
        with tables.writing("detections", tmp_path / "d.parquet", COVERAGE) as append:
            append(crowd("a", 2))
            append(crowd("b", 2).assign(score=np.float32(-1)))

    with pytest.raises(DataError, match="score must be"):
        fail()
    assert not list(tmp_path.iterdir())


def test_an_images_rows_come_in_one_piece(tmp_path):
    def fail() -> None:
        with tables.writing("detections", tmp_path / "d.parquet", COVERAGE) as append:
            append(crowd("a", 2))
            append(crowd("ba", 2))

    with pytest.raises(ValueError, match="image a come in two pieces"):
        fail()


@pytest.mark.parametrize("changes", [{"image_id": "c"}, {"source": "m/1/none"}])
def test_what_the_coverage_does_not_name_is_refused(tmp_path, changes):
    with pytest.raises(DataError, match="outside the coverage"):
        tables.write("detections", crowd("ab", 1).assign(**changes), tmp_path / "d.parquet", COVERAGE)


def test_reading_image_by_image_in_the_files_order_decodes_each_row_group_once(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 4)
    tables.write(
        "detections",
        crowd("abcde", 3),
        tmp_path / "d.parquet",
        tables.Coverage(tuple("abcdef"), ("m/0/none",)),
    )
    decoded = []
    read_row_group = pq.ParquetFile.read_row_group

    def spy(self, group, columns=None, **options):
        if columns is None:
            decoded.append(group)
        return read_row_group(self, group, columns=columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", spy)
    with tables.reading("detections", tmp_path / "d.parquet") as rows_of:
        found = [rows_of([image]) for image in "abcdef"]
        last = rows_of(["e", "b"])
    assert [frame["image_id"].tolist() for frame in found] == [[image] * 3 for image in "abcde"] + [[]]
    assert decoded == [0, 1, 2, 3, 0, 1, 3]  # f is nowhere and lets all go; then those of b and e once more
    assert last["image_id"].tolist() == list("bbbeee")  # in the file's order
    assert (tables.patches(last) == tables.patches(crowd("abcde", 3))[[3, 4, 5, 12, 13, 14]]).all()


def test_images_of_many_detections_are_held_by_themselves(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "BATCH", 3)
    monkeypatch.setattr(tables, "MOST_ROWS", 5)
    names = "abcdefgh"
    rows = pd.concat(
        [
            detections(count).assign(image_id=name)
            for name, count in {"a": 9, "b": 2, "c": 3, "d": 1, "e": 7}.items()
        ]
    )
    coverage = tables.Coverage(tuple(names), ("m/0/none",))
    tables.write("detections", rows, tmp_path / "d.parquet", coverage)
    lots = list(tables.batches(tmp_path / "d.parquet", names))
    assert ["".join(lot) for lot in lots] == ["a", "bc", "d", "e", "fgh"]
