"""Broken inputs of every kind: each ends in its own sentence and exit status 1, and leaves nothing behind."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from neuroseg import tables
from neuroseg.command import run
from neuroseg.errors import DataError

HEIGHT, WIDTH = 30, 40
HEADER = "id,annotation,width,height,cell_type,plate_time,sample_date,sample_id,elapsed_timedelta"
CELLS = {"a": ["1 8 41 8 81 8", "221 5 261 5 301 5 341 5"], "b": ["41 9 81 9"]}


def rows(**changes: str) -> list[str]:
    """The sound CSV's lines; `line_3="..."` puts another in place of the third."""
    sound = [f"{name},{text},{WIDTH},{HEIGHT},cort,,,," for name, texts in CELLS.items() for text in texts]
    lines = [HEADER, *sound]
    for place, line in changes.items():
        lines[int(place.removeprefix("line_")) - 1] = line
    return lines


def write(folder: Path, lines: list[str]) -> None:
    (folder / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def culture(folder: Path) -> Path:
    """Write a sound data set in the competition's layout, and return its dataset file."""
    (folder / "train").mkdir()
    for seed, name in enumerate(CELLS):
        image = np.random.default_rng(seed).integers(90, 170, (HEIGHT, WIDTH), np.uint8)
        Image.fromarray(image).save(folder / "train" / f"{name}.png")
    write(folder, rows())
    return settings(folder)


def settings(folder: Path, **keys: object) -> Path:
    content = {
        "format": "kaggle",
        "root": str(folder),
        "annotations": "train.csv",
        "images": ["train"],
    } | keys
    (folder / "dataset.yaml").write_text(yaml.safe_dump(content))
    return folder / "dataset.yaml"


def coco(folder: Path, content: object, **entry: object) -> None:
    (folder / "coco.json").write_text(content if isinstance(content, str) else json.dumps(content))
    entries = [{"annotations": "coco.json", "images": "train", "subset": "train"} | entry]
    text = {"format": "coco", "root": str(folder), "annotations": entries}
    (folder / "dataset.yaml").write_text(yaml.safe_dump(text))


def coco_content(**changes: object) -> dict[str, object]:
    image = {"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}
    cell = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[2, 2, 9, 2, 9, 9, 2, 9]]}
    return {"images": [image], "annotations": [cell], "categories": [{"id": 1, "name": "cort"}]} | changes


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def plate_map(folder: Path, text: str) -> None:
    (folder / "map.csv").write_text(text)
    settings(folder, plate_map="map.csv", pattern="(?P<well>.)")


