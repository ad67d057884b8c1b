"""`mezzotint compare`: the same seeds under several settings, side by side, with what each cost."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mezzotint.errors import RequestError, nearest

if TYPE_CHECKING:
    from PIL import Image

    from mezzotint.picture import Picture
    from mezzotint.request import Request


def compare(
    settings: Annotated[
        list[str],
        typer.Argument(metavar="SETTING", help="Fields of a request, such as 'sampler=ddpm steps=1000'."),
    ],
    prompt: Annotated[str, typer.Option(metavar="TEXT", help="What to draw; faces needs none.")] = "",
    model: Annotated[str, typer.Option(metavar="MODEL", help="As for generate.")] = "emoji",
    n: Annotated[int, typer.Option("-n", metavar="N", min=1, max=64, help="Seeds, from --seed up.")] = 6,
    seed: Annotated[int, typer.Option(metavar="N", help="The first.")] = 0,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The sheet, a PNG.")] = Path("out/compare.png"),
) -> None:
    """Draw the same seeds under several settings: a row each, with its seconds and network evaluations.

    mezzotint compare --model faces "sampler=ddpm steps=1000" "sampler=ddim steps=40"
    """
    from mezzotint.models.disk.source import defaults_of
    from mezzotint.request import Request

    base = Request(prompt=prompt, seed=seed, **defaults_of(model))
    requests = [with_setting(base, setting) for setting in settings]

    from mezzotint.cli.messages import note
    from mezzotint.cli.output import check_file, write_png
    from mezzotint.models import open_model

    check_file(out)
    opened = open_model(model)
    rows = [
        (setting, *_draw_row(opened, r.repeat(n), note))
        for setting, r in zip(settings, requests, strict=True)
    ]
    write_png(out, sheet(rows, prompt or model))
    for setting, pictures, seconds in rows:
        print(f"{setting}: {seconds:.2f} s for {n}, {pictures[0].provenance.evaluations} evaluations each")
    print(out)


def with_setting(base: Request, setting: str) -> Request:
    """The request with fields replaced: `sampler=ddim steps=40 guidance=cfg(3, stop=0.8)`."""
    from dataclasses import replace
    from typing import get_type_hints

    from mezzotint.request import Request

    known = get_type_hints(Request)
    values: dict[str, Any] = {}
    for word in _words(setting):
        name, equals, value = word.partition("=")
        if not equals or name not in known:
            hint = nearest(name, known)
            raise RequestError(f"setting {word[:60]!r}: write field=value, such as steps=40{hint}")
        kind = next((number for number in (int, float) if known[name] in (number, number | None)), str)
        try:
            values[name] = kind(shlex.split(value)[0] if value[:1] in ("'", '"') else value)
        except ValueError:
            raise RequestError(f"setting {word[:60]!r}: {name} is a number") from None
    return replace(base, **values)


def _words(setting: str) -> list[str]:
    """Parted where a field begins, but not in parentheses or quotes: expressions need none around them."""
    words, depth, quote = [""], 0, ""
    for i, c in enumerate(setting):
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        else:
            depth += (c == "(") - (c == ")")
        if c.isspace() and not quote and depth <= 0 and re.match(r"\s*\w+=", setting[i:]):
            words.append("")
        else:
            words[-1] += c
    if quote:
        raise RequestError(f"setting {setting[:60]!r} cannot be read: a {quote} is not closed")
    return [word.strip() for word in words if word.strip()]


def _draw_row(model: Any, requests: Sequence[Request], say: Any) -> tuple[list[Picture], float]:
    """The pictures of a row, together in one engine, and the seconds that took; compiled beforehand."""
    from dataclasses import replace
    from time import perf_counter

    from mezzotint.api import generate

    say(f"{len(requests)} pictures: {requests[0].sampler}, {requests[0].steps} steps, {requests[0].guidance}")
    generate([replace(r, steps=max(2, r.begin + 1), spacing=None) for r in requests], model)
    began = perf_counter()
    pictures = generate(requests, model)
    return pictures, perf_counter() - began


def sheet(rows: Sequence[tuple[str, list[Picture], float]], title: str) -> Image.Image:
    """Rows of pictures under a headline, each with its setting and cost on the left."""
    from PIL import ImageDraw

    from mezzotint.cli.sheet import GAP, HEAD, MARGIN, font, new_sheet, paste_tile, tile_size, truncate
    from mezzotint.pages.colors import FAINT, INK

    width, height = tile_size(*rows[0][1][0].image.size)
    label, n = 230, len(rows[0][1])
    across = 2 * MARGIN + label + n * (width + GAP) - GAP
    first = rows[0][1][0].request.seed
    canvas = new_sheet(across, len(rows) * (height + GAP), title, f"seeds {first} to {first + n - 1}")
    pen = ImageDraw.Draw(canvas)
    for i, (setting, pictures, seconds) in enumerate(rows):
        y = MARGIN + HEAD + i * (height + GAP)
        pen.text((MARGIN, y + 4), truncate(pen, setting, font(14), label - GAP), fill=INK, font=font(14))
        evaluations = pictures[0].provenance.evaluations
        cost = f"{seconds:.2f} s for {n}", f"{evaluations} evaluations each"
        for k, line in enumerate(cost):
            pen.text((MARGIN, y + 26 + 18 * k), line, fill=FAINT, font=font(12))
        for k, picture in enumerate(pictures):
            paste_tile(canvas, picture.image, (MARGIN + label + k * (width + GAP), y), (width, height))
    return canvas
