"""Raw files by content: what is replaced, added or removed is computed anew, what was only touched is not."""

import os
import re
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from chain import copy, snakemake
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from workflow import listing, plan  # noqa: E402

from neuroseg import readers  # noqa: E402


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder of two images, one of them in a folder of its own; the working folder is another."""
    images = tmp_path / "images"
    (images / "plate").mkdir(parents=True)
    (images / "a.png").write_bytes(b"first")
    (images / "plate" / "b.tif").write_bytes(b"second")
    (tmp_path / "working").mkdir()
    monkeypatch.chdir(tmp_path / "working")
    return images


def listed(folder: Path, *named: str) -> str:
    return Path(listing.update("own", folder, ["."], named)).read_text()


def overwrite(path: Path, content: bytes) -> None:
    """Give a file another content of the same length, and its old date."""
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def test_an_image_overwritten_by_one_of_the_same_size_and_date_is_noticed(folder):
    before = listed(folder)
    overwrite(folder / "a.png", b"other")
    assert listed(folder) != before


@pytest.mark.parametrize("change", ["added", "removed", "renamed", "swapped"])
def test_a_change_of_the_images_is_noticed(folder, change):
    before = listed(folder)
    first, second = folder / "a.png", folder / "plate" / "b.tif"
    if change == "added":
        (folder / "plate" / "c.png").write_bytes(b"third")
    elif change == "removed":
        second.unlink()
    elif change == "renamed":
        second.rename(second.with_name("d.tif"))
    else:
        first.write_bytes(b"second")
        second.write_bytes(b"first")
    assert listed(folder) != before


def test_touched_copied_and_restored_images_change_nothing_and_keep_the_listings_date(folder):
    before, path = listed(folder), listing.FOLDER / "own"
    dated = path.stat().st_mtime_ns
    os.utime(folder / "a.png")
    shutil.copy(folder / "a.png", folder / "new")
    (folder / "new").replace(folder / "a.png")
    (folder / "a.png").chmod(0o600)
    assert listed(folder) == before
    assert path.stat().st_mtime_ns == dated


def test_what_is_no_image_counts_only_where_it_is_named(folder):
    (folder / "plate_map.csv").write_text("well,treatment\n")
    (folder / ".hidden.png").write_bytes(b"preview")
    before, mapped = listed(folder), listed(folder, "plate_map.csv")
    (folder / "plate_map.csv").write_text("well,treatment\nA1,BDNF\n")
    (folder / ".hidden.png").write_bytes(b"another")
    (folder / "notes.txt").write_text("fed on Monday\n")
    assert listed(folder) == before
    assert listed(folder, "plate_map.csv") != mapped


def test_linked_folders_are_followed_and_a_circle_of_links_ends(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "c.png").write_bytes(b"third")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "plate" / "up").symlink_to(folder)
    before = listed(folder)
    assert before.endswith(" 3 files\n")
    overwrite(tmp_path / "elsewhere" / "c.png", b"fifth")
    assert listed(folder) != before


def test_a_listing_is_as_old_as_the_change_that_it_tells_of(folder):
    """So what was computed after the change is not computed anew when the listing is first made."""
    listed(folder)
    changed = max(path.stat().st_ctime_ns for path in (folder, *folder.rglob("*")))
    assert (listing.FOLDER / "own").stat().st_mtime_ns == changed <= time.time_ns()


def test_a_change_during_a_run_is_younger_than_the_tables_that_were_made_without_it(folder, tmp_path):
    listed(folder)
    (folder / "a.png").write_bytes(b"other")  # after the job has read it
    table = tmp_path / "working" / "images.parquet"
    table.write_bytes(b"of the first image")
    listed(folder)
    assert (listing.FOLDER / "own").stat().st_mtime_ns >= table.stat().st_mtime_ns


@pytest.mark.parametrize("name", ["Index.idx.xml", "plate/Index.xml", "../Index.ref.xml"])
def test_an_operettas_index_counts_as_it_tells_the_size_of_a_pixel(folder, name):
    before = listed(folder)
    (folder / name).write_text("<ImageResolutionX>6.5e-07</ImageResolutionX>")
    first = listed(folder)
    assert first != before
    (folder / name).write_text("<ImageResolutionX>3.2e-07</ImageResolutionX>")
    assert listed(folder) not in (first, before)


def test_the_listing_knows_the_indices_that_the_readers_read():
    assert listing.INDICES == readers.images.scale._INDICES


def test_a_listing_of_a_missing_folder_is_of_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert listed(tmp_path / "missing").endswith(" 0 files\n")


def test_only_what_changed_is_read_again(folder, monkeypatch):
    listed(folder)
    read = []
    monkeypatch.setattr(listing, "_content", lambda path: read.append(path.name) or "content")
    listed(folder)
    assert not read
    (folder / "a.png").write_bytes(b"other")
    listed(folder)
    assert read == ["a.png"]


def test_a_damaged_memory_of_the_last_listing_makes_all_files_be_read(folder):
    before = listed(folder)
    (listing.FOLDER / "own.json").write_text("[1, 2")
    assert listed(folder) == before


def test_the_listing_knows_the_images_that_the_readers_read():
    assert listing.SUFFIXES == readers.images.pixels.SUFFIXES


def test_the_listing_knows_the_outlines_beside_images_and_in_a_folder_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "datasets").mkdir(parents=True)
    text = "format: labels\nroot: raw\nimages: [images]\nannotations: masks\n"
    (tmp_path / "configs" / "datasets" / "labelled.yaml").write_text(text)
    for name in ("images/a.png", "masks/a.tif", "masks/b_seg.npy", "notes.txt"):
        (tmp_path / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "raw" / name).write_bytes(b"content")
    (path,) = plan.raw("labelled")
    assert Path(path).read_text().endswith(" 3 files\n")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A clone with a dataset of two images, whose tables are made."""
    clone = copy(tmp_path_factory.mktemp("checkout"))
    (clone / "configs" / "datasets" / "own.yaml").write_text(
        "format: folder\nroot: data/own\ndetectors: demo\n"
    )
    images = clone / "data" / "own"
    images.mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.png")):
        Image.fromarray(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64) + number).save(images / name)
    snakemake("--cores", "1", TABLE, folder=clone)
    return clone


