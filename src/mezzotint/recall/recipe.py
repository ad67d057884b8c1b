"""What a picture's file tells of how it was drawn: in our words, with what was guessed and what is missing."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

from mezzotint.errors import DataError, RequestError
from mezzotint.interchange import find_sampler, find_spacing
from mezzotint.interchange.prompts import A1111, Marks, translate
from mezzotint.request import Request

MOST_REMARKS = 20


@dataclass(frozen=True)
class Lora:
    """An adapter that the picture names: its file's name there, its weight and, if given, some hash of it."""

    name: str
    weight: float
    hash: str = ""


@dataclass(frozen=True)
class Recipe:
    """`fields` of a Request that the file tells; `begin` of `steps` where the run started from a picture."""

    tool: str
    fields: dict[str, Any]
    model: str = ""  # as the file names it
    loras: tuple[Lora, ...] = ()
    start: tuple[int, int] | None = (
        None  # (begin, steps); the picture that it started from is not in the file
    )
    guessed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def request(self) -> Request:
        """The request as far as it is known; what is not told takes its default."""
        return Request(**self.fields)


@dataclass
class Draft:
    """A recipe while it is read. Each value is checked as it comes; one that cannot be drawn is said."""

    tool: str
    fields: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    loras: list[Lora] = field(default_factory=list)
    start: tuple[int, int] | None = None
    guessed: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def finish(self) -> Recipe:
        """The recipe. DataError where the file tells nothing that can be drawn."""
        if not self.fields:
            raise DataError(f"what {self.tool} wrote into it tells nothing that can be drawn")
        for lora in self.loras:
            self.unknown.append(f"LoRA {_short(lora.name)}: give its file, --lora FILE:{lora.weight:g}")
        if self.start:
            begin, steps = self.start
            self.unknown.append(
                f"the picture that it started from: give it, --init PICTURE --start {begin}/{steps}"
            )
        return Recipe(
            self.tool,
            self.fields,
            self.model,
            tuple(self.loras),
            self.start,
            tuple(dict.fromkeys(self.guessed))[:MOST_REMARKS],
            tuple(dict.fromkeys(self.unknown))[:MOST_REMARKS],
        )

    def put(self, name: str, value: Any) -> None:
        """Set a field of the request, where a request can have this value."""
        try:
            Request(**{name: value})
        except RequestError as error:
            self.unknown.append(str(error))
        else:
            self.fields[name] = value

    def prompts(self, prompt: object, negative: object, marks: Marks = A1111) -> None:
        """Both prompts, translated; None where the file has none."""
        for name, text in (("prompt", prompt), ("negative_prompt", negative)):
            if not isinstance(text, str):
                continue
            said = translate(text.encode(errors="replace").decode(), marks)
            self.put(name, said.text)
            self.unknown += said.remarks
            if name == "prompt":
                self.loras += [Lora(lora, weight) for lora, weight in said.loras]

    def whole(self, name: str, value: object) -> None:
        """A whole number, also as text; a negative seed was random."""
        number = number_of(value)
        if number is None or number != int(number):
            return
        exact = int(value) if isinstance(value, (int, str)) and str(value).strip().isdigit() else int(number)
        if name == "seed" and exact < 0:
            self.unknown.append("the seed: the file says random")
            return
        self.put(name, exact)

    def size(self, width: object, height: object) -> None:
        """In pixels; rounded down to multiples of 8, and said."""
        sides = [number_of(width), number_of(height)]
        if sides[0] is None or sides[1] is None:
            return
        for name, side in zip(("width", "height"), (int(sides[0]), int(sides[1])), strict=True):
            if side % 8:
                self.guessed.append(f"{name} {side} is drawn as {side // 8 * 8}, a multiple of 8")
            self.put(name, side // 8 * 8)

    def scale(self, value: object) -> None:
        """Of classifier-free guidance; at 1 and below it is off in every other tool."""
        if (number := number_of(value)) is not None:
            self.put("guidance", f"cfg({max(number, 1.0):g})")

    def sampled_by(self, sampler: object, schedule: object = "", none_means: str | None = None) -> None:
        """Sampler and schedule by their names there. `none_means`: the schedule where none is said."""
        if not isinstance(sampler, str) or not sampler.strip():
            return
        match = find_sampler(sampler)
        if match is None:
            self.unknown.append(
                f"sampler {_short(sampler)}: there is none like it here, choose with --sampler"
            )
            return
        self.put("sampler", match.sampler)
        if not match.exact:
            self.guessed.append(f"sampler {match.sampler}, the nearest to {_short(sampler)}")
        said = match.schedule or (schedule.strip() if isinstance(schedule, str) else "")
        if said.lower() in ("", "automatic", "use same scheduler"):
            if none_means:
                self.guessed.append(f"schedule {none_means}, which that tool takes where none is said")
            said = none_means or ""
        if said:
            self._spaced_by(said, match.sampler)

    def _spaced_by(self, said: str, sampler: str) -> None:
        match = find_spacing(said, sampler)
        if match.spacing is None:
            self.unknown.append(f"schedule {_short(said)}: there is none like it here, choose with --spacing")
            return
        self.put("spacing", match.spacing)
        if not match.exact:
            self.guessed.append(f"spacing {match.spacing}, the nearest to {_short(said)} with {sampler}")


def number_of(value: object) -> float | None:
    """A finite number, also one written as text; None for all else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value[:40] if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def text_of(value: object) -> str:
    """A name in a line of its own: text as it is, anything else as nothing."""
    return " ".join(value.split())[:200] if isinstance(value, str) else ""


def parse_json(text: str) -> Any:
    """The value. DataError where it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise DataError("its metadata is not whole JSON") from None


def parse_object(text: str) -> dict[str, Any]:
    """A JSON object. DataError where it is not one."""
    value = parse_json(text)
    if not isinstance(value, dict):
        raise DataError("its metadata is no JSON object")
    return value


def _short(text: str) -> str:
    return repr(text_of(text)[:60])
