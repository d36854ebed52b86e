"""Settings in YAML: read safely, checked against a declared model, and complained of in sentences.

Files of settings are exchanged between people. So no tag and no template in them runs code, and nothing that
is a few lines on disk grows to fill the memory.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import yaml
from pydantic import BeforeValidator, TypeAdapter, ValidationError

from neuroseg.errors import DataError
from neuroseg.files import verify

SIZE = 1_000_000
"""Largest file, in bytes."""

ENTRIES, DEPTH = 100_000, 30
"""Most entries of a file once its aliases are written out, and their deepest nesting."""

TEMPLATE = "__use_yte__"
"""The key by which Snakemake takes a YAML file for a template that runs Python."""

_WORDS = {
    **dict.fromkeys(("tuple_type", "list_type"), "must be a list, such as [a, b]"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "must be keys with values"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a valid number, such as 0.65"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number, such as 3"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    "path_type": "must be the path of a folder, such as data/plate1",
    "string_type": "must be text",
    "missing": "is missing",
}
"""What pydantic calls a fault, and what it does not say in a user's words."""

_UNQUOTED = {bool: "a yes or no", int: "a number", float: "a number", date: "a date", datetime: "a time"}
"""What YAML makes of text without quotes."""

T = TypeVar("T")


def _no_yes_or_no(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not a yes or no")
    return value


Number = Annotated[float, BeforeValidator(_no_yes_or_no)]
Whole = Annotated[int, BeforeValidator(_no_yes_or_no)]
"""Numbers of settings: pydantic alone takes `no` for 0."""


def read(
    path: str | Path, model: type[T] | TypeAdapter[T], what: str, cure: str, *, section: str | None = None
) -> T:
    """Return the settings of a YAML file, as a pydantic model.

    Args:
        path: The file.
        model: What it may hold: a model, or an adapter of a union of models.
        what: What to call the file, such as `this ensemble file`.
        cure: How to mend one that cannot be read, such as `run the stage tune again`.
        section: The key whose content alone is wanted; without that key, the defaults.

    Raises:
        DataError: one sentence for each thing that is wrong, naming the file and the key.
    """
    content = read_yaml(path, what, cure)
    place: tuple[str, ...] = ()
    if section is not None:
        place, content = (section,), content.get(section) or {}
    return check(content, model, path, place)


def check(content: object, model: type[T] | TypeAdapter[T], path: str | Path, place: Sequence[str] = ()) -> T:
    """Return settings as a pydantic model.

    Args:
        content: The settings, as YAML or Python hold them.
        model: What they may be.
        path: The file that holds them.
        place: The keys under which they stand in it.

    Raises:
        DataError: one sentence for each thing that is wrong, naming the file and the key.
    """
    adapter = model if isinstance(model, TypeAdapter) else TypeAdapter(model)
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        schema = adapter.json_schema()
        faults = [dict(fault) for fault in error.errors()]
        # A list whose only entry is wrong counts as empty besides.
        faults = [fault for fault in faults if fault["type"] != "too_short" or not _inside(fault, faults)]
        python = Path(path).suffix == ".py"
        complaints = [_complaint(schema, place, fault, python) for fault in faults]
        raise DataError(*(f"{path}: {complaint}." for complaint in complaints)) from error


def read_yaml(path: str | Path, what: str, cure: str) -> dict:
    """Return the keys and values of a YAML file, whose checksum is compared where it has one.

    Raises:
        DataError: it cannot be read, was altered since a stage wrote it, holds no keys or one of them twice,
            has aliases or templates that would run code or fill the memory.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(SIZE + 1)
        if len(data) > SIZE:
            raise ValueError(f"it is larger than {SIZE:,} bytes")
        verify(data, path, cure)
        loader = yaml.SafeLoader(data.decode("utf-8-sig"))
        node = loader.get_single_node()
        _refuse_expansion(node)
        content = None if node is None else loader.construct_document(node)
    except DataError:
        raise
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise DataError(f"{path}: {what} cannot be read ({_reason(error)}); {cure}.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: the file: {what} must hold keys, a line each such as `key: value`; {cure}.")
    if TEMPLATE in content:
        raise DataError(
            f"{path}: {TEMPLATE}: templates run code and are not read; write the values out instead."
        )
    return content


def _reason(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark, said = error.problem_mark, " ".join(str(error.problem).split())
        return f"it is no YAML: line {mark.line + 1}, column {mark.column + 1}: {said}"
    if isinstance(error, UnicodeDecodeError):
        return f"it is no YAML: its byte {error.start + 1} is not UTF-8; save it as text in UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def _refuse_expansion(root: yaml.Node | None) -> None:
    """Refuse keys that stand twice, aliases within themselves, and aliases of aliases that multiply."""
    pending: list[tuple[yaml.Node, tuple[yaml.Node, ...]]] = [] if root is None else [(root, ())]
    count = 0
    while pending:
        node, outer = pending.pop()
        count += 1
        if count > ENTRIES or len(outer) > DEPTH or any(node is other for other in outer):
            line = node.start_mark.line + 1
            raise ValueError(f"line {line}: its aliases or its nesting make it larger than any settings")
        pending += [(inner, (*outer, node)) for inner in _parts(node)]


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return node.value
    if not isinstance(node, yaml.MappingNode):
        return []
    met = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in met:
                raise ValueError(f"line {key.start_mark.line + 1}: the key {key.value} stands twice")
            met.add((key.tag, key.value))
    return [part for pair in node.value for part in pair]


def _inside(outer: dict, faults: Sequence[dict]) -> bool:
    """Tell whether one of pydantic's complaints is of a part of what another is of."""
    depth = len(outer["loc"])
    return any(len(fault["loc"]) > depth and fault["loc"][:depth] == outer["loc"] for fault in faults)


def _complaint(schema: dict, place: Sequence[str], fault: dict, python: bool) -> str:
    """Word one of pydantic's complaints: the key, what is wrong with it, and the nearest right key."""
    strange = fault["type"] == "extra_forbidden"
    named, known = _walk(schema, fault["loc"][:-1] if strange else fault["loc"])
    said = fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be").rstrip(".")
    message = _WORDS.get(fault["type"], said)
    if fault["type"] == "string_type" and type(fault["input"]) in _UNQUOTED:
        taken = "" if python else f", or YAML takes it for {_UNQUOTED[type(fault['input'])]}"
        message = f"must be text; put it in quotes{taken}"
    if fault["type"] == "union_tag_not_found":
        named.append(fault["ctx"]["discriminator"].strip("'"))
        message = "is missing"
    if fault["type"] == "union_tag_invalid":
        named.append(fault["ctx"]["discriminator"].strip("'"))
        message = f"must be one of {fault['ctx']['expected_tags']}"
    if strange:
        named.append(str(fault["loc"][-1]))
        near = difflib.get_close_matches(named[-1], known, n=1)
        nearest = f"the nearest is {near[0]}" if near else f"known are {', '.join(known)}"
        message = f"there is no such key here; {nearest}"
    if not named and not place:
        return message if fault["type"] == "value_error" else f"the file: {message}"
    return f"{'.'.join([*place, *named])}: {message}"


def _walk(schema: dict, loc: Sequence[str | int]) -> tuple[list[str], list[str]]:
    """Follow a complaint's place through a schema.

    Returns:
        Its keys, without the names that pydantic gives to alternatives; and the keys that stand there.
    """
    named, nodes = [], [schema]
    for step in loc:
        tagged = [node["discriminator"]["mapping"] for node in nodes if "discriminator" in node]
        if tagged and step in tagged[0]:
            nodes = [{"$ref": tagged[0][step]}]
            continue
        inner = [
            child for node in nodes for option in _options(node, schema) for child in _inner(option, step)
        ]
        if inner:
            named.append(str(step))
            nodes = inner
    options = [option for node in nodes for option in _options(node, schema)]
    return named, sorted({key for option in options for key in option.get("properties", {})})


def _options(node: dict, schema: dict) -> Iterator[dict]:
    """Yield the alternatives of a node of a schema, references followed."""
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    alternatives = [part for key in ("anyOf", "oneOf", "allOf") for part in node.get(key, ())]
    if not alternatives:
        yield node
    for part in alternatives:
        yield from _options(part, schema)


def _inner(option: dict, step: str | int) -> list[dict]:
    if step in option.get("properties", {}):
        return [option["properties"][step]]
    if isinstance(step, int) and option.get("type") == "array":
        prefix = option.get("prefixItems", [])
        return [prefix[step]] if step < len(prefix) else [option.get("items") or {}]
    extra = option.get("additionalProperties")
    return [extra] if isinstance(extra, dict) else []
