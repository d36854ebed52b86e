"""Check raw images and annotations, mend or refuse what is wrong, and write tables that all stages read."""

from pathlib import Path

from neuroseg.command import run


def main(*, dataset: Path, images: Path, seen: Path | None = None, instances: Path, problems: Path) -> None:
    """Read a data set, check everything, write its tables and a list of what was found.

    Args:
        dataset: dataset file, configs/datasets/<name>.yaml: where the data lie, their format, the checks'
            policies.
        images: Images table to write.
        seen: Images table to write for stages that look at pixels alone: without what is told of the
            experiment, each image a group of its own. It stays as it is when a plate map is corrected.
        instances: Instances table to write: the true cells.
        problems: CSV to write: each find with its check, policy, place and message.
    """
    from neuroseg import files, quality, readers, tables

    file = readers.read_dataset(dataset)
    settings = quality.settings(file.policies, file.limits, file.cell_types, dataset)
    listed = readers.listed(file)
    images_found, notes = listed.source.images, listed.source.notes
    survey = readers.survey(images_found["path"])
    if file.pixel_size_um is not None:
        survey["pixel_note"] = None  # the dataset file has said it
    left_out, labels = quality.left_out(images_found, notes, survey, settings)
    source = readers.told(listed, file, left_out, labels)
    pixel_size = source.images["pixel_size_um"].fillna(survey["pixel_size_um"])
    checked = quality.check(
        *source._replace(images=source.images.assign(pixel_size_um=pixel_size)), survey, settings
    )
    digest = readers.pixel_digest(source.images["image_id"], survey, left_out)
    controls = sorted(set(source.images.loc[source.images["control"], "treatment"]))
    tables.write("images", checked.images, images, pixels=digest, controls=controls)
    if seen:
        untold = checked.images.assign(group=checked.images["image_id"], **dict.fromkeys(tables.EXPERIMENT))
        tables.write("images", untold, seen, pixels=digest)
    tables.write("instances", checked.instances, instances)
    with files.replacing(problems) as temporary:
        checked.problems.to_csv(temporary, index=False, lineterminator="\n")
    print(quality.summary(checked))


if __name__ == "__main__":
    run(main)
