"""A hook of mkdocs: the parts of the reference that the program itself knows best, written when the site is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from typing import Any, get_args


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put tables in the place of `<!-- made: NAME -->`."""
    for name, made in MADE.items():
        if (mark := f"<!-- made: {name} -->") in markdown:
            markdown = markdown.replace(mark, "\n".join(made()))
    return markdown


def commands() -> Iterator[str]:
    """Every command with its arguments and options."""
    from mezzotint.cli import command

    yield from _command("mezzotint", command())


def _command(name: str, command: Any) -> Iterator[str]:
    inner = getattr(command, "commands", {})
    if not inner:
        yield from (f"## {name}", "", *_paragraphs(command.help))
        parameters = [
            one for one in command.params if one.name != "help" and not getattr(one, "hidden", False)
        ]
        if parameters:
            yield from ("| option | value | |", "|---|---|---|", *map(_parameter, parameters), "")
    for word, one in inner.items():
        yield from _command(f"{name} {word}", one)


def _parameter(one: Any) -> str:
    is_option = one.param_type_name == "option"
    names = ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts)) if is_option else ""
    value = "" if getattr(one, "is_flag", False) else f"`{_metavar(one)}`"
    default = one.default if is_option and not getattr(one, "is_flag", False) else None
    told = "" if default in (None, "", ()) or callable(default) else f" Default: `{default}`."
    needed = " Required." if one.required else ""
    return f"| {names or value} | {value if names else ''} | {_text(one.help)}{told}{needed} |"


def _metavar(one: Any) -> str:
    choices = [word for word in get_args(one.type_descriptor.annotation) if isinstance(word, str) and word]
    return (one.metavar or "/".join(choices) or one.name.upper()).replace("|", "/")


def _paragraphs(help_text: str | None) -> Iterator[str]:
    """Help as Markdown; lines that show a command are code."""
    for line in (help_text or "").split("\n"):
        yield f"    {line.strip()}" if line.strip().startswith("mezzotint ") else _text(line)
    yield ""


def _text(text: str | None) -> str:
    """Words as they are: nothing in them is markup but code in backquotes."""
    return " ".join(escape(text or "", quote=False).replace("|", "\\|").replace("*", "\\*").split())


def metrics() -> Iterator[str]:
    """Every metric that studies know."""
    from mezzotint.study.metrics import METRICS

    yield from ("| metric | better | what it is |", "|---|---|---|")
    for metric in METRICS.values():
        better = {True: "more", False: "less", None: ""}[metric.higher]
        caution = f"<br>*Caution: {metric.caution}.*" if metric.caution else ""
        scope = "; of a whole set" if metric.of_set else ""
        yield f"| `{metric.name}` | {better} | {_text(metric.about)}{scope}{caution} |"


MADE: dict[str, Callable[[], Iterator[str]]] = {"commands": commands, "metrics": metrics}
