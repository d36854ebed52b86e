"""Label images, where 0 is background and n is cell n, as Cellpose, StarDist and many others keep them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage

from neuroseg import rle
from neuroseg.readers.dataset import Labels
from neuroseg.readers.images.pictures import is_tiff, opened
from neuroseg.readers.source import Listed
from neuroseg.readers.truth.pairs import Annotation, Fault, read_pairs

_TAGS = ("_masks", "_cp_masks", "_mask", "_labels", "_label")
_TIFF = (".tif", ".tiff", ".btf", ".tf8", ".tf2", ".stk")
_SUFFIXES = (".tif", ".tiff", ".png", ".npy", ".ome.tif", ".ome.tiff", *_TIFF[2:], ".bmp", ".jpg", ".jpeg")
_LOSSY = "it is compressed as JPEG, which changes the cells' numbers; save it as TIFF or PNG from the source"
ENDINGS = (
    *(f"{tag}{suffix}" for tag in _TAGS for suffix in _SUFFIXES[:4]),
    "_seg.npy",
    *(f"{tag}{suffix}" for tag in _TAGS for suffix in _SUFFIXES[4:]),
)
"""What the label image of x is called beside it: x_masks.tif, x_cp_masks.png, x_seg.npy and so on."""

_SAFE = {
    (f"numpy.{core}.{module}", name)
    for core in ("core", "_core")
    for module, name in (("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"))
} | {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
"""What a file of Cellpose may name: what arrays, numbers and texts are made with. Nothing of it runs code."""

_WHITE = (255, 65535)
"""What masks of all cells together have where a cell is."""

_PIECES = 2
"""More pieces than these of one number alone are cells that nobody numbered."""

_MANY = 5
"""More pieces than these of most numbers are classes of pixels, or grey values."""

_SAMPLE = 50
"""So many numbers are counted in pieces."""

_JPEG = (tifffile.COMPRESSION.OJPEG, tifffile.COMPRESSION.JPEG)


def read(dataset: Labels) -> Listed:
    """Read images and the label image of each.

    Without `images` and `annotations` in the dataset file, folders images and masks below the root are taken,
    where there are such.
    """
    silent = not {"images", "annotations"} & dataset.model_fields_set
    if silent and all((dataset.root / name).is_dir() for name in ("images", "masks")):
        dataset = dataset.model_copy(update={"images": ("images",), "annotations": "masks"})
    apart = (dataset.annotations,) != dataset.images
    return read_pairs(dataset, (*_SUFFIXES, *ENDINGS) if apart else ENDINGS, decode)


def decode(path: Path, height: int, width: int) -> Annotation:
    """Return the cells of a label image, by their numbers."""
    none = rle.concatenate([])
    try:
        labels = np.squeeze(_array(path))
    except Exception as error:  # decoders fail on broken bytes in a dozen ways
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        return Annotation([], none, [Fault("rle_syntax", f"the label image cannot be read ({reason})")])
    fault = _fault(labels, height, width)
    if fault:
        return Annotation([], none, [Fault("rle_syntax", fault)])
    numbers, masks = runs_of_labels(labels.astype(np.int64))
    return Annotation([(f"label {number}", None) for number in numbers.tolist()], masks, [])


def runs_of_labels(labels: np.ndarray) -> tuple[np.ndarray, rle.Runs]:
    """Return the numbers in a label image, shape (height, width), but 0, ascending, and the masks of each."""
    height, width = labels.shape
    flat = labels.ravel()
    begins = np.union1d(np.flatnonzero(np.diff(flat, prepend=flat[:1] - 1)), np.arange(height) * width)
    lengths, values = np.diff(begins, append=flat.size), flat[begins]
    order = np.flatnonzero(values > 0)
    order = order[np.argsort(values[order], kind="stable")]
    numbers, counts = np.unique(values[order], return_counts=True)
    ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return numbers, rle.Runs(ptr, begins[order].astype(np.int32), lengths[order].astype(np.int32))


def _fault(labels: np.ndarray, height: int, width: int) -> str | None:
    if labels.ndim != 2:
        return f"the label image has the shape {labels.shape}, not one number a pixel; save it as 16-bit grey"
    if labels.shape != (height, width):
        return (
            f"the label image has {labels.shape[0]} x {labels.shape[1]} pixels, the image {height} x {width}"
        )
    alone = "the label image holds 0 and {} alone, cells are not told apart; give each cell a number"
    if labels.dtype == bool:
        return alone.format(1)
    if (
        labels.dtype.kind not in "uif"
        or not np.isfinite(labels).all()
        or (labels % 1 != 0).any()
        or (labels < 0).any()
    ):
        return "the label image holds numbers that are no whole numbers from 0 on"
    numbers = np.unique(labels[labels > 0])
    if len(numbers) == 1 and (numbers[0] in _WHITE or ndimage.label(labels)[1] > _PIECES):
        return alone.format(int(numbers[0]))
    if len(numbers) and _pieces(labels.astype(np.int64), numbers.astype(np.int64)) > _MANY:
        return (
            "most numbers of the label image lie in many pieces, as classes of pixels or a photograph's grey "
            "values do, so cells are not told apart; give each cell a number"
        )
    return None


def _pieces(labels: np.ndarray, numbers: np.ndarray) -> float:
    """Return in how many pieces the numbers of a label image lie: the median of some, evenly spread."""
    some = numbers[np.unique(np.linspace(0, len(numbers) - 1, _SAMPLE).astype(int))]
    near = np.searchsorted(some, labels).clip(max=len(some) - 1)
    ranks = np.where(some[near] == labels, near + 1, 0)
    touching = np.ones((3, 3))
    places = ndimage.find_objects(ranks)
    found = [ndimage.label(ranks[place] == at, touching)[1] for at, place in enumerate(places, 1)]
    return float(np.median(found))


def _array(path: Path) -> np.ndarray:
    if path.suffix.lower() == ".npy":
        return _load(path)
    if is_tiff(path):
        with tifffile.TiffFile(path) as file:
            if any(page.compression in _JPEG for page in file.pages):
                raise ValueError(_LOSSY)
            return file.asarray()
    with opened(path) as image:
        if image.format == "JPEG":
            raise ValueError(_LOSSY)
        return np.asarray(image)


def _load(path: Path) -> np.ndarray:
    """Return a .npy file's labels; Cellpose's x_seg.npy, a pickle, is read without running what it holds."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read_header = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        _, _, kind = read_header(file)
        if not kind.hasobject:
            file.seek(0)
            return np.load(file, allow_pickle=False)
        content = _Unpickler(file).load()
    content = content.item() if isinstance(content, np.ndarray) and content.size == 1 else content
    if not isinstance(content, dict) or not isinstance(content.get("masks"), np.ndarray):
        raise ValueError("it holds no 'masks' as Cellpose writes them")
    return content["masks"]


class _Unpickler(pickle.Unpickler):
    """Builds arrays, numbers and texts, and refuses all else."""

    def find_class(self, module: str, name: str) -> object:
        """Return what is known to be safe.

        Raises:
            ValueError: the file names something else.
        """
        if (module, name) not in _SAFE:
            advice = "save the masks as TIFF, in Cellpose by 'Save masks as PNG/tif'"
            raise ValueError(f"it names {module}.{name}, which is not loaded; {advice}")
        return super().find_class(module, name)
