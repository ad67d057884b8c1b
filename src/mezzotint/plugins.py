"""Tables by name that packages of others can add to, by entry points."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar, cast

from mezzotint.errors import ConfigError

T = TypeVar("T")


class PluginTable(dict[str, T]):
    """Our own records by name, and those behind the entry points of a group; a name of ours stays ours.

    Entry points are searched when a name is asked for that is not ours, or by `load`: reading the metadata of all
    installed packages takes longer than most commands. Iteration gives what is loaded.
    """

    def __init__(self, group: str, kind: Any, own: Mapping[str, T]) -> None:
        """`group`: such as `mezzotint.samplers`; `kind`: what a record of another package must be."""
        super().__init__(own)
        self.group, self._kind = group, kind
        self._points: dict[str, EntryPoint] | None = None

    def load(self) -> None:
        """Add the records of all packages. ConfigError names the first that does not load."""
        for name in self._found():
            _ = self[name]

    def _found(self) -> dict[str, EntryPoint]:
        if self._points is None:
            self._points = {point.name: point for point in entry_points(group=self.group)}
        return self._points

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._found()

    def __missing__(self, name: str) -> T:
        point = self._found().get(name)
        if point is None:
            raise KeyError(name)
        try:
            record = point.load()
        except Exception as error:  # whatever a foreign package raises
            why = f"{type(error).__name__}: {error}"
            raise ConfigError(f"{name!r} of the entry points {self.group} does not load: {why}") from error
        if not isinstance(record, self._kind):
            wanted, got = self._kind.__name__, type(record).__name__
            raise ConfigError(f"the entry point {name!r} of {self.group} must be a {wanted}, got a {got}")
        self[name] = made = cast(T, record)
        return made

    def names(self) -> list[str]:
        """All names, ours first; none is loaded for it."""
        return list(dict.fromkeys([*self, *self._found()]))