TABLE = "results/own/validate/images.parquet"


def planned(clone: Path) -> str:
    return snakemake("-n", TABLE, folder=clone).stdout


def test_snakemake_checks_images_anew_when_one_was_replaced_under_its_old_date_and_else_does_nothing(
    checkout,
):
    image, table = checkout / "data" / "own" / "a.png", checkout / TABLE
    before = table.read_bytes()
    os.utime(image)
    assert "Nothing to be done" in planned(checkout)
    dated = image.stat().st_mtime_ns
    shutil.copy(image.with_name("b.png"), image)
    os.utime(image, ns=(dated, dated))
    assert "Updated input files" in planned(checkout)
    assert "Updated input files" in planned(checkout)  # a dry run forgets nothing
    snakemake("--cores", "1", TABLE, folder=checkout)
    assert table.read_bytes() != before  # so predictions are made anew, though no name or size changed
    assert "Nothing to be done" in planned(checkout)


def test_snakemake_checks_images_anew_when_one_came_in_a_folder_below(checkout):
    below = checkout / "data" / "own" / "below"
    below.mkdir()
    shutil.copy2(checkout / "data" / "own" / "b.png", below / "c.png")
    assert "Updated input files" in planned(checkout)
    shutil.rmtree(below)
    assert "Nothing to be done" in planned(checkout)


DETECTED = "results/plate/predict/starter/fold_all.parquet"
CELLS = "results/plate/segment/starter.parquet"
STAND_INS = (
    DETECTED,
    "results/plate/predict/starter/fold_all.remarks.json",
    "results/plate/ensemble/starter.parquet",
    "results/plate/ensemble/starter.weights.yaml",
    CELLS,
)


def compute(clone: Path, target: str = CELLS) -> str:
    """What is said of computing a file of the data set `plate`."""
    call = ("--cores", "1", "--config", "dataset=plate", "--", target)
    done = snakemake(*call, folder=clone, env=os.environ | {"VERBOSE": "1"})
    return done.stdout + done.stderr


