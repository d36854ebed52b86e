"""Plate maps as Excel keeps them, and folders of images with one, for the tests of plate maps."""

import numpy as np
import tifffile
import yaml
from openpyxl import Workbook

from neuroseg import readers

PATTERN = r"(?P<plate>VID\d+)_(?P<well>[A-Pa-p]\d+)_(?P<field>\d+)_(?P<time>\d+d\d+h\d+m)"


def excel(path, **sheets):
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)


def merged(path, rows, *ranges):
    """Write an Excel file whose merged cells hold their value in the first, as Excel keeps them."""
    book = Workbook()
    for row in rows:
        book.active.append(row)
    for part in ranges:
        book.active.merge_cells(part)
    book.save(path)


def folder(path, wells, text, **keys):
    """Read a folder of an image for each well, with a plate map."""
    for at, well in enumerate(wells):
        tifffile.imwrite(path / f"VID123_{well}_1_00d0{at}h00m.tif", np.full((6, 10), at, np.uint8))
    (path / "map.csv").write_text(text, encoding="utf-8")
    content = {"format": "folder", "root": str(path), "pattern": PATTERN, "plate_map": "map.csv", **keys}
    (path / "dataset.yaml").write_text(yaml.safe_dump(content))
    return readers.read(readers.read_dataset(path / "dataset.yaml"))
