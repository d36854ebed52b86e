"""Assign the annotated images to folds so that no group is split and all folds are alike."""

from pathlib import Path

from neuroseg.command import run


def main(
    *,
    images: Path,
    instances: Path,
    n_folds: int = 3,
    same_field: float | None = None,
    seed: int = 0,
    folds: Path,
    summary: Path,
) -> None:
    """Split a data set, and say how well it could be balanced.

    Args:
        images: Images table.
        instances: Instances table of the true cells.
        n_folds: how many folds; not used where the data set brings its own train and val subsets.
        same_field: images that correlate by more than this show one field at different times, and stay in one
            fold whatever their names; none compares no images.
        seed: another seed gives another split, balanced as well.
        folds: Folds table to write.
        summary: CSV to write: images, cells and groups by fold and cell type.
    """
    from neuroseg import files, readers, tables
    from neuroseg import folds as splitting

    listed = tables.read("images", images)
    grouped = splitting.joined(listed, readers.read_uint8, same_field) if same_field is not None else listed
    split = splitting.split(grouped, tables.read("instances", instances), n_folds, seed)
    tables.write("folds", split.folds, folds)
    with files.replacing(summary) as temporary:
        split.summary.to_csv(temporary, index=False, lineterminator="\n")
    joined = listed["group"].nunique() - grouped["group"].nunique()
    print(
        *([f"{joined} groups joined with others of the same field."] if joined else []),
        *split.sentences,
        sep="\n",
    )


if __name__ == "__main__":
    run(main)
