"""docs/own-images.md, command by command: what a reader is told to type is typed in a clone.

The folder is predicted by the starter detectors in earnest when it has its plate map; the same command before
that and trainings, which take half an hour, are planned only.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from chain import copy, environment
from scipy import ndimage

from neuroseg import simulation

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "own-images.md"
WELLS = ("A1", "A2", "B1", "B2")

pytestmark = pytest.mark.slow


class Block(NamedTuple):
    language: str
    text: str

    @property
    def file(self) -> str:
        """The file that a block is the content of: its first line names it."""
        return self.text.splitlines()[0].removeprefix("# ")


BLOCKS = [
    Block(*found)
    for found in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
]


@pytest.fixture
def clone(tmp_path):
    """A clone with four small images of simulated cells, larger than life, as the starter knows them."""
    folder = copy(tmp_path / "clone")
    (folder / "My plate").mkdir()
    for at, well in enumerate(WELLS):
        field = simulation.field.grow(
            simulation.kinds.KINDS["astro"], 6, 0.2, 130, 140, np.random.default_rng(at)
        )
        image = np.clip(ndimage.zoom(field.image.astype(float), 2), 0, 255).astype(np.uint8)
        tifffile.imwrite(folder / "My plate" / f"plate1_{well}_1_00d00h00m.tif", image)
    (folder / ".venv").symlink_to(sys.prefix)
    shutil.rmtree(folder / "scripts")
    (folder / "scripts").symlink_to(ROOT / "scripts")  # with what has been compiled there
    (folder / "dry").mkdir()
    (folder / "dry" / "config.yaml").write_text("dry-run: true\n")
    return folder


def typed(folder: Path, text: str, dry: bool = False) -> str:
    """What commands print; `make setup` looks at this environment, and makes none where it is another's."""
    ready = (Path(sys.prefix) / ".neuroseg").is_file()
    make = f'make() {{ command make {"" if ready else "-o setup"} CORES=2 VENV="{sys.prefix}" "$@"; }}\n'
    env = environment(
        os.environ | {"VERBOSE": "1"} | ({"SNAKEMAKE_PROFILE": str(folder / "dry")} if dry else {})
    )
    command = ["bash", "-e", "-o", "pipefail", "-c", make + text]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def write(folder: Path, block: Block) -> None:
    """Do what a reader does with the content of a file: write it, or add it to the file that is there."""
    path = folder / block.file
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text() if path.is_file() else ""
    path.write_text(before + block.text, encoding="utf-8")


def fit(folder: Path, config: str) -> None:
    """Make the files that stand for the detectors which a training of this configuration leaves."""
    content = yaml.safe_load((folder / config).read_text())
    place = folder / "results" / content["dataset"]
    (member,) = yaml.safe_load((folder / f"configs/ensembles/{content['ensembles'][0]}.yaml").read_text())[
        "members"
    ]
    files = [place / f"train/{member}/fold_{fold}/model.pth" for fold in (0, 1)]
    for file in [*files, place / "tune" / f"{content['ensembles'][0]}.yaml"]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "results/plate1/quantify/starter" / name, dtype=str, keep_default_na=False)


def test_every_command_of_the_page_does_what_it_says(clone):
    bash = iter([block.text for block in BLOCKS if block.language == "bash"])
    files = iter([block for block in BLOCKS if block.language in ("yaml", "csv")])
    programs = iter([block.text for block in BLOCKS if block.language == "python"])

    typed(clone, next(bash))  # 1: set up
    first = next(bash)
    said = typed(clone, first, dry=True)  # 2: find the cells
    assert "found by the detectors of starter" in said
    assert "results/plate1/quantify/starter/wells.csv" in said

    write(clone, next(files))  # 3: pixel size and plate map
    write(clone, next(files))
    again = next(bash)
    assert again == first
    typed(clone, again)
    wells = table(clone, "wells.csv")
    assert wells["well"].tolist() == list(WELLS)
    assert wells["treatment"].tolist() == ["untreated"] * 2 + ["NGF inhibitor"] * 2
    assert wells[["dose", "dose_unit"]].values.tolist() == [["", ""], ["", ""], ["10", "µM"], ["20", "µM"]]
    assert len(table(clone, "images.csv")) == len(WELLS)
    assert len(table(clone, "cells.csv")) > 0
    assert (table(clone, "cells.csv")["area_um2"] != "").all()
    page = (clone / "results/plate1/report/report.html").read_text()
    assert "The control is untreated, as the plate map or the dataset file says." in page

    typed(clone, f'"{sys.executable}" - <<"END"\n{next(programs)}\nEND')  # 4: numbers and masks
    said = typed(clone, f'"{sys.executable}" - <<"END"\n{next(programs)}\nEND')
    cells = table(clone, "cells.csv")
    assert f"{(cells['well'] == 'A1').sum()} cells" in said

    write(clone, next(files))  # 5: exports
    said = typed(clone, next(bash))
    assert "rule predict" not in said
    exported = clone / "results/plate1/export/starter"
    assert {path.name for path in exported.glob("[!.]*")} == {"labels", "overlays", "ome_zarr", "files.csv"}

    assert "rule train" in typed(clone, next(bash), dry=True)  # 6: other detectors
    said = typed(clone, next(bash), dry=True)
    assert re.search(r"--views none +--batch-size", said)

    typed(clone, next(bash))  # 7: correct and train
    assert {path.name for path in (clone / "My corrections").iterdir()} == {
        "plate1_A1_1_00d00h00m_masks.tif",
        "plate1_A2_1_00d00h00m_masks.tif",
    }
    write(clone, next(files))
    write(clone, next(files))
    plan = typed(clone, next(bash), dry=True)
    assert len(re.findall(r"scripts/train.py", plan)) == 2
    assert "resources/detectors/starter/model.pth" in plan
    fit(clone, "configs/plate1_corrected.yaml")
    plan = typed(clone, next(bash), dry=True)
    assert "found by the detectors of plate1_corrected" in plan
    assert "results/plate1_corrected/train/cascade_mask_rcnn_starter/fold_1/model.pth" in plan
    assert "scripts/train.py" not in plan
    assert not [*bash, *files, *programs]


def test_every_block_of_the_page_is_a_command_a_program_or_a_files_content():
    assert {block.language for block in BLOCKS} <= {"bash", "python", "yaml", "csv"}
    assert all(
        re.fullmatch(r"[\w ./-]+\.\w+", block.file) for block in BLOCKS if block.language in ("yaml", "csv")
    )


def test_the_readme_leads_to_the_page():
    assert "docs/own-images.md" in (ROOT / "README.md").read_text()
