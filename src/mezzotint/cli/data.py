"""`mezzotint data`: the pictures that models are trained on, made, chosen and looked through."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

if TYPE_CHECKING:
    from mezzotint.data.pictures.listing import Skipped
    from mezzotint.data.pictures.survey import Survey

data = typer.Typer(
    name="data", help="Make pictures to train on, choose among them, and look through your own."
)

NewFolder = Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")]
Cache = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Keeps the npm packages; by default beside DIR.")
]
NAMED = 5  # of the files that are skipped for one reason


@data.command()
def emoji(
    folder: NewFolder,
    size: Annotated[
        int,
        typer.Option(
            metavar="N", min=64, max=1024, help="Pixels a side. Models train on 128, the upscaler on 256."
        ),
    ] = 128,
    cache: Cache = None,
) -> None:
    """Fetch seven freely licensed emoji styles from npm and draw them, with captions."""
    from mezzotint.cli.messages import note
    from mezzotint.cli.output import check_folder
    from mezzotint.extras import needs_extra

    check_folder(folder)
    with needs_extra("train"):
        from mezzotint.data.emoji import build
    count = build(folder, cache or folder.absolute().with_name(f"{folder.name}-packages"), note, size)
    print(f"{folder}: {count} pictures")


@data.command()
def icons(
    package: Annotated[
        str, typer.Argument(metavar="PACKAGE", help="Of npm, with its version: @iconify-json/noto@1.2.9.")
    ],
    folder: NewFolder,
    style: Annotated[str, typer.Option(metavar="WORD", help="What captions call it: a castle, WORD style.")],
    without: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Leave out icons of such names, as '*-duo'.")
    ] = None,
    size: Annotated[int, typer.Option(metavar="N", min=8, max=1024, help="Pixels a side.")] = 128,
    count: Annotated[int, typer.Option(metavar="N", min=0, help="So many of them; 0: all.")] = 0,
    seed: Annotated[int, typer.Option(metavar="N", help="Picks them.")] = 0,
    cache: Cache = None,
) -> None:
    """Fetch an icon set in Iconify's format from npm as RGB pictures on white with captions, to fine-tune on."""
    from mezzotint.cli.output import check_folder
    from mezzotint.extras import needs_extra

    check_folder(folder)
    with needs_extra("train"):
        from mezzotint.data.icons import write_icons
    name, _, version = package[1:].partition("@")  # the first may be that of a scope
    made = write_icons(
        package[:1] + name, folder, cache or folder.absolute().with_name("packages"),
        style=style, version=version or "latest", without=without or (), size=size, count=count, seed=seed,
    )  # fmt: skip
    print(f"{folder}: {made:,} pictures of {size}x{size}")


@data.command()
def subset(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="What `mezzotint data emoji` made.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new or empty folder.")],
    part: Annotated[
        str, typer.Option("--subset", metavar="NAME", help="faces, animals, insects, ordinary, or all.")
    ] = "all",
    size: Annotated[int, typer.Option(metavar="N", min=8, max=1024, help="Pixels a side.")] = 64,
    background: Annotated[
        Literal["white", "portrait"],
        typer.Option(help="Portrait: a soft backdrop, another for each picture."),
    ] = "white",
    style: Annotated[str, typer.Option(metavar="NAME", help="Of one style, such as noto.")] = "",
    split: Annotated[
        str, typer.Option(metavar="NAME", help="train, test, style (the style that is held out), or all.")
    ] = "train",
    count: Annotated[int, typer.Option(metavar="N", min=0, help="So many of them; 0: all.")] = 0,
    seed: Annotated[int, typer.Option(metavar="N", help="Picks them, and draws their backdrops.")] = 0,
    cells: Annotated[
        int, typer.Option("--pixel-art", metavar="N", min=0, help="In N x N plain squares; 0: as they are.")
    ] = 0,
) -> None:
    """Write a part of the emoji set as plain RGB pictures with captions, to fine-tune on."""
    from mezzotint.cli.output import check_folder
    from mezzotint.data.extract import write_subset

    check_folder(out)
    made = write_subset(
        source, out, part, size=size, background=background, split=split, style=style, count=count, seed=seed, cells=cells
    )  # fmt: skip
    print(f"{out}: {made:,} pictures of {size}x{size}")


@data.command()
def check(
    source: Annotated[
        str, typer.Argument(metavar="DIR", help="A folder of pictures, or a dataset owner/name of the hub.")
    ],
    size: Annotated[int, typer.Option(metavar="N", help="Pixels a side that a model is to see.")] = 64,
    captions: Annotated[
        bool, typer.Option("--captions", help="For text-to-image: every picture needs a caption.")
    ] = False,
    min_side: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="The shortest side; by default half of --size.")
    ] = None,
    headers_only: Annotated[
        bool,
        typer.Option("--headers-only", help="Decode nothing: faster, but torn pictures are not noticed."),
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Name every file that is skipped.")] = False,
) -> None:
    """Look through pictures before anyone trains on them: what is there, what is skipped and why."""
    from mezzotint.data.pictures.files import EXTENSIONS
    from mezzotint.data.pictures.survey import Wanted, survey
    from mezzotint.errors import DataError

    found = survey(source, Wanted(size, captions, min_side), EXTENSIONS, whole=not headers_only)
    file = sys.stderr if found.problems else sys.stdout
    if len(found.pictures) or found.skipped:
        tell_survey(source, found, file)
        how = (
            "headers only; a torn picture shows when it is decoded"
            if headers_only
            else "every picture decoded"
        )
        _line(f"{'read':<10}{how}", file)
    tell_skipped(found.skipped, file, None if every else NAMED)
    if found.problems:
        raise DataError("; ".join(found.problems))


def tell_survey(source: str, found: Survey, file: TextIO) -> None:
    """What can be used, a line a subject."""
    count = len(found.pictures)
    told = {
        "pictures": f"{count:,} in {source}",
        "sides": _sides(found),
        "captions": f"{found.caption_count:,}" if found.caption_count else "none read",
        "handled": ", ".join(f"{n:,} {trait}" for trait, n in found.traits.most_common()),
        "licenses": ", ".join(f"{n:,} {name}" for name, n in found.licenses.most_common(5)),
        "ignored": ", ".join(f"{n:,} {ending}" for ending, n in found.others.most_common(5)),
        "skipped": f"{len(found.skipped):,}",
    }
    for subject, text in told.items():
        if text:
            _line(f"{subject:<10}{text}", file)


def tell_skipped(skipped: Sequence[Skipped], file: TextIO, most: int | None = NAMED) -> None:
    """A table of what is left out, by reason, with names: the first few, or all of them."""
    from mezzotint.data.pictures.survey import reasons

    for reason, count in reasons(skipped).most_common():
        _line(f"{count:>8,}  {reason}", file)
        alike = [(path, why) for path, why in skipped if why.split(":")[0] == reason]
        for path, why in alike[:most]:
            _line(f"{'':10}{path}{why[len(reason) :]}", file)
        if most is not None and count > most:
            _line(f"{'':10}and {count - most:,} more", file)


def _sides(found: Survey) -> str:
    if not len(found.sides):
        return ""
    short = sorted(int(side) for side in found.sides.min(1))
    return f"the short one {short[0]:,} to {short[-1]:,} pixels, half of them at least {short[len(short) // 2]:,}"


def _line(text: str, file: TextIO) -> None:
    """Names of files may hold anything: what a terminal cannot show is shown as a question mark."""
    shown = text.encode("utf-8", "replace").decode()
    print("".join(c if c.isprintable() else "?" for c in shown), file=file)
