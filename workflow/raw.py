"""What a dataset is read from: its raw files, listed by content, and the folder that the demo draws."""

import os
from pathlib import Path

from workflow import listing, screen
from workflow.configs import file, read

SIMULATED = "data/demo"
"""The raw data that the chain draws by itself; all other raw data are put into data/ by hand or by DVC."""


def raw(dataset: str) -> list[str]:
    """Return what `validate` reads: a listing of the raw files by content, and the folder that is drawn.

    It is asked while Snakemake plans, for each data set whose tables a run takes.

    Raises:
        SystemExit: neither raw files nor tables are there; its message is all that is said.
    """
    content = read("datasets", dataset)
    root, entries = content["root"], content.get("annotations", [])
    drawn = os.path.normpath(root) == SIMULATED
    if not drawn:
        _stop_without_data(dataset, Path(root))
    entries = [{"annotations": entries}] if isinstance(entries, str) else entries
    folders = [entry["images"] for entry in entries if "images" in entry]
    folders += [folder for key in ("images", "test_images", "unlabelled") for folder in content.get(key, [])]
    named = [entry["annotations"] for entry in entries]
    folders += named if content.get("format") in ("labels", "rois", "geojson") else []  # a file of each image
    named += [content["plate_map"]] if content.get("plate_map") else []
    folders += [] if content.get("images") or content["format"] == "coco" else ["."]
    listed = listing.update(dataset, root, folders, named, drawn=drawn)
    return [listed, *([SIMULATED] if drawn else [])]


def _stop_without_data(dataset: str, root: Path) -> None:
    made = [Path("results", dataset, "validate", f"{table}.parquet") for table in ("images", "instances")]
    if all(table.exists() for table in made) or (root.is_dir() and any(root.iterdir())):
        return
    place = f"put the images there, or correct root in {file('datasets', dataset)}."
    state = "is empty" if root.is_dir() else "is no folder" if root.exists() else "does not exist"
    sentence = f"error: {root} {state}: {read('datasets', dataset).get('source', place)}"
    raise SystemExit(screen.STEERING.sub("?", sentence))
