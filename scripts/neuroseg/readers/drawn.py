"""Which files are label images or overlays of others, by the words of their names and their pixels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile

from neuroseg.readers.images.grey import GreyError, grey
from neuroseg.readers.images.numbered import is_numbered
from neuroseg.readers.images.pictures import is_tiff, opened
from neuroseg.readers.words import identity

REASON = "by its name it is a label image or overlay"

_WORD = re.compile(r"[^\W\d_]+|\d+")
_TRUTH = re.compile(r"ground[\W_]?truth", re.IGNORECASE)
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OVERLAY = (
    r"overlays?|outlines|contours?|heatmaps?|distances?"
    r"|preds?|predictions?|probs?|probability|probabilities"
)
_CERTAIN = re.compile(
    rf"{_OVERLAY}|(pred|gt|seg|label|instance|semantic|binary|cells?|nuc|nuclei)?masks?"
    r"|label(s|maps?|images?)?|segs?|segmentations?|cellpose|stardist|omnipose"
    r"|masken?|segmentierung(en)?|beschriftung(en)?|masques?|m[aá]scaras?|segmentaci[oó]n(es)?|etiquetas?"
)
_LIKELY = re.compile(
    r"label?led|segmented|gt|groundtruth|annotations?|annots?|annotated|instances?|results?|outlined?"
    r"|binary|threshold(ed)?|drawings?|borders?|boundary|boundaries"
)
"""Words, in lower case, of names and of folders."""

_OVERLAYS = re.compile(rf"{_OVERLAY}|annotated")
"""Words of folders whose images may have a photograph's pixels."""


def drawn(files: Sequence[Path], folder: Path) -> set[Path]:
    """Return which of the images below a folder are label images or overlays.

    They are those with a word such as mask, label or overlay in their name, where the name without it is
    another image's; else, with such a word or one such as result in the name or in a folder's below the given
    one, those whose pixels are a label image's (`is_numbered`) or coloured. A word is what stands between
    digits, capitals and signs: not so in unmasked.
    """
    names = {path: _parted(identity(path)) for path in files}
    plain = {"".join(words) for words in names.values()}
    alone = {
        "".join(words) for path, words in names.items() if not _marks(words) and not _above(path, folder)
    }
    found = set()
    for path, words in names.items():
        above = _above(path, folder)
        if not _marks(words) and not above:
            continue
        certain = any(map(_CERTAIN.fullmatch, words)) and bool(_rests(words) & plain)
        overlays = any(map(_OVERLAYS.fullmatch, above)) and "".join(words) in alone
        if certain or overlays or _numbered_or_coloured(path):
            found.add(path)
    return found


def says_drawn(name: str) -> bool:
    """Tell whether a file's name without its ending has a word for label images or overlays."""
    return bool(_marks(_parted(name)))


def _parted(name: str) -> list[str]:
    """Return a name's words in lower case, parted at capitals where the whole is no word that is known."""
    words = _WORD.findall(_TRUTH.sub("groundtruth ", name))
    parted = (word if _is_mark(word.casefold()) else _HUMP.sub(" ", word) for word in words)
    return [part.casefold() for word in parted for part in word.split()]


def _is_mark(word: str) -> bool:
    return bool(_CERTAIN.fullmatch(word) or _LIKELY.fullmatch(word))


def _marks(words: Sequence[str]) -> list[str]:
    return [word for word in words if _is_mark(word)]


def _above(path: Path, folder: Path) -> list[str]:
    """Return the words of the folders between a file and the given one that tell of labels or overlays."""
    return [word for part in path.relative_to(folder).parts[:-1] for word in _marks(_parted(part))]


def _rests(words: list[str]) -> set[str]:
    """Return a name without one or all words for labels, and a number that follows: A1_mask_2 is of A1."""
    rest = [word for word in words if not _is_mark(word)]
    if len(rest) == len(words):
        return set()
    first = next(at for at, word in enumerate(words) if _is_mark(word))
    numbered = all(word.isdigit() for word in words[first:] if not _is_mark(word))
    fewer = ["".join(words[:at] + words[at + 1 :]) for at, word in enumerate(words) if _is_mark(word)]
    return {"".join(rest), "".join(words[:first]) if numbered else "", *fewer} - {""}


def _numbered_or_coloured(path: Path) -> bool:
    """Tell whether a file's first image is a label image or in colour; not of one that cannot be decoded."""
    try:
        if is_tiff(path):
            with tifffile.TiffFile(path) as file:
                image = file.pages[0].asarray()
        else:
            with opened(path) as picture:
                image = np.asarray(picture)
        return is_numbered(image if image.ndim == 2 else grey(image))
    except GreyError:
        return True
    except Exception:  # decoders fail on broken bytes in a dozen ways; the survey says how
        return False
