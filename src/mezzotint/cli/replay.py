"""`mezzotint replay`: make a picture again from what its file says, and compare."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mezzotint.cli.generate import Mode, Runtime
from mezzotint.cli.options import PrecisionOption

if TYPE_CHECKING:
    from mezzotint.picture import Picture, Provenance

PROMISED = {"fast": 2, "exact": 0}  # of 255, in float32; what the engine's modes promise


def replay(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A PNG that Mezzotint saved.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the second picture, as a PNG.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Needed where it was not a bundled one.")
    ] = None,
    mode: Annotated[Mode | None, typer.Option(help="By default as recorded.")] = None,
    runtime: Annotated[Runtime | None, typer.Option(help="By default as recorded.")] = None,
    precision: PrecisionOption = None,
) -> int:
    """Make a picture again from what its file says; print the largest difference and what else differs.

    Exit code 0 where no value differs by more than the mode promises (fast 2 of 255, exact 0), else 1.
    """
    from mezzotint.cli.messages import note, print_warnings
    from mezzotint.cli.output import check_file
    from mezzotint.errors import OutputError
    from mezzotint.picture import Picture

    first = Picture.open(picture)
    if out is not None:
        if out.suffix.lower() != ".png":
            raise OutputError(f"pictures are written as PNG; give {out.name!r} the ending .png")
        check_file(out)
    with print_warnings(note):
        again = _draw_again(first, model, mode, runtime, precision)
    if out is not None:
        _keep(again, out)
    return _report(first, again)


def _draw_again(
    first: Picture, model: str | None, mode: Mode | None, runtime: Runtime | None, precision: str | None
) -> Picture:
    from mezzotint.api import generate
    from mezzotint.models import open_model

    made = first.provenance
    opened = open_model(
        model or _require_bundled(made.model),
        runtime or cast("Runtime", made.runtime),  # whatever the file says: open_model checks it
        precision or made.dtype,
    )
    [again] = generate(first.request, opened, mode or cast("Mode", made.mode))
    return again


def _require_bundled(name: str) -> str:
    """The recorded model, where it is a bundled one: a file may not choose what else is read or fetched."""
    from mezzotint.errors import ModelError
    from mezzotint.models import BUNDLED

    if name not in BUNDLED:
        raise ModelError(
            f"the picture was made by {name[:80]!r}, which is not bundled; say where: --model MODEL"
        )
    return name


def _keep(picture: Picture, path: Path) -> None:
    from mezzotint.cli.output import make_folder

    make_folder(path.parent)
    picture.save(path)


def _report(first: Picture, again: Picture) -> int:
    from mezzotint.cli.messages import one_line

    mode = again.provenance.mode
    lines = list(_differences(first.provenance, again.provenance))
    if first.image.size != again.image.size:
        sizes = ["{}x{}".format(*picture.image.size) for picture in (first, again)]
        print(f"the sizes differ: {sizes[0]}, now {sizes[1]}")
        within = False
    else:
        most = largest_difference(first, again)
        within = most <= PROMISED[mode]
        verdict = "within" if within else "beyond"
        print(f"largest difference: {most} of 255, {verdict} the {PROMISED[mode]} that {mode} promises")
    for line in lines or ["the same model, runtime, precision, versions and device"]:
        print(one_line(line))
    return 0 if within else 1


def largest_difference(one: Picture, other: Picture) -> int:
    """Of all values of all pixels, 0 to 255; for pictures of one size."""
    import numpy as np

    a, b = (np.asarray(picture.image.convert("RGB"), np.int16) for picture in (one, other))
    return int(np.abs(a - b).max())


def _differences(then: Provenance, now: Provenance) -> Iterator[str]:
    """`openvino 2026.4.0, now 2026.5.0`: what was otherwise when the first picture was made."""
    if then.model_digest != now.model_digest:
        yield f"model {then.model} {then.model_digest[:10]}, now {now.model} {now.model_digest[:10]}"
    for name in ("runtime", "dtype", "mode", "device"):
        before, after = getattr(then, name), getattr(now, name)
        if before != after:
            yield f"{name} {before}, now {after}"
    if then.threads != now.threads:
        yield f"threads {then.threads or 'not recorded'}, now {now.threads or 'not recorded'}"
    for table in ("versions", "encoders", "steering"):
        old, new = getattr(then, table), getattr(now, table)
        for name in sorted({*old, *new}):
            before, after = old.get(name, "none"), new.get(name, "none")
            if before != after:
                yield f"{name} {before}, now {after}"
