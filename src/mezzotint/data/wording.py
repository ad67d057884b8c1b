"""Names of objects in a sentence: with an article, and in the plural."""

from __future__ import annotations

_LIKE_YOU = ("eu", "ufo", "uni", "us", "ut")
"""Beginnings that sound as in `you`."""


def article_of(name: str) -> str:
    """The name with `a` or `an`."""
    lower = name.lower()
    return f"{'an' if lower[0] in 'aeiou' and not lower.startswith(_LIKE_YOU) else 'a'} {name}"


def plural(name: str) -> str:
    """A good guess at the plural."""
    if name.endswith(("s", "x", "ch", "sh")):
        return name + "es"
    return name[:-1] + "ies" if name.endswith("y") and name[-2:-1] not in "aeiou" else name + "s"
