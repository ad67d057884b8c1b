"""The names of precisions: `auto`, `fp32`, `bf16`, `fp16`, with the names that other tools and older files use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from mezzotint.errors import ConfigError, nearest

Precision = Literal["auto", "fp32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = ("auto", "fp32", "bf16", "fp16")
DTYPES = {"auto": "auto", "fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""The same as runtimes name them."""
FORMER_KEYS = ("mixed_precision", "dtype")
_ALIASES: dict[object, Precision] = {
    **{name: name for name in PRECISIONS},
    "float32": "fp32",
    "no": "fp32",  # accelerate: no mixed precision
    False: "fp32",  # YAML reads a bare `no` so
    "bfloat16": "bf16",
    "float16": "fp16",
}


def precision_named(name: object) -> Precision:
    """The precision of this name. ConfigError says which there are."""
    if isinstance(name, str | bool) and name in _ALIASES:
        return _ALIASES[name]
    raise ConfigError(
        f"precision is {name!r}; it can be {', '.join(PRECISIONS)}{nearest(str(name), PRECISIONS)}"
    )


def with_precision(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings whose `mixed_precision`, `dtype` or `bf16` has become `precision`, by its present name.

    ConfigError where it is said twice, or by a name that is none.
    """
    found = dict(settings)
    if isinstance(found.get("bf16"), bool):
        found["mixed_precision"] = "bf16" if found.pop("bf16") else "no"
    said = [key for key in ("precision", *FORMER_KEYS) if key in found]
    if len(said) > 1 and len({precision_named(found[key]) for key in said}) > 1:
        raise ConfigError(f"{' and '.join(said)} are one setting and differ here; keep precision")
    values = [found.pop(key) for key in said]
    return found | ({"precision": precision_named(values[0])} if values else {})
