"""Settings from YAML files: checked, frozen, unknown keys refused with the nearest known name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mezzotint.errors import ConfigError, nearest
from mezzotint.precision import with_precision

_KINDS = {
    "bool": "true or false",
    "dict": "a table",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "path": "a path",
    "string": "a text",
    "tuple": "a list",
}
_BOUNDS = {
    "greater_than": "above",
    "greater_than_equal": "at least",
    "less_than": "below",
    "less_than_equal": "at most",
}


class Config(BaseModel):
    """A frozen part of a configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The configuration in a YAML file; raises ConfigError with every mistake in one line."""
        return cls.from_mapping(settings_in(path), str(path))

    @classmethod
    def from_mapping(cls, found: Mapping[str, Any], where: str) -> Self:
        """From a table; raises ConfigError with every mistake in one line, which begins with `where`."""
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            raise ConfigError(describe_errors(error.errors(), cls.model_fields, where)) from error


def present_precision(found: Any) -> Any:
    """A table with `precision` in place of its former names `mixed_precision` and `bf16`; ValueError for both at once.

    For `model_validator(mode="before")`.
    """
    try:
        return with_precision(found) if isinstance(found, dict) else found
    except ConfigError as error:
        raise ValueError(str(error)) from None


def settings_in(path: Path) -> dict[str, Any]:
    """The table in a YAML file. ConfigError where there is none."""
    try:
        found = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ConfigError(f"{path} should hold a table of settings")
    return found


def describe_errors(errors: Sequence[Any], fields: Mapping[str, Any], where: str) -> str:
    """pydantic's errors as one line that begins with `where`; each has its line number where `where` is a YAML file."""
    root = _tree(where)
    places: dict[tuple[Any, ...], list[Any]] = {}  # a union has an error for each of its types
    for error in errors:
        places.setdefault(_in_file(error, root), []).append(error)
    said = []
    for loc, found in places.items():
        line, text = _line(root, loc), _describe(found[0], fields, loc)
        if len(found) > 1 and (nouns := list(dict.fromkeys(filter(None, map(_noun, found))))):
            text = f"{'.'.join(map(str, loc))} is {str(found[0]['input'])[:40]!r}; it should be {' or '.join(nouns)}"
        said.append(f"line {line}: {text}" if line else text)
    return f"{where}: " + "; ".join(said)


def _describe(error: Any, fields: Mapping[str, Any], loc: tuple[Any, ...]) -> str:
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    name = ".".join(map(str, loc))
    if kind == "extra_forbidden":
        return f"unknown setting {name!r}{nearest(str(loc[-1]), _fields_at(fields, loc))}"
    if kind == "missing":
        return f"{name} is missing"
    if kind == "literal_error":
        known = context["expected"].replace("'", "")
        return f"{name} is {value!r}; it can be {known}{nearest(str(value), known.replace(' or ', ', ').split(', '))}"
    if kind in _BOUNDS:
        bound = next(iter(context.values()))
        return f"{name} is {value!r}; it should be {_BOUNDS[kind]} {bound:g}"
    if noun := _noun(error):
        return f"{name} is {str(value)[:40]!r}; it should be {noun}"
    said = error["msg"].removeprefix("Value error, ")
    return f"{name}: {said}" if name else said


def _noun(error: Any) -> str:
    """What the value should be, where its type is what is wrong."""
    kind = error["type"]
    if not kind.endswith(("_type", "_parsing", "_from_float")):
        return ""
    return next((noun for word, noun in _KINDS.items() if kind.startswith(f"{word}_")), "")


def _fields_at(fields: Mapping[str, Any], loc: tuple[Any, ...]) -> Mapping[str, Any]:
    for part in loc[:-1]:
        fields = getattr(getattr(fields.get(part), "annotation", None), "model_fields", {})
    return fields


def _tree(where: str) -> yaml.Node | None:
    path = Path(where)
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return None
    return yaml.compose(path.read_text(), Loader=yaml.SafeLoader)


def _in_file(error: Any, root: yaml.Node | None) -> tuple[Any, ...]:
    """Without the names of types that pydantic adds for unions, where there is a file to tell them by."""
    loc: tuple[Any, ...] = error["loc"]
    if root is None or error["type"] == "missing":
        return loc
    node: yaml.Node | None = root
    kept: list[Any] = []
    for part in loc:
        child = _child(node, part)
        if child is None and kept:
            break
        kept.append(part)
        node = child[1] if child else None
    return tuple(kept)


def _line(root: yaml.Node | None, loc: tuple[Any, ...]) -> int:
    """Of the setting, from 1; 0 where the file does not have it."""
    line, node = 0, root
    for part in loc:
        child = _child(node, part)
        if child is None:
            break
        line, node = child[0].start_mark.line + 1, child[1]
    return line


def _child(node: yaml.Node | None, part: Any) -> tuple[yaml.Node, yaml.Node] | None:
    """The key, or the item itself, and the value."""
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None
