"""YAML files that hold keys and values, read as data; what they say twice is refused, not lost."""

from collections.abc import Iterator
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

ENTRIES, DEPTH = 100_000, 30
"""Most entries of a file once its aliases are written out, and their deepest nesting, as in the steps."""


def load(path: str | Path) -> dict:
    """Return a YAML file's mapping, as data: Snakemake's own reader runs Python under __use_yte__.

    Raises:
        WorkflowError: the file is no YAML, no mapping, or a template, or holds a key twice.
    """
    try:
        loader = yaml.SafeLoader(Path(path).read_text(encoding="utf-8-sig"))
        node = loader.get_single_node()
        for sentence in _doubled(node):
            raise WorkflowError(f"{path}, {sentence}")
        content = None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise WorkflowError(
            f"{path} is no YAML ({' '.join(str(error).split())}); mend or restore it."
        ) from error
    if not isinstance(content, dict):
        raise WorkflowError(f"{path}: keys and values are missing; see the other files beside it.")
    if "__use_yte__" in content:
        raise WorkflowError(
            f"{path}: __use_yte__: templates run code and are not read; write the values out instead."
        )
    return content


def doubled_keys(path: str | Path) -> Iterator[str]:
    """Yield a sentence for each key that a file holds twice; none of one that is no YAML at all."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        # Snakemake takes JSON as well, which tabs may indent.
        root = yaml.compose(text.replace("\t", " "), yaml.SafeLoader)
        yield from (f"{path}, {sentence}" for sentence in _doubled(root))
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return


def _doubled(root: yaml.Node | None) -> Iterator[str]:
    """Yield the end of a sentence for each key that stands twice in one mapping.

    Raises:
        ValueError: aliases of aliases multiply, or one is within itself.
    """
    pending: list[tuple[yaml.Node, tuple[str, ...]]] = [] if root is None else [(root, ())]
    count = 0
    while pending:
        node, above = pending.pop()
        count += 1
        if count > ENTRIES or len(above) > DEPTH:
            line = node.start_mark.line + 1
            raise ValueError(f"line {line}: its aliases or its nesting make it larger than any settings")
        if isinstance(node, yaml.SequenceNode):
            pending += [(part, (*above, str(at))) for at, part in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            lines: dict[tuple[str, str], int] = {}
            for key, value in node.value:
                line = key.start_mark.line + 1
                place = (*above, str(key.value))
                if isinstance(key, yaml.ScalarNode):
                    word = (key.tag, key.value)
                    if word in lines:
                        there = "this line" if lines[word] == line else f"line {lines[word]}"
                        yield f"line {line}: {'.'.join(place)} stands in {there} already; keep only one."
                    lines.setdefault(word, line)
                pending.append((value, place))
