"""A page: HTML and a style sheet that need nothing else, on screen and on paper."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from mezzotint.pages.colors import EDGE, FAINT, GRID, INK, PAPER

_ROOT = f":root {{ --ink:{INK}; --faint:{FAINT}; --edge:{EDGE}; --grid:{GRID}; --paper:{PAPER}; --blue:#1f4e79; }}"
_CSS = """
* { box-sizing:border-box; }
body { margin:0; background:var(--paper); color:var(--ink); font:15px/1.5 Helvetica,Arial,sans-serif; }
main { max-width:1040px; margin:0 auto; padding:48px 32px 80px; }
h1 { font:600 30px/1.2 Georgia,'Times New Roman',serif; margin:0 0 4px; letter-spacing:-.01em; }
h2 { font:600 18px/1.3 Georgia,'Times New Roman',serif; margin:44px 0 12px; padding-top:14px; border-top:1px solid var(--edge); }
.lead { color:var(--faint); margin:0 0 22px; }
.note { color:var(--faint); font-size:13px; margin:6px 0 0; max-width:72ch; }
pre { background:#f3f0e8; padding:12px 14px; margin:0; overflow-x:auto; white-space:pre-wrap; font-size:13px; line-height:1.45; }
dl.numbers { display:flex; flex-wrap:wrap; gap:14px 40px; margin:26px 0 0; }
dl.numbers dt { color:var(--faint); font-size:12px; }
dl.numbers dd { margin:0; font:600 22px/1.25 Georgia,serif; font-variant-numeric:tabular-nums; }
dl.numbers dd small { display:block; font:400 12px/1.4 Helvetica,Arial,sans-serif; color:var(--faint); }
table { border-collapse:collapse; font-size:13px; width:100%; }
th,td { text-align:left; vertical-align:top; padding:5px 18px 5px 0; border-bottom:1px solid var(--grid); }
th { font-weight:400; color:var(--faint); white-space:nowrap; }
td { font-variant-numeric:tabular-nums; overflow-wrap:anywhere; }
table.wide th, table.wide td { white-space:nowrap; }
.two { display:grid; grid-template-columns:1fr 1fr; gap:8px 32px; }
figure { margin:0; break-inside:avoid; }
figure h3 { font-size:13px; font-weight:600; margin:14px 0 2px; }
figure svg { width:100%; height:auto; display:block; }
.sheets { display:grid; grid-template-columns:repeat(auto-fill,minmax(400px,1fr)); gap:20px; }
.sheets img { width:100%; display:block; border:1px solid var(--edge); image-rendering:pixelated; background:#fff; }
figcaption { font-size:13px; margin-bottom:4px; } figcaption span { color:var(--faint); }
a { color:var(--blue); } summary { color:var(--blue); cursor:pointer; font-size:13px; margin:10px 0; }
@media (max-width:700px) { .two { grid-template-columns:1fr; } main { padding:28px 16px; } }
@media print { body { background:#fff; font-size:11pt; } main { max-width:none; padding:0; } h2 { break-after:avoid; }
  pre { background:none; border:1px solid var(--edge); } .sheets { grid-template-columns:1fr 1fr; } @page { margin:16mm; }
  div:has(> table.wide) { overflow:visible !important; } table.wide { font-size:9pt; }
  table.wide th, table.wide td { white-space:normal; padding-right:8px; overflow-wrap:normal; } tr { break-inside:avoid; } }
"""
_NOTHING: tuple[object, ...] = (None, "", {}, [], ())


def page(title: str, lead: str, *sections: str, style: str = "") -> str:
    """A whole document; `sections` are HTML already, `style` is further CSS."""
    body = "\n".join(section for section in sections if section)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_ROOT}{_CSS}{style}</style></head>\n'
        f'<body><main><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>\n{body}\n</main></body></html>\n'
    )


def section(title: str, *parts: str, note: str = "") -> str:
    """A headline with what belongs to it; nothing where there is nothing."""
    there = "\n".join(part for part in parts if part)
    told = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<h2>{escape(title)}</h2>\n{there}\n{told}" if there else ""


def table(rows: Mapping[str, object]) -> str:
    """Names and values, a row each; empty values are left out."""
    lines = [
        f"<tr><th>{escape(name.replace('_', ' '))}</th><td>{escape(_plain(value))}</td></tr>"
        for name, value in rows.items()
        if value not in _NOTHING
    ]
    return f"<table>{''.join(lines)}</table>" if lines else ""


def wide(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table with a row of names above; cells are HTML already."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div style="overflow-x:auto"><table class="wide"><tr>{top}</tr>{lines}</table></div>'


def details(summary: str, content: str) -> str:
    """What a click on its summary opens; nothing where there is no content. A closed fold is left out on paper."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>" if content else ""


def numbers(rows: Iterable[tuple[str, str, str]]) -> str:
    """Large numbers: what, how much, and what else there is to know."""
    items = [
        f"<div><dt>{escape(what)}</dt><dd>{escape(much)}<small>{escape(more)}</small></dd></div>"
        for what, much, more in rows
    ]
    return f'<dl class="numbers">{"".join(items)}</dl>' if items else ""


def figure(title: str, svg: str, note: str = "") -> str:
    """A curve under its name."""
    told = f'<p class="note">{escape(note)}</p>' if note else ""
    head = f"<h3>{escape(title)}</h3>" if title else ""
    return f"<figure>{head}{svg}{told}</figure>" if svg else ""


def sheet(path: Path, title: str, about: str = "") -> str:
    """A sheet of samples, in the page itself, so that the page can be sent alone."""
    data = base64.b64encode(path.read_bytes()).decode()
    return (
        f"<figure><figcaption>{escape(title)} <span>{escape(about)}</span></figcaption>"
        f'<img alt="samples, {escape(title)}" src="data:image/png;base64,{data}"></figure>'
    )


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(
            f"{name.replace('_', ' ')}: {_plain(one)}" for name, one in value.items() if one not in _NOTHING
        )
    if isinstance(value, list | tuple):
        return ", ".join(_plain(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
