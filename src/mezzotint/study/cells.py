"""The cells of a study: each a point on all axes, and the request that it stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, get_type_hints

from mezzotint import library
from mezzotint.axes import cross
from mezzotint.errors import ConfigError, MezzotintError, RequestError, nearest
from mezzotint.guidance import PRESETS, Cfg, Clip, Color, Guidance, Mix, Term, parse
from mezzotint.models.disk.source import defaults_of
from mezzotint.models.lora.files import keep_loras
from mezzotint.request import Request
from mezzotint.study.spec import Study
from mezzotint.study.table import Value

KINDS: dict[str, type[Term]] = {"cfg": Cfg, "mix": Mix, "color": Color, "clip": Clip}
FIELDS = tuple(field.name for field in fields(Request) if field.name != "seed")
_PICTURES = ("init", "mask")
_BRACES = re.compile(r"\{(\w+)\}")
_DIGESTS = re.compile(r"(?:^|[*+ ])[0-9a-f]{64}(?:$|[+ ])")  # not as a folder of a path
_SHOWN = 6  # cells named of those that have the same mistake


@dataclass(frozen=True)
class Cell:
    """A combination of the axes; its pictures differ in the seed."""

    values: dict[str, Value]  # axis: value, as the study has them
    model: str
    request: Request  # with seed 0

    def __str__(self) -> str:
        return ", ".join(f"{axis}={value}" for axis, value in self.values.items()) or "the only cell"


@dataclass(frozen=True)
class TermAxis:
    """A field of a guidance term: `guidance.cfg.scale`, or of the second `guidance.cfg.2.scale`."""

    term: str
    number: int  # 0: the only one
    field: str

    def index_in(self, terms: tuple[Term, ...]) -> int:
        """Where the term stands. RequestError where there is none, or no saying which."""
        found = [i for i, term in enumerate(terms) if isinstance(term, KINDS[self.term])]
        if not found or self.number > len(found):
            which = f"{self.term} number {self.number}" if self.number else self.term
            raise RequestError(
                f"guidance {str(Guidance(terms))[:60]} has no {which}; write it into the guidance"
            )
        if len(found) > 1 and not self.number:
            name = f"guidance.{self.term}.1.{self.field}"
            raise RequestError(f"{len(found)} terms are called {self.term}; say which, such as {name}")
        return found[max(0, self.number - 1)]


def cells(study: Study) -> list[Cell]:
    """All cells, in the order of the axes. ConfigError for a wrong axis, or with all cells that cannot be."""
    compiler = _RequestBuilder(study)
    wrong: dict[str, list[str]] = {}
    made = []
    for values in cross(study.tables):
        try:
            made.append(compiler(values))
        except MezzotintError as error:
            wrong.setdefault(str(error), []).append(str(Cell(values, "", Request())))
    raise_mistakes(wrong)
    return made


def raise_mistakes(wrong: Mapping[str, list[str]]) -> None:
    """ConfigError that tells every mistake {what: cells}, where there are any."""
    if wrong:
        count = sum(map(len, wrong.values()))
        told = "; ".join(f"{what} [{_join_names(names)}]" for what, names in wrong.items())
        raise ConfigError(f"{count} cell{'s' * (count > 1)} of the study cannot be made: {told}")


def _join_names(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return " | ".join(names[:_SHOWN]) + more


class _RequestBuilder:
    """Turns values of axes into requests."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._kept: dict[str, str] = {}  # files: digests
        self._defaults = lru_cache(defaults_of)
        for name in study.base:
            _check_field(name)
        self._places = {name: term_field(name) for name in study.axis_names if name.startswith("guidance.")}
        texts = [*study.base.values(), *(value for t in study.tables for v in t.values() for value in v)]
        self._words = {word for text in texts if isinstance(text, str) for word in _BRACES.findall(text)}
        for name in study.axis_names:
            if name not in self._places and name != "model" and name not in self._words:
                _check_axis(name, self._words)
        self._words &= set(study.axis_names)

    def __call__(self, values: dict[str, Value]) -> Cell:
        model = values.get("model", self._study.model)
        if not isinstance(model, str):
            raise RequestError(f"model must be a name or a folder, got {model!r}")
        asked: dict[str, Any] = self._defaults(model) | self._study.base
        asked |= {name: value for name, value in values.items() if name in FIELDS}
        asked = {name: self._fill_words(value, values) for name, value in asked.items()}
        for name in _PICTURES:
            if asked.get(name):
                asked[name] = self._picture_digest(asked[name])
        if asked.get("lora"):
            asked["lora"] = self._lora_digests(str(asked["lora"]))
        if self._places:
            asked["guidance"] = self._set_guidance(asked.get("guidance", Request.guidance), values)
        return Cell(values, model, Request(**asked))

    def _fill_words(self, text: object, values: dict[str, Value]) -> object:
        """The text with the words in braces that are axes replaced."""
        if not self._words or not isinstance(text, str):
            return text
        return _BRACES.sub(lambda m: _as_text(values[m[1]]) if m[1] in self._words else m[0], text)

    def _set_guidance(self, guidance: object, values: dict[str, Value]) -> str:
        terms = list(parse("none" if guidance is None else str(guidance)).terms)
        changes: dict[int, dict[str, Value]] = {}
        for name, where in self._places.items():
            changes.setdefault(where.index_in(tuple(terms)), {})[where.field] = values[name]
        for i, change in changes.items():
            terms[i] = _replace_fields(terms[i], change)
        return str(Guidance(tuple(terms)))

    def _picture_digest(self, given: object) -> str:
        """The digest of a picture, which is taken into the library the first time."""
        text = str(given)
        if not re.fullmatch("[0-9a-f]{64}", text) and text not in self._kept:
            self._kept[text] = library.keep(self._study.folder / Path(text).expanduser())
        return self._kept.get(text, text)

    def _lora_digests(self, given: str) -> str:
        """Of files as the command line has them, `FILE:0.8 + FILE`; digests stay as they are."""
        if not _DIGESTS.search(given) and given not in self._kept:
            self._kept[given] = keep_loras([part.strip() for part in given.split(" + ")], self._study.folder)
        return self._kept.get(given, given)