BROKEN: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    # the dataset file
    "dataset file missing": (lambda d: (d / "dataset.yaml").unlink(), ("dataset.yaml", "cannot be read")),
    "dataset file no yaml": (lambda d: (d / "dataset.yaml").write_text("a: [1"), ("dataset.yaml", "no YAML")),
    "dataset file a picture": (lambda d: (d / "dataset.yaml").write_bytes(b"\x89PNG\xff"), ("no YAML",)),
    "key misspelt": (lambda d: settings(d, imagess=["train"]), ("imagess", "the nearest is images")),
    "check misspelt": (lambda d: settings(d, policies={"holes": "keep"}), ("no check 'holes'", "hole, ")),
    "policy unknown": (lambda d: settings(d, policies={"hole": "ignore"}), ("policies.hole", "'repair'")),
    "policy senseless": (
        lambda d: settings(d, policies={"image_missing": "repair"}),
        ("'repair' makes no sense for image_missing", "error, drop, keep"),
    ),
    "limit senseless": (
        lambda d: settings(d, limits={"large_share": 10}),
        ("large_share", "from 0 to below 1"),
    ),
    "limit too low": (
        lambda d: settings(d, limits={"duplicate_iou": 0.4}),
        ("duplicate_iou", "from 0.5 to below 1"),
    ),
    "root missing": (
        lambda d: settings(d, root=str(d / "elsewhere")),
        ("elsewhere/train.csv", "No such file"),
    ),
    "folder missing": (lambda d: settings(d, test_images=["test"]), ("test: there is no such folder",)),
    # the CSV
    "csv missing": (lambda d: (d / "train.csv").unlink(), ("train.csv", "cannot be read")),
    "csv empty": (lambda d: (d / "train.csv").write_text(""), ("train.csv", "no CSV table")),
    "csv without rows": (lambda d: write(d, [HEADER]), ("train.csv", "hold no row")),
    "csv a picture": (
        lambda d: (d / "train.csv").write_bytes(b"\x89PNG\xff\xfe\x00\n\xff"),
        ("no CSV table",),
    ),
    "csv of other columns": (
        lambda d: write(d, ["id,mask", "a,1 2"]),
        ("lack the columns annotation, width,",),
    ),
    "csv of semicolons without sizes": (
        lambda d: write(d, ["id;annotation;cell_type", "a;1 2;cort"]),
        ("lack the columns width, height: parted by semicolons they hold id, annotation, cell_type;",),
    ),
    "csv in UTF-16 that does not say so": (
        lambda d: (d / "train.csv").write_bytes("\n".join(rows()).encode("utf-16-le")),
        ("no CSV table in UTF-8", "as UTF-16 does", "save them as CSV UTF-8"),
    ),
    "csv in an old encoding": (
        lambda d: (d / "train.csv").write_bytes("\n".join(rows()).replace("a,", "ä,").encode("cp1252")),
        ("no CSV table in UTF-8", "save them as CSV UTF-8"),
    ),
    "csv cut short": (
        lambda d: (d / "train.csv").write_text("\n".join(rows())[:-20]),
        ("train.csv:4", "no size in pixels"),
    ),
    "csv with bars": (
        lambda d: write(d, [line.replace(",", "|") for line in rows()]),
        ("lack the columns id,",),
    ),
    "csv with a field too many": (
        lambda d: write(d, rows(line_3=rows()[2] + ",x,y")),
        ("no CSV table", "line 3"),
    ),
    "id empty": (
        lambda d: write(d, rows(line_3=rows()[2].replace("a,", ",", 1))),
        ("train.csv:3", "id is empty"),
    ),
    "width no number": (
        lambda d: write(d, rows(line_3=rows()[2].replace(",40,", ",wide,"))),
        ("train.csv:3", "width 'wide'"),
    ),
    "rows of one image disagree": (
        lambda d: write(d, rows(line_3=rows()[2].replace("cort", "astro"))),
        ("train.csv:3 (image a)", "cell_type differ", "train.csv:2"),
    ),
    "time unreadable": (
        lambda d: write(d, [HEADER, *(line + "noon" for line in rows()[1:])]),
        ("train.csv:2 (image a)", "train.csv:4 (image b)", "'noon' is no span"),
    ),
    "cell type unknown": (
        lambda d: settings(d, cell_types=["astro"]),
        ("train.csv:2 (image a)", "'cort' is not among astro"),
    ),
    # the masks
    "mask of letters": (
        lambda d: write(d, rows(line_4="b,1 x,40,30,cort,,,,")),
        ("train.csv:4 (image b)", "'1 x'"),
    ),
    "mask of an odd count": (
        lambda d: write(d, rows(line_4="b,1 9 50,40,30,cort,,,,")),
        ("train.csv:4", "no list of"),
    ),
    "mask starts at 0": (lambda d: write(d, rows(line_4="b,0 9,40,30,cort,,,,")), ("train.csv:4", "'0 9'")),
    "mask empty": (
        lambda d: write(d, rows(line_3="a,,40,30,cort,,,,")),
        ("train.csv:3 (image a)", "no list of pairs"),
    ),
    "mask past the frame": (
        lambda d: write(d, rows(line_4="b,1190 20,40,30,cort,,,,")),
        ("train.csv:4 (image b)", "past the frame of 30 x 40 pixels", "`rle_range: repair`"),
    ),
    "mask out of order": (
        lambda d: write(d, rows(line_4="b,81 9 41 9,40,30,cort,,,,")),
        ("train.csv:4 (image b)", "do not ascend", "`rle_order: repair`"),
    ),
    "mask over itself": (
        lambda d: write(d, rows(line_4="b,41 9 45 9,40,30,cort,,,,")),
        ("train.csv:4 (image b)", "names a pixel twice", "`rle_overlap: repair`"),
    ),
    "mask twice": (
        lambda d: write(d, [*rows(), rows()[1]]),
        ("train.csv:5 (image a)", "identical to the one of train.csv:2"),
    ),
    "mask of the whole frame": (
        lambda d: write(d, rows(line_4="b,1 1200,40,30,cort,,,,")),
        ("train.csv:4", "100.0 %, more than 10 %"),
    ),
    # the images
    "image missing": (
        lambda d: (d / "train" / "a.png").unlink(),
        ("train.csv:2 (image a)", "a.png is not there"),
    ),
    "image cut short": (
        lambda d: half(d / "train" / "a.png"),
        ("train.csv:2 (image a)", "cannot be decoded"),
    ),
    "image of text": (
        lambda d: (d / "train" / "b.png").write_text("404"),
        ("(image b)", "cannot be decoded"),
    ),
    "image of another size": (
        lambda d: Image.fromarray(np.eye(WIDTH, HEIGHT, dtype=np.uint8)).save(d / "train" / "a.png"),
        ("has 40 x 30 pixels, its annotation states 30 x 40",),
    ),
    "image in colour": (
        lambda d: Image.new("RGB", (WIDTH, HEIGHT), "red").save(d / "train" / "a.png"),
        ("(image a)", "is in colour"),
    ),
    "image constant": (
        lambda d: Image.new("L", (WIDTH, HEIGHT), 128).save(d / "train" / "a.png"),
        ("(image a)", "the same grey value everywhere"),
    ),
    "image of two endings": (
        lambda d: Image.fromarray(np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)).save(
            d / "train" / "a.tif"
        ),
        ("the id a is taken by train.csv:2 already",),
    ),
    "image in train and test": (
        lambda d: settings(d, test_images=["train"]),
        ("train/a.png (image a)", "the id a is taken", "the id b is taken"),
    ),
    # COCO, folders, plate maps
    "coco missing": (lambda d: coco(d, "{}", annotations="other.json"), ("other.json", "mark it optional")),
    "coco all optional and missing": (
        lambda d: coco(d, "{}", annotations="other.json", optional=True),
        ("no entry's annotations are there",),
    ),
    "coco cut short": (
        lambda d: coco(d, json.dumps(coco_content())[:-30]),
        ("coco.json", "no JSON", "column"),
    ),
    "coco of another kind": (lambda d: coco(d, [1, 2]), ("coco.json", "lacks the list 'images'")),
    "coco image without size": (
        lambda d: coco(d, coco_content(images=[{"id": 1, "file_name": "a.png", "height": 0, "width": 7}])),
        ("coco.json:images[0]", "no size in pixels"),
    ),
    "coco image twice": (
        lambda d: coco(d, coco_content(images=coco_content()["images"] * 2)),
        ("coco.json:images[1] (image a)", "number 1 occurs twice"),
    ),
    "coco annotation of no image": (
        lambda d: coco(d, coco_content(images=[coco_content()["images"][0] | {"id": 9}])),
        ("coco.json:annotations[0]", "no image of number 1"),
    ),
    "coco category unknown": (
        lambda d: coco(d, coco_content(categories=[])),
        ("coco.json:annotations[0] (image a)", "category is not listed"),
    ),
    "coco polygon far out": (
        lambda d: coco(
            d,
            coco_content(
                annotations=[coco_content()["annotations"][0] | {"segmentation": [[2, 2, 60, 2, 9, 9]]}]
            ),
        ),
        ("coco.json:annotations[0] (image a)", "outline reaches past the frame of 30 x 40 pixels"),
    ),
    "coco polygon of a line": (
        lambda d: coco(
            d,
            coco_content(
                annotations=[coco_content()["annotations"][0] | {"segmentation": [[2, 2, 2, 2, 2, 2]]}]
            ),
        ),
        ("coco.json:annotations[0] (image a)", "the mask has no pixel"),
    ),
    "folder without images": (
        lambda d: (d / "dataset.yaml").write_text(f"{{format: folder, root: {d}, images: [.git]}}"),
        (".git: there is no such folder",),
    ),
    "folder of texts": (
        lambda d: (
            (d / "texts").mkdir(),
            (d / "dataset.yaml").write_text(f"{{format: folder, root: {d / 'texts'}}}"),
        ),
        ("texts: there is no PNG, TIFF or JPEG image",),
    ),
    "plate map missing": (
        lambda d: settings(d, plate_map="map.csv", pattern="(?P<well>.)"),
        ("map.csv", "plate map"),
    ),
    "plate map without treatment": (
        lambda d: plate_map(d, "well,dose\na,1\n"),
        ("map.csv", "column treatment"),
    ),
    "plate map twice": (lambda d: plate_map(d, "well,treatment\na,x\na,y\n"), ("map.csv:3", "occurs twice")),
}


