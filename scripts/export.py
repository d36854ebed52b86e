"""Write the cells as files that other programs open: Fiji, QuPath, napari, Cellpose."""

from pathlib import Path

from neuroseg.command import run


def main(*, instances: Path, images: Path, formats: tuple[str, ...] = (), out: Path) -> None:
    """Write the cells as files that other programs open: Fiji, QuPath, napari, Cellpose.

    Args:
        instances: the cells to write, as `segment` (or `validate`, for the truth) wrote them.
        images: the images table of `validate`; its pixel sizes, where known, go into the files.
        formats: any of labels (TIFF), rois (ImageJ), geojson (QuPath), coco, overlays (PNG), ome_zarr, each
            in a folder of its name.
        out: the folder to write, made anew; its files.csv says how the files of each image are called.
    """
    from neuroseg import exports

    count = exports.write(formats, instances, images, out)
    print(f"{count} cells as {', '.join(formats) or 'nothing'}")


if __name__ == "__main__":
    run(main)
