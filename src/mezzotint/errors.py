"""Every error that Mezzotint raises on purpose; each message is one line that says what to do.

MezzotintError
├── RequestError   a field of a request
├── ModelError     a model that is missing, broken or of the wrong kind
├── DataError      pictures and captions
├── ConfigError    a configuration file
└── OutputError    a result that cannot be written
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class MezzotintError(Exception):
    """The root: catch this to catch all of them."""


class RequestError(MezzotintError):
    """A request asks for what cannot be."""


class ModelError(MezzotintError):
    """A model is missing, broken or of the wrong kind."""


class DataError(MezzotintError):
    """Pictures or captions are missing or unusable."""


class ConfigError(MezzotintError):
    """A configuration file is wrong."""


class OutputError(MezzotintError):
    """A result cannot be written."""


def nearest(word: str, known: Iterable[str], likeness: float = 0.5) -> str:
    """The rest of an error message: `; did you mean 'euler'?`, or nothing when no known name is near.

    `likeness`: 0 to 1; high where names of other things are alike.
    """
    close = get_close_matches(str(word), [str(name) for name in known], n=1, cutoff=likeness)
    return f"; did you mean {close[0]!r}?" if close else ""