@pytest.fixture
def plate(checkout) -> Path:
    """The clone with a data set of two images in two wells; its cells are stand-ins, called computed."""
    (checkout / "configs" / "datasets" / "plate.yaml").write_text(
        "format: folder\nroot: data/plate\ndetectors: starter\nplate_map: map.csv\npixel_size_um: 1.0\n"
        "pattern: '(?P<field>.)_(?P<well>..)'\n"
    )
    raw = checkout / "data" / "plate"
    raw.mkdir(exist_ok=True)
    for name in ("a", "b"):
        shutil.copy(checkout / "data" / "own" / f"{name}.png", raw / f"{name}_A{'ab'.index(name) + 1}.png")
    (raw / "map.csv").write_text("well,treatment\nA1,DMSO\nA2,Staurosporin\n")
    compute(checkout, "results/plate/split/folds.parquet")
    for path in (checkout / name for name in STAND_INS):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("stand-in")
    call = ("--touch", "--forceall", "--cores", "1", "--config", "dataset=plate", "--", CELLS)
    snakemake(*call, folder=checkout)
    return checkout


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_a_corrected_plate_map_or_pattern_detects_no_cells_anew(plate):
    table, dataset = plate / "results/plate/validate/images.parquet", plate / "configs/datasets/plate.yaml"
    for change, told in (
        (lambda: edit(plate / "data/plate/map.csv", "Staurosporin", "Staurosporine"), True),
        (lambda: edit(plate / "data/plate/map.csv", "well,", "# of May\nwell,"), False),
        (lambda: edit(dataset, "(?P<field>.)_(?P<well>..)", "(?P<plate>.)_(?P<well>..)"), True),
    ):
        before = table.read_bytes()
        change()
        said = compute(plate)
        assert "checkpoint validate:" in said
        assert not re.search("rule (predict|ensemble|segment):", said)
        assert {(plate / name).read_text() for name in STAND_INS} == {"stand-in"}
        assert (table.read_bytes() != before) == told  # what reports and wells are made of


@pytest.mark.parametrize("change", ["replaced", "pixel size"])
def test_cells_are_detected_anew_in_other_images_and_at_another_pixel_size(plate, change):
    if change == "replaced":
        turned = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)[::-1]
        Image.fromarray(turned).save(plate / "data/plate/a_A1.png")
    else:
        edit(plate / "configs/datasets/plate.yaml", "pixel_size_um: 1.0", "pixel_size_um: 0.5")
    compute(plate, "results/plate/split/folds.parquet")
    said = snakemake("-n", "--config", "dataset=plate", "--", DETECTED, folder=plate).stdout
    assert "rule predict:" in said
    assert "checkpoint validate:" not in said


def test_data_that_are_not_there_are_missed_before_anything_runs_and_only_where_they_are_needed(checkout):
    (checkout / "more.yaml").write_text("train: {init_from: {demo: livecell}, together: {demo: {t98g: 0.2}}}")
    (checkout / "data/t98g").mkdir()

    def said(*arguments: str) -> str:
        done = snakemake("--configfile", "more.yaml", *arguments, folder=checkout, check=False)
        assert "Traceback" not in done.stderr
        return "" if done.returncode == 0 else done.stderr.splitlines()[-1]

    assert said("--unlock") == said("-n", "--", "results/demo/split/folds.parquet") == ""
    assert said("--cores", "1").startswith("error: data/t98g is empty: put the images there, ")
    (checkout / "data/t98g/a.png").touch()
    assert said("-n").startswith("error: data/livecell does not exist: download LIVECell's images and ")
    made = checkout / "results/livecell/validate"
    made.mkdir(parents=True)
    (made / "images.parquet").touch()
    assert said("-n").startswith("error: data/livecell does not exist: ")
    (made / "instances.parquet").touch()
    assert said("-n") == ""


@pytest.mark.parametrize("emptied", [False, True])
def test_tables_whose_images_are_on_a_disk_that_is_away_stay(checkout, emptied):
    images, away = checkout / "data/own", checkout / "away"
    before = (checkout / TABLE).read_bytes()
    images.rename(away)
    try:
        if emptied:
            images.mkdir()
        assert "Nothing to be done" in snakemake("--cores", "1", TABLE, folder=checkout).stderr
        assert (checkout / TABLE).read_bytes() == before
    finally:
        if emptied:
            images.rmdir()
        away.rename(images)
    assert "Nothing to be done" in snakemake("--cores", "1", TABLE, folder=checkout).stderr


def test_the_listing_holds_what_a_dataset_file_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/livecell/images").mkdir(parents=True)
    told = []
    monkeypatch.setattr(listing, "update", lambda *given, drawn: told.append((*given, drawn)) or "listing")
    assert plan.raw("demo") == ["listing", "data/demo"]
    assert plan.raw("livecell") == ["listing"]
    (tmp_path / "configs/datasets").mkdir(parents=True)
    (tmp_path / "configs/datasets/again.yaml").write_text("{format: sartorius, root: ./data/demo}")
    assert plan.raw("again") == ["listing", "data/demo"]
    assert told[0] == ("demo", "data/demo", ["train", "test"], ["train.csv", "plate_map.csv"], True)
    assert told[1][3] == [f"livecell_coco_{subset}.json" for subset in ("train", "val", "test")]


def test_a_full_disk_leaves_no_half_written_file(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(OSError, match="No space"):
        listing.replace(tmp_path / "list.yaml", "text")
    assert not list(tmp_path.iterdir())
