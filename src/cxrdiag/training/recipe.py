"""Recipes <-> YAML: `cxrdiag.training.config`; an unknown key or a wrong type is an error."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml

from cxrdiag.errors import UsageError
from cxrdiag.training.config import RANGES, Recipe

RECIPES = ("default", "best", "finetune", "original", "smoke")


def load_recipe(name_or_file: str, overrides: Sequence[str] = ()) -> Recipe:
    """A shipped recipe by name, or a YAML file, with `section.key=value` overrides applied.

    Raises UsageError for an unknown name, section, key, or a value of the wrong type or range.
    """
    document = _parse_yaml(_read(name_or_file), name_or_file) or {}
    if not isinstance(document, dict):
        raise UsageError("a recipe is sections of keys", path=name_or_file, code="bad_recipe")
    for override in overrides:
        path, separator, value = override.partition("=")
        section, dot, key = path.strip().partition(".")
        if not (separator and dot):
            raise UsageError(
                f"{override!r} is not section.key=value",
                hint="for example --set training.lr=0.001",
                code="bad_override",
            )
        values = document.setdefault(section, {})
        if not isinstance(values, dict):
            raise UsageError(f"{section!r} is not a section of keys", code="bad_override")
        values[key] = _parse_yaml(value, override)
    recipe = _build(Recipe, document, "")
    assert isinstance(recipe, Recipe)
    if recipe.data.early and recipe.data.early_resolution > recipe.data.resolution:
        raise UsageError(
            f"data.early_resolution is {recipe.data.early_resolution}, more than data.resolution, "
            f"{recipe.data.resolution}",
            code="bad_value",
        )
    return recipe


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML, every key written out; `load_recipe` of it gives the same recipe."""
    plain = dataclasses.asdict(recipe)
    crop = plain["augment"]["crop"]
    plain["augment"]["crop"] = list(crop)  # YAML has no tuples
    return yaml.safe_dump(plain, sort_keys=False)


def _read(name_or_file: str) -> str:
    if name_or_file in RECIPES:
        file = resources.files("cxrdiag.training") / "recipes" / f"{name_or_file}.yaml"
        return file.read_text(encoding="utf-8")
    try:
        return Path(name_or_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"no recipe {name_or_file!r}",
            hint=f"one of {', '.join(RECIPES)}, or a YAML file",
            code="unknown_recipe",
        ) from error


def _parse_yaml(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: month 13 of a date
        raise UsageError("not YAML", path=where, code="bad_recipe") from error


def _build(kind: type[Any], values: dict[str, Any], path: str) -> Any:
    hints = typing.get_type_hints(kind)
    made = {}
    for key, value in values.items():
        where = f"{path}{key}"
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1, cutoff=0)
            raise UsageError(
                f"unknown recipe key {where!r}",
                hint=f"did you mean {path}{near[0]}?",
                code="unknown_key",
            )
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise UsageError(f"{where} is a section of keys", code="bad_recipe")
            made[key] = _build(hints[key], value, f"{where}.")
        else:
            made[key] = _convert(hints[key], value, where)
            _check_range(made[key], where)
    return kind(**made)


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the field's type says, or UsageError."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal and value in options:
        return value
    if origin is tuple and isinstance(value, list) and len(value) == len(options):
        return tuple(_convert(t, v, where) for t, v in zip(options, value, strict=True))
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is float and not isinstance(value, bool):
        try:
            return float(value)  # YAML 1.1 reads 1e-3 as text
        except (TypeError, ValueError, OverflowError):
            pass
    expected = " or ".join(map(repr, options)) if origin is Literal else _name(hint)
    raise UsageError(f"{where} is {value!r}, expected {expected}", code="bad_value")


def _check_range(value: Any, where: str) -> None:
    # It names folders; and those of runs are all on one level.
    if where == "name" and not re.fullmatch(r"\w[\w.-]*", value):
        raise UsageError(f"name is {value!r}, not letters, digits, '.', '_', '-'", code="bad_value")
    if where in RANGES:
        low, high = RANGES[where]
        if not all(low <= v <= high for v in (value if isinstance(value, tuple) else (value,))):
            shown = list(value) if isinstance(value, tuple) else value
            raise UsageError(f"{where} is {shown}, not in {low:g} to {high:g}", code="bad_value")


def _name(hint: Any) -> str:
    if isinstance(hint, types.GenericAlias):
        return "a pair of numbers, such as [0.8, 1.0]"
    return {str: "text", int: "a whole number", float: "a number", bool: "true or false"}[hint]
