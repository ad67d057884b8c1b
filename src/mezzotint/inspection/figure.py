"""One figure of a picture's latents: the channels, their values, the way back, and where noise comes in."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from mezzotint.inspection.codec import Pixels
from mezzotint.inspection.latents import PictureLatents
from mezzotint.inspection.noise import NoiseLevel
from mezzotint.metrics import psnr
from mezzotint.pages.colors import CURVES, FAINT, GRID, INK, PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARK = CURVES[0]
_ACROSS = 4  # panels in a row


@dataclass(frozen=True, eq=False)
class LatentsFigure:
    """All that the figure shows of one picture."""

    title: str
    about: str
    picture: Pixels
    latents: PictureLatents
    back: Pixels
    sampler: str
    levels: list[NoiseLevel]  # of the whole run
    step: int  # the one that is marked
    noised: Pixels  # decoded at that step


def draw(look: LatentsFigure) -> bytes:
    """The figure as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    channels = len(look.latents.values)
    rows = 2 + -(-channels // _ACROSS)
    figure = Figure(figsize=(12.4, 3.1 * rows + 0.7), dpi=120, layout="constrained", facecolor=PAPER)
    engine: Any = figure.get_layout_engine()
    engine.set(w_pad=0.1, h_pad=0.1, wspace=0.03, hspace=0.04)
    grid = figure.add_gridspec(rows, _ACROSS)
    places = [figure.add_subplot(grid[i // _ACROSS, i % _ACROSS]) for i in range(_ACROSS + channels)]
    _pictures(places[:_ACROSS], look)
    _channels(figure, places[_ACROSS:], look)
    _schedule(figure.add_subplot(grid[-1, :3]), look)
    _image(figure.add_subplot(grid[-1, 3]), look.noised, _describe_level(look.levels[look.step]))
    _headline(figure, look)
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _headline(figure: Any, look: LatentsFigure) -> None:
    below = 1 - 0.48 / figure.get_figheight()
    figure.suptitle(f"{look.title}\n", x=0.012, ha="left", fontsize=15, color=INK, parse_math=False)
    figure.text(0.012, below, look.about, fontsize=9.5, color=FAINT, parse_math=False)


def _pictures(axes: list[Axes], look: LatentsFigure) -> None:
    error = np.abs(look.picture.astype(int) - look.back)
    _image(axes[0], look.picture, "picture")
    _image(axes[1], look.back, f"decoded again: PSNR {psnr(look.picture, look.back):.2f} dB")
    _image(axes[2], (255 - np.clip(4 * error, 0, 255)).astype(np.uint8), "what is lost, times 4")
    _histogram(axes[3], look.latents)


def _image(axis: Axes, pixels: Any, title: str, **more: Any) -> Any:
    enlarged = max(pixels.shape[:2]) < 256
    shown = axis.imshow(pixels, interpolation="nearest" if enlarged else "antialiased", **more)
    axis.set_title(title, fontsize=10, loc="left", color=INK)
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_color("#d9d4ca")
    return shown


def _channels(figure: Any, axes: list[Axes], look: LatentsFigure) -> None:
    """All channels on one scale, white at zero."""
    values = look.latents.values
    bound = float(np.abs(values).max()) or 1.0
    for i, (axis, told) in enumerate(zip(axes, look.latents.statistics, strict=True)):
        title = f"channel {i}: mean {told.mean:+.2f}, std {told.std:.2f}"
        shown = _image(axis, values[i], title, cmap="RdBu_r", vmin=-bound, vmax=bound)
        axis.set_xlabel(f"min {told.min:+.2f}, max {told.max:+.2f}", fontsize=9, color=FAINT)
    bar = figure.colorbar(shown, ax=axes, fraction=0.015, pad=0.01)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, colors=FAINT)


def _histogram(axis: Axes, latents: PictureLatents) -> None:
    """The channels' values, before the unit Gaussian's curve."""
    values = latents.values.reshape(len(latents.values), -1)
    low = values.min()
    edges: Any = np.linspace(low, max(values.max(), low + 0.1), 41)
    x = np.linspace(min(edges[0], -3), max(edges[-1], 3), 200)
    axis.fill_between(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), color=GRID, lw=0, label="N(0, 1)")
    for i, channel in enumerate(values):
        color = CURVES[i % len(CURVES)]
        axis.hist(channel, edges, density=True, histtype="step", color=color, lw=1.3, label=f"channel {i}")
    axis.legend(fontsize=7.5, frameon=False, labelcolor=INK)
    axis.set_title("values of the latents", fontsize=10, loc="left", color=INK)
    axis.set_yticks([])
    _style_axes(axis)


def _schedule(axis: Axes, look: LatentsFigure) -> None:
    """Noise to signal by step, with one step marked."""
    shown = [level for level in look.levels if level.alpha]
    x, y = [level.step for level in shown], [level.ratio for level in shown]
    dots = {"marker": "o", "ms": 3.5} if len(x) <= 60 else {}
    axis.plot(x, y, color=INK, lw=1.4, **dots)  # type: ignore[arg-type]
    marked = look.levels[look.step]
    axis.axvline(look.step, color=_MARK, lw=1)
    if marked.alpha:
        axis.plot(look.step, marked.ratio, "o", color=_MARK, ms=7)
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter("{x:g}")
    what = "sigma" if all(level.alpha == 1 for level in look.levels) else "sigma/alpha"
    title = f"{what} by step: {look.sampler}, {len(look.levels)} steps"
    axis.set_title(title, fontsize=10, loc="left", color=INK)
    axis.set_xlabel("step", fontsize=9, color=FAINT)
    axis.grid(axis="y", color=GRID, lw=0.6)
    axis.locator_params(axis="x", integer=True)
    _style_axes(axis)


def _style_axes(axis: Axes) -> None:
    axis.set_facecolor(PAPER)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8, colors=FAINT)


def _describe_level(level: NoiseLevel) -> str:
    alpha = "" if level.alpha == 1 else f", alpha {level.alpha:.3f}"
    return f"step {level.step} of {level.of}: sigma {level.sigma:.3f}{alpha}"
