"""What a schema refuses of a file's content, in a sentence each."""

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import jsonschema
import yaml
from jsonschema import validators
from jsonschema.protocols import Validator

from workflow import configs

KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list, such as [a, b]",
    "object": "keys with values",
    "null": "null",
}
"""What the schema's types are in words."""
BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
}


TEXT = "in quotes, and in braces of --config, it is text: write it in a file for --configfile"
"""Why a configuration's number is none, and what helps."""


def refused(content: dict, schema: Path, what: str, text: str = TEXT) -> Iterator[str]:
    """Yield a sentence for each key or value of a file's content that a schema refuses.

    Args:
        content: what the file holds.
        schema: what it may hold.
        what: what to call the file.
        text: what to say of a text that would be right without quotes.
    """
    place = next(nowhere(content), None)
    if place is not None:
        yield f"{place}: must be a number, not infinite or .nan."
        return
    for fault in sorted(
        _validator(schema).iter_errors(content), key=lambda fault: list(map(str, fault.path))
    ):
        place = ".".join(map(str, fault.path))
        if fault.validator == "additionalProperties" and isinstance(fault.schema.get("properties"), dict):
            known = list(fault.schema["properties"])
            for key in fault.instance.keys() - known:
                whole = ".".join(filter(None, (place, str(key))))
                yield f"{what} has no key {whole}; {nearest(key, known)}"
        else:
            yield f"{place or what}: {worded(fault, text)}"


@cache
def _validator(schema: Path) -> Validator:
    """Return what checks a file's content: a whole number is one without a point, as the steps take it."""
    usual = jsonschema.Draft202012Validator
    types = usual.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    return validators.extend(usual, type_checker=types)(configs.load(schema))


def worded(fault: jsonschema.ValidationError, text: str = TEXT) -> str:
    """Return what the schema refuses as the end of a sentence; `text` as `refused` has it."""
    limit, given = fault.validator_value, json.dumps(fault.instance, ensure_ascii=False, default=str)
    if fault.validator == "pattern":
        return f"{fault.instance!r} {fault.schema['errorMessage']}"
    if fault.validator == "type":
        wanted = " or ".join(KINDS[kind] for kind in ([limit] if isinstance(limit, str) else limit))
        why = "; in quotes it is text" if limit == "string" and fault.instance is not None else ""
        if isinstance(fault.instance, str) and _is_of(limit, fault.instance):
            why = f"; {text}"
        return f"must be {wanted}, not {given}{why}."
    if fault.validator == "enum":
        return f"must be {' or '.join(map(str, limit))}, not {given}."
    if fault.validator in BOUNDS:
        return f"must be {BOUNDS[fault.validator]} {limit}, not {given}."
    if fault.validator == "uniqueItems":
        return f"{given} names something twice."
    if fault.validator in ("minItems", "minProperties", "maxItems"):
        return f"must have {'at most' if fault.validator == 'maxItems' else 'at least'} {limit}, not {given}."
    if fault.validator == "required":
        return f"{', '.join(key for key in limit if key not in fault.instance)} is missing."
    return fault.message + "."


def _is_of(kinds: str | list[str], text: str) -> bool:
    """Tell whether a text would be of a schema's types without quotes."""
    try:
        return jsonschema.Draft202012Validator({"type": kinds}).is_valid(yaml.safe_load(text[:100]))
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError):  # such as a 31st of February
        return False


def unquoted(config: Mapping, *above: str) -> Iterator[str]:
    """Yield the keys of a configuration, and of the mappings in it, that are no text."""
    for key, value in config.items():
        place = (*above, str(key))
        if not isinstance(key, str):
            yield ".".join(place)
        elif isinstance(value, Mapping):
            yield from unquoted(value, *place)


def nowhere(value: object, *above: str) -> Iterator[str]:
    """Yield the places of numbers that are infinite or none, which no bound refuses."""
    if isinstance(value, float) and not math.isfinite(value):
        yield ".".join(above)
    parts = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, part in parts:
        yield from nowhere(part, *above, str(key))


def nearest(word: object, known: list[str]) -> str:
    """Return the known word that was probably meant, or all of them, as the end of a sentence."""
    close = difflib.get_close_matches(str(word), known, n=1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}."
