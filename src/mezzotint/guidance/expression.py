"""Read the short expressions: `cfg(7.5)`, `cfg(7.5, start=0.1, stop=0.8)`, terms joined by `+`.

A number alone is what other tools call the CFG scale: 5 is `cfg(5)`, and 0 to 1 switch guidance off.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from functools import lru_cache

from mezzotint.checks import short
from mezzotint.errors import RequestError, nearest
from mezzotint.guidance.steer import PRESETS, Clip, Color
from mezzotint.guidance.terms import Cfg, Guidance, Mix, Term
from mezzotint.plugins import PluginTable

TERMS: PluginTable[Callable[..., Term]] = PluginTable(
    "mezzotint.terms", Callable, {"cfg": Cfg, "mix": Mix, "color": Color, "clip": Clip, **PRESETS}
)
"""What makes a term of the values in an expression: its class, or a recipe, whose signature names the values."""
LONGEST = 2000  # characters


def parse(text: str) -> Guidance:
    """The guidance that an expression stands for; "", "none" and numbers from 0 to 1 are none.

    RequestError says what is wrong.
    """
    if not isinstance(text, str) or len(text) > LONGEST:
        raise RequestError(f"guidance must be text of at most {LONGEST} characters, such as cfg(7.5)")
    return _parse(text.strip())


@lru_cache(maxsize=1024)
def _parse(text: str) -> Guidance:
    if text in ("", "none"):
        return Guidance()
    if _NUMBER.fullmatch(text):
        return of_number(float(text))
    try:
        tree = ast.parse(_plain(text), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        advice = "write terms such as cfg(7.5), joined by +"
        raise RequestError(f"guidance {short(text)} cannot be read; {advice}") from None
    return Guidance(tuple(_term(node) for node in _summands(tree)))


def of_number(scale: float) -> Guidance:
    """What a CFG scale means in other tools: none from 0 to 1, else `cfg(scale)`. RequestError below 0."""
    if scale < 0:
        raise RequestError(
            f"a guidance scale is 0 or more, got {scale:g}; for the formula write cfg({scale:g})"
        )
    return Guidance() if scale <= 1 else Guidance((Cfg(scale),))


_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_HYPHENED = re.compile(
    r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|\b([a-z]\w*(?:-[a-z]\w*)+)(?=\s*\()""", re.ASCII
)


def _plain(text: str) -> str:
    """Names such as course-color, outside quotes, as Python would spell them."""
    return _HYPHENED.sub(lambda found: found[1] or found[2].replace("-", "_"), text)


def _summands(node: ast.expr) -> list[ast.expr]:
    parts: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts.append(node.right)
        node = node.left
    return [node, *reversed(parts)]


def _term(node: ast.expr) -> Term:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise RequestError(f"guidance {_source(node)} is not a term; write name(numbers), such as cfg(7.5)")
    name = node.func.id.replace("_", "-")
    if name not in TERMS:
        hint = nearest(name, TERMS.names())
        raise RequestError(f"no guidance is called {short(name)}; known: {', '.join(TERMS.names())}{hint}")
    values = _arguments(name, node, list(inspect.signature(TERMS[name]).parameters))
    try:
        return TERMS[name](**values)
    except TypeError:
        order = ", ".join(inspect.signature(TERMS[name]).parameters)
        raise RequestError(f"{name} needs {order} in this order; got {_source(node)}") from None


def _arguments(name: str, node: ast.Call, parameters: list[str]) -> dict[str, object]:
    """The values of a call by name, checked as Python would but with errors for people."""
    if len(node.args) > len(parameters):
        raise RequestError(f"{name} takes {', '.join(parameters)}; got {len(node.args)} values")
    values = {key: _value(name, arg) for key, arg in zip(parameters, node.args, strict=False)}
    for word in node.keywords:
        key = word.arg or "**"
        if key not in parameters:
            hint = nearest(key, parameters)
            raise RequestError(f"{name} has no {short(key)}; it takes {', '.join(parameters)}{hint}")
        if key in values:
            raise RequestError(f"{name} is given {key} twice")
        values[key] = _value(name, word.value)
    return values


def _value(name: str, node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise RequestError(f"{name}: {_source(node)} is not a plain number or text") from None


def _source(node: ast.expr) -> str:
    try:
        return short(ast.unparse(node))
    except RecursionError:
        return "something nested this deep"
