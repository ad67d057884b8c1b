"""A bench as tables for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

Facts = Mapping[str, Any]
_SIDES = ("mezzotint", "diffusers")
_SIGNS = {"<=": "≤", ">=": "≥", "==": "="}


def report(result: Facts, console: Console) -> None:
    """Print what `run` found."""
    parts = [
        _head(result),
        _times(result),
        _where(result),
        _likeness(result["mixed"]["psnr"]),
        _targets_table(result),
    ]
    console.print(Group(*parts), highlight=False)


def _head(result: Facts) -> RenderableType:
    machine, settings, model = result["machine"], result["settings"], result["model"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    layouts = model["diffusers_layout_probe_ms"].items()
    probe = ", ".join(f"{name} {ms:.1f} ms" for name, ms in layouts)
    low, high = settings["mixed_steps"]
    said = [
        f"{machine['processor']}, {machine['usable_cores']} of {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, load {machine['load_before']} before; {machine['system']}",
        versions,
        f"model {model['name']} ({model['digest'][:12]}), {model['size']}, "
        f"{model['gflop_per_row']:.3f} GFLOP a row",
        f"both sides {model['dtype']}, {settings['threads']} threads, same noise; Mezzotint on "
        f"{model['runtime']}, diffusers on eager torch, {model['diffusers_layout']}, "
        f"the faster for a guided call ({probe})",
        f"one picture: {settings['steps']} steps of dpmpp-2m, cfg(7.5); "
        f"mixed: every sampler, {low} to {high} steps, scales 1 to 20; seed {settings['seed']}",
        f"peak: {_peaks(result['peak_gflops'])}",
    ]
    if model["dtype"] != "float32":
        said.append(
            f"in {model['dtype']} Mezzotint keeps text encoder and decoder in float32; diffusers does not"
        )
    lines = [escape(line) for line in said]
    if _busy(machine):
        lines.append(
            "[yellow]something else is running on this machine: for times that count, stop it first[/]"
        )
    if settings["quick"]:
        lines.append("[yellow]--quick: a check that the bench works; its times say little[/]")
    return Group("[bold]Mezzotint bench[/]", *lines)


def _busy(machine: Facts) -> bool:
    return float(machine["load_before"] or 0) > 0.5 * float(machine["usable_cores"])


def _peaks(peak: Facts) -> str:
    each = [
        f"{name} {peak[name]['matmul']:.0f} matmul, {peak[name]['conv']:.0f} conv"
        for name in ("torch", "openvino")
        if name in peak
    ]
    return f"{'; '.join(each)} GFLOP/s ({peak['problems']})"


def _times(result: Facts) -> RenderableType:
    heads = ["", "Mezzotint", "diffusers", "ratio", "paired: min, median, max"]
    named = [("one picture", "one_picture"), (f"{result['mixed']['pictures_each_time']} mixed", "mixed")]
    rows = [[title, *_pair(result[key])] for title, key in named]
    cold = result["cold_start"]
    if cold:
        rows.append(["cold start", *_pair(cold)])
        rows.append(["first ever", f"{cold['first_ever_s']:.2f} s", "", "", "empty cache of graphs, once"])
    table = _table("Median times", heads, rows)
    if not cold:
        return table
    warm = f"after {cold['warm_ups']} warm-up" if cold["warm_ups"] else "without warm-up"
    return Group(
        table, f"[dim]cold: {cold['note']}, {warm}; {cold['dtype']}; PSNR {cold['psnr_db']:.1f} dB[/]"
    )


def _pair(part: Facts) -> list[str]:
    paired = part["paired_ratios"]
    return [
        f"{part['mezzotint_median_s']:.3f} s",
        f"{part['diffusers_median_s']:.3f} s",
        f"[bold]{part['ratio_of_medians']:.3f}[/]",
        f"{paired['min']:.3f}  {paired['median']:.3f}  {paired['max']:.3f}",
    ]


# Title and how it is written, of each line of an account.
_ACCOUNT: list[tuple[str, Callable[[Facts], str]]] = [
    ("evaluations", lambda a: f"{a['evaluations']}"),
    ("network calls", lambda a: f"{a['network_calls']}"),
    ("rows", lambda a: f"{a['rows']}"),
    ("rows a call", lambda a: f"{a['rows_per_call']:.2f}"),
    ("padded rows", lambda a: f"{a['padded_rows']} ({a['padded_share']:.1%})"),
    ("network, ms a row", lambda a: f"{a['network_ms_per_row']:.2f}"),
    ("in the network", lambda a: f"{a['share']['network']:.1%}"),
    ("in the decoder", lambda a: f"{a['share']['decoder']:.1%}"),
    ("in the text encoder", lambda a: f"{a['share']['text']:.1%}"),
    ("elsewhere", lambda a: f"{a['share']['elsewhere']:.1%}"),
    ("outside network, decoder", lambda a: f"{a['outside_network_and_decoder']:.1%}"),
    ("network, GFLOP/s", lambda a: f"{a['gflops']:.0f}"),
    ("of the machine's peak", lambda a: f"{a['of_peak']:.0%}"),
]


def _where(result: Facts) -> RenderableType:
    heads = ["", "one: Mezzotint", "one: diffusers", "mixed: Mezzotint", "mixed: diffusers"]
    accounts = [result[part][side] for part in ("one_picture", "mixed") for side in _SIDES]
    rows = [[title, *map(write, accounts)] for title, write in _ACCOUNT]
    table = _table("Where the time goes", heads, rows)
    same = all(result[part]["same_evaluations"] for part in ("one_picture", "mixed"))
    return table if same else Group(table, "[red]the two sides did not ask the network equally often[/]")


def _likeness(psnr: Facts) -> RenderableType:
    groups = {name: psnr[name] for name in ("deterministic", "stochastic") if name in psnr}
    rows = [
        [name, str(g["pictures"]), f"{g['median_db']:.1f}", f"{g['min_db']:.1f}"]
        for name, g in {**groups, **psnr["samplers"]}.items()
    ]
    return _table("Mixed pictures against diffusers', PSNR in dB", ["", "pictures", "median", "lowest"], rows)


def _targets_table(result: Facts) -> RenderableType:
    rows = []
    for bar in result["bars"]:
        mark = "[green]holds[/]" if bar["holds"] else "[red]does not hold[/]"
        value, limit = (
            f"{bar['value']:.3f} {bar['unit']}",
            f"{_SIGNS[bar['sense']]} {bar['limit']:g} {bar['unit']}",
        )
        rows.append([bar["name"], value, limit, mark])
    title = "Bars (with --quick they mean nothing)" if result["settings"]["quick"] else "Bars"
    return _table(title, ["", "measured", "bar", ""], rows)


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_header=bool(heads)
    )
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*row)
    return table
