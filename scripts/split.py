"""Deal the annotated images out to folds so that no group is split and all folds are alike."""

from pathlib import Path

from neuroseg import folds as dealing
from neuroseg import tables
from neuroseg.command import run


def main(*, images: Path, instances: Path, n_folds: int = 3, seed: int = 0, folds: Path, summary: Path) -> None:
    """Split a data set, and say how well it could be balanced.

    Args:
        images: Images table.
        instances: Instances table of the true cells.
        n_folds: how many folds; not used where the data set brings its own train and val subsets.
        seed: another seed gives another split, balanced as well.
        folds: Folds table to write.
        summary: CSV to write: images, cells and groups by fold and cell type.
    """
    split = dealing.split(tables.read("images", images), tables.read("instances", instances), n_folds, seed)
    tables.write("folds", split.folds, folds)
    with tables.replacing(summary) as temporary:
        split.summary.to_csv(temporary, index=False, lineterminator="\n")
    print(*split.sentences, sep="\n")


if __name__ == "__main__":
    run(main)
