"""The text states that a denoiser reads, by the model's own encoder or by others in its place, with controls."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from copy import copy
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ModelError, RequestError
from mezzotint.expressions import ENCODERS, OWN_ENCODERS, parse_encoder
from mezzotint.files import remembered_digest
from mezzotint.models.runtime import Floats
from mezzotint.models.texts.bert import BY_WIDTH, MINILM, MINILM_WIDTH, Bert
from mezzotint.models.texts.tokenizer import ClipTokenizer, Spans, Tokens
from mezzotint.prompt import parse as pieces

Run = Callable[[NDArray[np.int64]], Floats]  # token ids (1, length) to states (1, length, width)

ADAPTER = "adapter_bert"
"""The folder beside a model's parts that holds its map from BERT's states; stock readers pass it over."""

"""Expressions that ask for nothing beside the model's own encoder."""

_USUAL = (
    "", "a cat", "a red rose", "a dog and a house", "three green apples on a blue background", "a castle at night",
    "a beautiful sunset above sea and mountains", "a picture of a sports car in the city", "two people in the snow",
    "a robot in space, flat style", "an old book", "the moon", "a dancer on a stage", "a bowl of soup and a spoon",
)  # fmt: skip
"""Texts whose states tell how the model's own usually look."""


class TextEncoders:
    """All encoders of one model. An encoder but its own is opened when a text first asks for it."""

    def __init__(self, run: Run, tokenizer: ClipTokenizer, width: int, folder: Path, cache: Path) -> None:
        self._run, self._tokenizer = run, tokenizer
        self._width, self._folder, self._cache = width, folder, cache
        self._berts: dict[str, Bert] = {}

    def over(self, run: Run, tokenizer: ClipTokenizer | None = None) -> TextEncoders:
        """The same but for the model's own, which is another; what is open is shared."""
        other = copy(self)
        other._run, other._tokenizer = run, tokenizer or self._tokenizer
        vars(other).pop("_usual", None)  # measured on the model's own
        return other

    def read(self, text: str, encoder: str = "") -> tuple[Floats, str]:
        """(length, width) of a text, and what there is to tell where it is cut. `encoder`: an expression.

        RequestError or ModelError where that encoder does not fit or is not there.
        """
        shares = parse_encoder(encoder).shares
        reads = [self._by_name(share.name, text) for share in shares]
        warning = next((warning for _, warning in reads if warning), "")
        if len(shares) == 1 and shares[0].weight == 1:
            return reads[0]
        total = sum(
            np.float32(share.weight) * states for share, (states, _) in zip(shares, reads, strict=True)
        )
        return np.asarray(total, np.float32), warning

    def facts(self, encoder: str) -> dict[str, str]:
        """The digests of what an expression reads beside the model's own, by name; what opens it may raise."""
        names = [share.name for share in parse_encoder(encoder).shares]
        return {name: self._fact(name) for name in names if name not in OWN_ENCODERS}

    def _fact(self, name: str) -> str:
        if name == "bert-adapted":
            return f"bert {self._open_bert(MINILM).digest[:16]}, adapter {self._adapter_digest[:16]}"
        return f"bert {self._open_bert('' if name in ENCODERS else name).digest[:16]}"

    @cached_property
    def _adapter_digest(self) -> str:
        return remembered_digest(self._adapter_folder / "model.safetensors", self._cache)

    @property
    def _adapter_folder(self) -> Path:
        """ModelError where the model has no adapter."""
        folder = self._folder / ADAPTER
        if not (folder / "config.json").is_file():
            made = "make one with `mezzotint train adapter CONFIG`, and copy its folder `model` to there"
            raise ModelError(f"the model has no adapter for BERT in {folder}; {made}")
        return folder

    def spans(self, text: str, encoder: str = "") -> Spans:
        """The token positions of each word. RequestError where the states are not those of one encoder's tokens."""
        name, *more = [share.name for share in parse_encoder(encoder).shares]
        if more or name in ("random", "shuffled"):
            advice = "leave attention out, or take the model's own encoder or a bert alone"
            raise RequestError(f"the states of encoder {encoder!r} belong to no words; {advice}")
        if name in ("clip", "bert-adapted"):
            return self._tokenizer.spans(pieces(text))
        bert = self._open_bert("" if name in ENCODERS else name)
        return bert.spans(pieces(text), self._tokenizer.length)

    def _by_name(self, name: str, text: str) -> tuple[Floats, str]:
        kinds: dict[str, Callable[[str], tuple[Floats, str]]] = {
            "clip": self._own_states,
            "bert": self._bert_states,
            "bert-unmasked": lambda text: self._bert_states(text, masked=False),
            "bert-adapted": self._adapted_bert_states,
            "random": self._random_states,
            "shuffled": self._shuffled_states,
            "norm-matched": self._norm_matched_states,
        }
        return kinds[name](text) if name in ENCODERS else self._bert_states(text, name)

    def _own_states(self, text: str) -> tuple[Floats, str]:
        tokens = self._tokenizer.encode_pieces(pieces(text))
        return apply_token_weights(self._run(tokens.ids)[0], tokens.weights), tokens.warning

    def _bert_states(self, text: str, source: str = "", masked: bool = True) -> tuple[Floats, str]:
        """BERT's last hidden states, padding included, as CLIP's are."""
        states, tokens = self._read_bert(text, source, masked)
        return apply_token_weights(states, tokens.weights), tokens.warning

    def _read_bert(self, text: str, source: str, masked: bool = True) -> tuple[Floats, Tokens]:
        bert = self._open_bert(source)
        tokens = bert.tokens(pieces(text), self._tokenizer.length)
        return bert.states(tokens, masked), tokens

    def _adapted_bert_states(self, text: str) -> tuple[Floats, str]:
        """BERT's states mapped to the own ones, position by position, so it is the own tokens that have weights."""
        states, tokens = self._read_bert(text, MINILM)
        own = self._tokenizer.encode_pieces(pieces(text))
        return apply_token_weights(
            self._adapter(states, tokens.words), own.weights
        ), tokens.warning or own.warning

    def _random_states(self, text: str) -> tuple[Floats, str]:
        """Normal states with the usual mean and deviation of each feature; the text decides the draw alone."""
        mean, std = self._usual
        drawn = _generator(text).standard_normal((self._tokenizer.length, len(mean)))
        return np.asarray(mean + std * drawn, np.float32), ""

    def _shuffled_states(self, text: str) -> tuple[Floats, str]:
        """The own states with tokens and features permuted: the same numbers without their meaning.

        Cross-attention does not see the order of tokens, so permuting these alone would change nothing.
        """
        states, warning = self._own_states(text)
        rng = _generator(text)
        rows, columns = (rng.permutation(n) for n in states.shape)
        return np.ascontiguousarray(states[rows][:, columns]), warning

    def _norm_matched_states(self, text: str) -> tuple[Floats, str]:
        """BERT's directions with the own lengths, token by token."""
        (bert, warning), (own, _) = self._bert_states(text), self._own_states(text)
        length, target = (np.linalg.norm(states, axis=1, keepdims=True) for states in (bert, own))
        return np.asarray(bert * (target / np.maximum(length, 1e-12)), np.float32), warning

    @cached_property
    def _usual(self) -> tuple[Floats, Floats]:
        """(width,) mean and deviation of each feature of the own states, over texts and positions."""
        states = np.concatenate([self._own_states(text)[0] for text in _USUAL])
        return states.mean(0), states.std(0)

    def _fitting(self) -> str:
        """What the plain name `bert` stands for with this model."""
        if self._width not in BY_WIDTH:
            known = " or ".join(f"{width} ({name})" for width, name in BY_WIDTH.items())
            advice = "name a folder with a BERT of that width, such as path/to/bert"
            raise RequestError(f"bert is {known} wide, the model reads text {self._width} wide; {advice}")
        return BY_WIDTH[self._width]

    def _open_bert(self, source: str) -> Bert:
        """The BERT of a folder or hub id; "": the one that fits the model."""
        source = source or self._fitting()
        if source not in self._berts:
            width = MINILM_WIDTH if source == MINILM else self._width
            self._berts[source] = Bert.open(source, width, self._cache)
        return self._berts[source]

    @cached_property
    def _adapter(self) -> Callable[[Floats, int], Floats]:
        from mezzotint.models.texts.adapter import open_adapter

        return open_adapter(self._adapter_folder, MINILM_WIDTH, self._width, self._tokenizer.length)


def apply_token_weights(states: Floats, weights: Floats) -> Floats:
    """States (length, width) times the weights of their tokens, rescaled to the mean from before, as A1111 does.

    Where a mean is nothing beside the states themselves (under 1 % of their root mean square) it is left: there
    the rescaling would multiply by a ratio of rounding errors.
    """
    if (weights == 1).all():
        return states
    heavy = states * weights[:, None]
    before, after = float(states.mean()), float(heavy.mean())
    if min(abs(before), abs(after)) > 0.01 * float(np.sqrt(np.square(states).mean())):
        heavy = heavy * np.float32(before / after)
    return np.asarray(heavy, np.float32)


def _generator(text: str) -> np.random.Generator:
    """Seeded by the text, the same on every machine."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))