def outputs(folder: Path) -> dict[str, Path]:
    return {name: folder / "out" / f"{name}.parquet" for name in ("images", "instances", "problems")}


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("out/**/*") if path.is_file())


def test_the_unbroken_input_passes(tmp_path, step):
    step("validate").main(dataset=culture(tmp_path), **outputs(tmp_path))
    assert len(tables.read("instances", outputs(tmp_path)["instances"])) == 3
    assert left_behind(tmp_path) == ["images.parquet", "instances.parquet", "problems.parquet"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_input_ends_in_its_own_sentence(tmp_path, step, name):
    spoil, words = BROKEN[name]
    file = culture(tmp_path)
    spoil(tmp_path)
    with pytest.raises(DataError) as caught:
        step("validate").main(dataset=file, **outputs(tmp_path))
    said = "\n".join(caught.value.sentences)
    assert all(word in said for word in words), said
    assert all(sentence.endswith(".") for sentence in caught.value.sentences)
    assert left_behind(tmp_path) == []


def test_all_that_is_wrong_is_said_at_once(tmp_path, step):
    file = culture(tmp_path)
    write(
        tmp_path,
        [*rows(line_2="a,1 x,40,30,cort,,,,", line_3="a,1190 20,40,30,cort,,,,"), "c,1 9,40,30,cort,,,,"],
    )
    half(tmp_path / "train" / "b.png")
    with pytest.raises(DataError) as caught:
        step("validate").main(dataset=file, **outputs(tmp_path))
    starts = [sentence.split(":", 2)[:2] for sentence in caught.value.sentences]
    assert [":".join(start) for start in starts] == [
        "train.csv:5 (image c)",
        "train.csv:4 (image b)",
        "train.csv:2 (image a)",
        "train.csv:3 (image a)",
    ]


# ----------------------------------------------------------------------------------------------- as a command


def command(script: str, folder: Path, *flags: object) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[1]
    line = [sys.executable, str(root / "scripts" / f"{script}.py"), *map(str, flags)]
    return subprocess.run(
        line, capture_output=True, text=True, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


@pytest.mark.parametrize(
    ("ending", "status", "said"),
    [
        (KeyboardInterrupt, 130, "interrupted"),
        (
            OSError(28, "No space left on device"),
            1,
            "the disk is full, or your share of it; make room and run this again",
        ),
    ],
)
def test_what_ends_a_command_from_outside_is_a_sentence_without_traceback(
    monkeypatch, capsys, ending, status, said
):
    def main(*, seed: int) -> None:
        """Draw."""
        raise ending

    monkeypatch.setattr(sys, "argv", ["draw", "--seed", "1"])
    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == status
    assert capsys.readouterr().err == f"error: {said}\n"


@pytest.mark.parametrize(
    "name", ["mask past the frame", "image cut short", "csv missing", "policy senseless"]
)
def test_the_command_exits_with_1_a_sentence_and_no_traceback(tmp_path, name):
    spoil, words = BROKEN[name]
    file = culture(tmp_path)
    spoil(tmp_path)
    flags = [part for key, path in outputs(tmp_path).items() for part in (f"--{key}", path)]
    done = command("validate", tmp_path, "--dataset", file, *flags)
    assert done.returncode == 1
    assert done.stdout == ""
    assert all(word in done.stderr for word in words)
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())
    assert left_behind(tmp_path) == []


BROKEN_TABLES: dict[str, tuple[Callable[[dict[str, Path]], object], dict[str, int], tuple[str, ...]]] = {
    "images missing": (lambda files: files["images"].unlink(), {}, ("images.parquet", "no such file")),
    "images cut short": (lambda files: half(files["images"]), {}, ("images.parquet", "damaged")),
    "images of another kind": (
        lambda files: files["images"].write_bytes(files["instances"].read_bytes()),
        {},
        ("expected a table of images, this is instances",),
    ),
    "instances of another set": (
        lambda files: tables.write(
            "instances",
            tables.read("instances", files["instances"]).assign(image_id="zz", instance_id=[0, 1, 2]),
            files["instances"],
        ),
        {},
        ("image zz",),
    ),
    "too many folds": (lambda files: None, {"n_folds": 3}, ("3 folds are asked of 2 groups",)),
    "one fold": (lambda files: None, {"n_folds": 1}, ("n_folds is 1",)),
}


@pytest.mark.parametrize("name", BROKEN_TABLES)
def test_split_refuses_broken_tables_and_senseless_folds(tmp_path, step, name):
    spoil, numbers, words = BROKEN_TABLES[name]
    files = outputs(tmp_path)
    step("validate").main(dataset=culture(tmp_path), **files)
    spoil(files)
    results = {"folds": tmp_path / "split" / "folds.parquet", "summary": tmp_path / "split" / "summary.csv"}
    with pytest.raises(DataError) as caught:
        step("split").main(
            images=files["images"], instances=files["instances"], **{"n_folds": 2} | numbers, **results
        )
    assert all(word in str(caught.value) for word in words)
    assert not (tmp_path / "split").exists()


def test_both_commands_run_from_files_to_folds(tmp_path):
    files = outputs(tmp_path)
    flags = [part for key, path in files.items() for part in (f"--{key}", path)]
    assert command("validate", tmp_path, "--dataset", culture(tmp_path), *flags).returncode == 0
    done = command(
        "split",
        tmp_path,
        *("--images", files["images"], "--instances", files["instances"], "--n-folds", 2),
        *("--folds", tmp_path / "folds.parquet", "--summary", tmp_path / "summary.csv"),
    )
    assert done.returncode == 0, done.stderr
    assert sorted(tables.read("folds", tmp_path / "folds.parquet")["fold"]) == [0, 1]
    assert pd.read_csv(tmp_path / "summary.csv")["cells"].tolist() in ([2, 1], [1, 2])