def term_field(name: str) -> TermAxis:
    """What the name of an axis of guidance means. ConfigError names the nearest."""
    words = name.split(".")[1:]
    number = int(words.pop(1)) if len(words) == 3 and words[1].isdecimal() else 0
    if len(words) != 2:
        raise ConfigError(f"axis {name!r} is not guidance.TERM.FIELD, such as guidance.cfg.scale")
    term, field = words
    if term in PRESETS:  # which write themselves out as the term that they stand for
        term = get_type_hints(PRESETS[term])["return"].__name__.lower()
    if term not in KINDS:
        raise ConfigError(f"axis {name!r}: no term is called {term!r}{nearest(term, (*KINDS, *PRESETS))}")
    known = [f.name for f in fields(KINDS[term])]  # type: ignore[arg-type]  # every term is a dataclass
    if field not in known:
        raise ConfigError(f"axis {name!r}: {term} has no {field!r}{nearest(field, known)}")
    return TermAxis(term, number, field)


def _replace_fields(term: Term, change: dict[str, Value]) -> Term:
    """With other fields. Of scale and effect a term has one: the one that is given."""
    change = dict(change)
    for one, other in (("scale", "effect"), ("effect", "scale")):
        if one in change and other not in change and hasattr(term, other):
            change[other] = None
    return replace(term, **change)  # type: ignore[type-var]


def _check_field(name: str) -> None:
    if name not in FIELDS:
        raise ConfigError(f"base has {name!r}, which is no field of a request{_advice(name, FIELDS)}")


def _check_axis(name: str, words: set[str]) -> None:
    if name not in FIELDS:
        known = [*FIELDS, "model", *words, *(f"guidance.{kind}.scale" for kind in KINDS)]
        what = f"no field of a request, and no text of the study has {{{name}}}"
        raise ConfigError(f"axis {name!r} is {what}{_advice(name, known)}")


def _advice(name: str, known: Sequence[str]) -> str:
    return "; the seeds of a study are its `seeds`" if name == "seed" else nearest(name, known)


def _as_text(value: Value) -> str:
    return value if isinstance(value, str) else repr(value)
