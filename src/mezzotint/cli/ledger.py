"""The ledger beside a picture: what each gradient term did, as a table in JSON and as curves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from mezzotint.files import write_durably
from mezzotint.pages.colors import CURVES, FAINT, INK, PAPER
from mezzotint.picture import LedgerEntry, Picture

_CURVES = {
    "loss": "loss",
    "gradient": "gradient, root mean square",
    "moved": "x0 moved, root mean square",
    "cosine": "cosine with the classifier-free direction",
}


def write(picture: Picture, path: Path) -> Iterator[tuple[str, Path]]:
    """`NAME-ledger.json` and, where a term acted, `NAME-ledger.png`; yields what each is, and where."""
    table = path.with_name(f"{path.stem}-ledger.json")
    rows = [entry._asdict() for entry in picture.ledger]
    told = {"request": json.loads(picture.request.to_json()), "ledger": rows}
    write_durably(table, json.dumps(told, indent=1).encode())
    yield "ledger", table
    if rows:
        curves = path.with_name(f"{path.stem}-ledger.png")
        write_durably(curves, plot(picture))
        yield "ledger_plot", curves


def plot(picture: Picture) -> bytes:
    """Curves by step, a color a term, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    terms = list(dict.fromkeys(entry.term for entry in picture.ledger))
    figure = Figure(figsize=(10, 6.2), layout="constrained", facecolor=PAPER)
    axes = figure.subplots(2, 2).ravel()
    for axis, (name, title) in zip(axes, _CURVES.items(), strict=True):
        for term, color in zip(terms, CURVES * len(terms), strict=False):
            _curve(axis, [e for e in picture.ledger if e.term == term], name, term, color)
        _dress(axis, title, name)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, [_short(label) for label in labels], loc="outside lower left", frameon=False, fontsize=9
    )
    title = _short(picture.request.prompt or picture.provenance.model, 80)
    figure.suptitle(title, x=0.02, ha="left", fontsize=13, color=INK, parse_math=False)
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _curve(axis: Any, entries: list[LedgerEntry], name: str, label: str, color: str) -> None:
    found = [
        (entry.evaluation + 1, getattr(entry, name)) for entry in entries if getattr(entry, name) is not None
    ]
    if found:
        x, y = zip(*found, strict=True)
        axis.plot(x, y, color=color, lw=1.6, marker="o", ms=2.5, label=label)


def _dress(axis: Any, title: str, name: str) -> None:
    axis.set_title(title, fontsize=10, loc="left", color=INK)
    axis.set_facecolor(PAPER)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8, colors="#6b665f")
    axis.grid(axis="y", color="#e6e1d7", lw=0.6)
    if name == "cosine":
        axis.axhline(0, color=FAINT, lw=0.6)
    if name == "moved" and axis.lines:
        axis.set_ylim(0, 1.1 * max(max(line.get_ydata()) for line in axis.lines) or 1)
    if name == "gradient" and axis.lines:
        axis.set_yscale("log")
    if not axis.lines or not axis.has_data():
        axis.text(
            0.5,
            0.5,
            "no classifier-free guidance here",
            transform=axis.transAxes,
            ha="center",
            color=FAINT,
        )


def _short(text: str, most: int = 110) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
