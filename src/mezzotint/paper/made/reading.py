"""Figures 13 and 14: a text to tokens and states, and where cross-attention looks for its words, at every level."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from mezzotint.attention import MARKS, Attention, AttentionLevel
from mezzotint.engine import Engine
from mezzotint.errors import ModelError
from mezzotint.inspection.heat import inferno, overlay
from mezzotint.models import Model
from mezzotint.pages.layout import details, figure, wide
from mezzotint.paper.made.drawing import Tile, tiles
from mezzotint.paper.made.drawn import CAR, scenes
from mezzotint.paper.made.making import SectionParts, seeds
from mezzotint.paper.made.verdicts import above, below, equal, short
from mezzotint.paper.section import PaperSettings, open_cached
from mezzotint.picture import Picture
from mezzotint.study.finding import Finding

TOKENS, SIDE = 77, 128
THINGS = ("cat", "car", "rose", "fish")
FAR = 40.0  # of 0..255 in RGB from the border's median: what is not background
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


def reading(setting: PaperSettings) -> SectionParts:
    """The states of some texts, and the attention of pictures of a thing before a plain background."""
    network = open_cached(setting.text_model, setting.precision)
    if not isinstance(network, Model):
        raise ModelError(f"{network.name} reads no text; name a text-to-image model")
    asked = scenes(len(seeds(setting, 8)), things=THINGS)
    setting.say(f"{network.name}: states of texts, and attention of {len(asked)} pictures")
    with Engine(network) as engine:
        drawn = [future.result() for future in engine.submit_all(asked, attention=True)]
    html = _states(network) + _heat(drawn[1]) + _words(network) + _by_level(drawn)
    return SectionParts(html, (*_shapes(network), *_looks(drawn)), _NOTES)


_NOTES = (
    "Heat: the mean over steps, layers, heads and a word's tokens, stretched from its least to its most, as DAAM has it "
    "(2210.04885). The thing is what differs from the median color of the picture's border; pictures in which that is under 2 % "
    "or over 90 % of the area are left out.",
)


def _shapes(network: Model) -> tuple[Finding, Finding]:
    """What there is no chance in."""
    texts = ("", "a cat", CAR, " ".join(["a cat and a dog,"] * 12))
    shapes = {network.encode_text(text).shape for text in texts}
    lengths = [float(shape[0]) for shape in sorted(shapes)]
    what = f"tokens of {len(texts)} texts from none to 60 words; each has {network.text_width} numbers"
    grids = sorted(set(network.attention_factors))
    levels = [2.0**i for i in range(len(grids))]
    return (
        equal("Every text becomes 77 states of one width", lengths, [TOKENS], 0, what, "report"),
        equal(
            "Cross-attention is at every level of the network",
            [float(factor) for factor in grids],
            levels,
            0,
            f"{len(network.attention_layers)} layers, on grids smaller than the latents by these factors",
            "report",
        ),
    )


def _looks(drawn: Sequence[Picture]) -> tuple[Finding, ...]:
    """Whether words are read at every level, and looked for where they are."""
    shares = {
        level.name: [words_share(picture, level.name) for picture in drawn]
        for level in _attention_of(drawn[0]).levels
    }
    least = min(shares, key=lambda name: float(np.mean(shares[name])))
    scores = np.array([heat_scores(picture) for picture in drawn])
    return (
        above(
            "The words of the prompt are read at every level",
            shares[least],
            0.01,
            f"share of attention that words have, beside <start>, <end> and padding, on the grid where it is least ({least})",
            "pictures",
            "report",
        ),
        above(
            "The word of a thing looks at the thing",
            scores[:, 0],
            0.5,
            f"{_CHANCE} for its word",
            "pictures",
            "report",
        ),
        below(
            "The word of a color looks at what has it, the background",
            scores[:, 1],
            0.5,
            f"{_CHANCE} for the background's color",
            "pictures",
        ),
    )


_HEAT = "Heat: the chance that a place on the thing is hotter than one beside it, 0.5 being neither; in brackets 95 % intervals."
_CHANCE = "chance that a place on the thing is hotter than one beside it,"


def _by_level(drawn: Sequence[Picture]) -> str:
    """The same numbers on each grid."""
    rows = []
    for level in _attention_of(drawn[0]).levels:
        scores = np.array([heat_scores(picture, level.name) for picture in drawn])
        share = [100 * words_share(picture, level.name) for picture in drawn]
        cells = (short(share), *(short(column) for column in scores.T))
        rows.append((level.name, str(level.layers), *cells))
    head = (
        "grid",
        "layers",
        "attention on words, %",
        "heat on the thing: its word",
        "the background's color",
    )
    return details("By grid", figure("", wide(head, rows), _HEAT))


def words_share(picture: Picture, level: str) -> float:
    """How much of a level's attention the prompt's words have, from 0 to 1."""
    seen = _attention_of(picture)
    at = [place for places in seen.words.values() for place in places]
    return float(np.average(_level(seen, level).maps[:, at].sum(1).mean((1, 2)), weights=seen.calls))


def heat_scores(picture: Picture, level: str = "") -> tuple[float, float]:
    """How well the heat of the thing's word, and of the background's color, tells the thing: `a THING on a COLOR ...`.

    On one grid, or on all.
    """
    words = picture.request.prompt.split()
    seen, mask = _attention_of(picture), foreground_mask(np.asarray(picture.image))
    heats = [seen.by_level(word)[level] if level else seen.heat(word) for word in (words[1], words[4])]
    return auc(heats[0], mask), auc(heats[1], mask)


def foreground_mask(pixels: NDArray[np.uint8]) -> Mask:
    """(H, W) what differs from the median color of the border."""
    sides = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return np.asarray(np.linalg.norm(pixels - np.median(sides, 0), axis=2) > FAR)


def auc(heat: Floats, mask: Mask) -> float:
    """The chance that a place inside is hotter than one outside, a half where neither is; nan without either."""
    if not 0.02 <= mask.mean() <= 0.9:
        return float("nan")
    _, place, count = np.unique(
        heat.round(2), return_inverse=True, return_counts=True
    )  # what is faint is a tie
    ranks = (np.cumsum(count) - (count - 1) / 2)[place.reshape(heat.shape)]
    inside, outside = mask.sum(), (~mask).sum()
    return float((ranks[mask].sum() - inside * (inside + 1) / 2) / (inside * outside))


def _attention_of(picture: Picture) -> Attention:
    if picture.attention is None:
        raise ValueError("the picture was drawn without attention=True")
    return picture.attention


def _level(seen: Attention, name: str) -> AttentionLevel:
    return next(level for level in seen.levels if level.name == name)


def _words(network: Model) -> str:
    """Which words take which of the places."""
    rows = [(escape(word), _places(at)) for word, at in network.spans(CAR)]
    return details("Tokens", wide(("word", f"its places, of {network.text_length} counted from 0"), rows))


def _places(at: Sequence[int]) -> str:
    return f"{at[0]} to {at[-1]}" if len(at) > 2 else ", ".join(map(str, at))


def _states(network: Model) -> str:
    """The states as a picture: a row a token, dark below and light above the mean of all."""
    states = network.encode_text(CAR)
    bound = 3 * float(states.std())
    shown = inferno(((states + bound) / (2 * bound)).clip(0, 1).astype(np.float32)).round().astype(np.uint8)
    said = f"{states.shape[0]} tokens (down) by {states.shape[1]} numbers (across)"
    return tiles([Tile(shown, said, CAR)], "The states that the network reads", side=760)


def _heat(picture: Picture) -> str:
    """A row for all layers, and one for each grid; a column a word."""
    seen = _attention_of(picture)
    words = [word for word in seen.words if word not in MARKS]
    shown = [Tile(picture.image, picture.request.prompt, f"seed {picture.request.seed}")]
    all_ = [_over(picture, seen.heat(word), word, f"{100 * seen.share(word):.1f} %") for word in words]
    rows = [tiles([*shown, *all_], "By word, over all grids but the middle; percent of all attention")]
    for level in seen.levels:
        heats = [_over(picture, seen.by_level(word)[level.name], word, "") for word in words]
        rows.append(
            tiles(
                [Tile(picture.image), *heats], f"{level.name}, {level.layers} layer{'s' * (level.layers > 1)}"
            )
        )
    return "".join(rows)


def _over(picture: Picture, heat: Floats, word: str, note: str) -> Tile:
    return Tile(overlay(picture.image, heat, (SIDE, SIDE)), word, note)
