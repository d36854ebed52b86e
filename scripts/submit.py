"""Write the instances of the images without annotation as the competition wants them."""

from pathlib import Path

from neuroseg.command import run


def main(*, instances: Path, images: Path, submission: Path) -> None:
    """Write the instances of the images without annotation as the competition wants them.

    Args:
        instances: the disjoint instances of `segment`.
        images: the images table of `validate`; submitted are its test images without annotation, if there are
            none all images without annotation, and if there are none of these all images.
        submission: the submission, CSV; refused and not written if the competition would refuse it.
    """
    from neuroseg import submission as writer
    from neuroseg import tables

    table = tables.read("images", images)
    asked = writer.wanted(table)
    count = writer.write(tables.instances_of(table, instances), asked, submission)
    print(f"{count} cells in {len(asked)} images")


if __name__ == "__main__":
    run(main)
