"""A Request: everything that decides the pixels, and nothing else."""

from __future__ import annotations

import hashlib
import json
import numbers
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from mezzotint.checks import finite, short, whole
from mezzotint.errors import RequestError, nearest
from mezzotint.expressions import canonical_lora, canonical_words, parse_encoder, parse_lora, parse_words
from mezzotint.guidance import Cfg, Guidance, Term, of_number, parse
from mezzotint.prompt import parse as parse_prompt
from mezzotint.samplers import SAMPLERS
from mezzotint.schedule import SPACINGS

Compat = Literal["", "diffusers"]
_LATER = {"encoder": "", "init": "", "mask": "", "begin": 0, "lora": "", "words": "", "upscale": 1}
"""Fields that came after the first release, with their defaults."""
UPSCALES = (1, 2, 4)
_DIFFUSERS = {  # what its pipelines call a field, and what to write
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "generator": "seed, a whole number",
    "scheduler": "sampler",
    "image": "init, a path",
    "mask_image": "mask, a path",
    "strength": "begin, the step at which the run starts",
    "num_images_per_prompt": "generate(request.repeat(4))",
}
MAX_STEPS, MAX_SEED, MAX_PROMPT, MAX_REPEAT = 2000, 2**63 - 1, 10_000, 10_000


@dataclass(frozen=True)
class Request:
    """One picture to make. Every field is checked here: RequestError is one line that says what to do."""

    prompt: str = ""
    """What to draw. The first 10,000 characters are kept, of which encoders read 77 tokens."""
    negative_prompt: str = ""
    """What to stay away from: it takes the place of the empty text in classifier-free guidance."""
    seed: int = 0
    """Of the noise, 0 to 2**63-1. As in torch, seeds 2**32 apart have the same noise."""
    width: int | None = None
    """In pixels, divisible by 8; None: the model's own."""
    height: int | None = None
    """In pixels, divisible by 8; None: the model's own."""
    steps: int = 25
    """From 1 to 2000."""
    sampler: str = "dpmpp-2m"
    """A name that `mezzotint samplers` lists."""
    spacing: str | None = None
    """How the steps lie on the noise schedule: leading, trailing, linspace or karras; None: the model's or sampler's."""
    eta: float = 0.0
    """The noise of the ddim sampler, from 0 to 1."""
    guidance: str | Guidance | Term | float = "cfg(7.5)"
    """A CFG scale, or terms added together, as text or as objects; kept as canonical_lora text, and parsed in `terms`."""
    compat: Compat = ""
    """`diffusers`: with its slips, which the samplers describe."""
    encoder: str = ""
    """What reads the texts, such as `bert` or `0.5*clip + 0.5*bert`; empty: the model's own."""
    init: str = ""
    """The picture to start from, by its digest in the picture library; empty: noise."""
    mask: str = ""
    """By its digest: white is drawn anew, black stays as in `init`."""
    begin: int = 0
    """Steps to skip: with `init`, the run starts at this step."""
    lora: str = ""
    """Adapters in the weights, by the digests of their files: `0.8*<digest> + <digest>`."""
    words: str = ""
    """New words that texts may hold, by the digests of their files: `<cat-toy>=<digest>`."""
    upscale: int = 1
    """Enlarge the finished picture by 2 or 4 with the bundled upscaler; 1: leave it."""

    def __post_init__(self) -> None:
        for name in ("prompt", "negative_prompt"):
            self._set(name, _text(name, getattr(self, name)))
            parse_prompt(getattr(self, name))
        self._set("seed", whole(self.seed, "seed", 0, MAX_SEED))
        self._set("steps", whole(self.steps, "steps", 1, MAX_STEPS))
        for side in ("width", "height"):
            if (value := getattr(self, side)) is not None:
                self._set(side, whole(value, side, 64, 2048, divisor=8))
        if not isinstance(self.sampler, str) or self.sampler not in SAMPLERS:
            _check_choice("sampler", self.sampler, tuple(SAMPLERS.names()))
        if self.spacing is not None:
            _check_choice("spacing", self.spacing, SPACINGS)
        _check_choice("compat", self.compat, get_args(Compat))
        self._set("encoder", str(parse_encoder(self.encoder)))
        self._check_start()
        self._set("lora", canonical_lora(parse_lora(self.lora)))
        self._check_words()
        self._set("upscale", whole(self.upscale, "upscale", 1, max(UPSCALES)))
        if self.upscale not in UPSCALES:
            raise RequestError(f"upscale must be 1, 2 or 4, got {self.upscale}")
        self._set("eta", finite(self.eta, "eta"))
        if not 0 <= self.eta <= 1:
            raise RequestError(f"eta must be from 0 to 1, got {self.eta}")
        if self.eta and self.sampler != "ddim":
            raise RequestError(f"eta is for the ddim sampler; with {self.sampler} leave it out")
        if isinstance(self.guidance, numbers.Real):
            self._set("guidance", str(of_number(finite(self.guidance, "guidance"))))
        if not isinstance(self.guidance, (str, Guidance, Term)):
            raise RequestError(f"guidance must be text such as 'cfg(7.5)', got {short(self.guidance)}")
        self._set("guidance", str(self.terms))
        self._check_terms()

    def _check_terms(self) -> None:
        """A term that never acts is a mistake; but a single step has no parts, so there `start=0.5` may mean none of it."""
        cfgs = [term for term in self.terms.terms if isinstance(term, Cfg)]
        groups = [cfgs] + [[term] for term in self.terms.terms if not isinstance(term, Cfg)]
        for group in groups if self.steps > 1 else []:
            if group and not any(term.acts(self.steps)[self.begin :].any() for term in group):
                late = f" from step {self.begin} on, where the run starts" if self.begin else ""
                what = f"guidance {short(str(self.guidance))} acts on no step of {self.steps}{late}"
                raise RequestError(f"{what}; move start and stop apart, or write none")

    def _check_start(self) -> None:
        """Where the run starts: from noise, or from a picture at some step."""
        for name in ("init", "mask"):
            self._set(name, _text(name, getattr(self, name)).strip())
            if (digest := getattr(self, name)) and not re.fullmatch("[0-9a-f]{64}", digest):
                advice = "keep the picture with mezzotint.library.keep(path)"
                raise RequestError(f"{name} must be a picture's digest, got {short(digest)}; {advice}")
        self._set("begin", whole(self.begin, "begin", 0, self.steps - 1))
        if not self.init and (self.begin or self.mask):
            what = "mask" if self.mask else "begin"
            raise RequestError(f"{what} is for a run that starts from a picture; give init too")

    def _check_words(self) -> None:
        self._set("words", canonical_words(parse_words(self.words)))
        if self.words and self.encoder:
            raise RequestError("new words are read by the model's own encoder; leave encoder out, or words")

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def terms(self) -> Guidance:
        """The guidance, parsed."""
        return parse(str(self.guidance))

    def to_json(self) -> str:
        """Canonical JSON: keys sorted, no spaces. Fields that came later are written where they are not the default,
        so that older requests keep their digest."""
        written = {
            key: value for key, value in vars(self).items() if key not in _LATER or value != _LATER[key]
        }
        return json.dumps(written, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Request:
        """The Request of a JSON object; a field left out takes its default, an unknown one is an error."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"a request must be JSON: {error}") from None
        if not isinstance(data, dict):
            raise RequestError(f"a request must be a JSON object, got {type(data).__name__}")
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Request:
        """As `from_json`, from a dictionary."""
        check_names(data)
        return cls(**data)

    @property
    def digest(self) -> str:
        """sha256 of the canonical_lora JSON, hexadecimal: the name under which the picture is stored."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def replace(self, **changes: Any) -> Request:
        """The same request with other values for some fields: `request.replace(seed=8)`."""
        check_names(changes)
        return replace(self, **changes)

    def repeat(self, n: int) -> list[Request]:
        """n requests that differ in the seed only: seed, seed + 1, ..."""
        n = whole(n, "repeat", 1, MAX_REPEAT)
        if self.seed > (last := MAX_SEED - n + 1):
            raise RequestError(
                f"seed must be at most {last} where {n} pictures count up from it, got {self.seed}"
            )
        return [replace(self, seed=self.seed + i) for i in range(n)]


def check_names(names: Iterable[str]) -> None:
    """RequestError where a request has no such field; it names the one that is meant, where that can be told."""
    known = [field.name for field in fields(Request)]
    for name in names:
        if name not in known:
            meant = f"; here it is {_DIFFUSERS[name]}" if name in _DIFFUSERS else nearest(name, known)
            raise RequestError(f"a request has no {short(name)}{meant}")


def _text(name: str, value: object) -> str:
    """The text; one of any length is cut to far more than a text encoder reads, and that warns of what it drops."""
    if not isinstance(value, str):
        raise RequestError(f"{name} must be text, got {short(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RequestError(f"{name} has half a surrogate pair, which is not text; remove it") from None
    return value if len(value) <= MAX_PROMPT else " ".join(value.split())[:MAX_PROMPT]


def _check_choice(name: str, value: object, known: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in known:
        names = ", ".join(repr(k) for k in known)
        raise RequestError(f"{name} {short(value)} is unknown; known: {names}{nearest(str(value), known)}")
