"""Packages that import what they hold when it is first asked for: `--help` does not wait for heavy libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def door(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package: it imports the module that a name lives in (PEP 562).

    Args:
        package: The package's `__name__`.
        homes: Module of each public name.
    """

    def opened(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return opened
