"""What a client may ask for, as JSON, and the requests that it stands for."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import fields
from math import prod
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from mezzotint.axes import parse_axis
from mezzotint.errors import RequestError
from mezzotint.expressions import ENCODERS, parse_encoder
from mezzotint.guidance import Clip
from mezzotint.request import MAX_SEED, Request, check_names
from mezzotint.serve.jobs import MOST_PRIORITY
from mezzotint.serve.settings import ServeSettings
from mezzotint.study.cells import cells
from mezzotint.study.spec import Study

RANDOM_SEEDS = 2**32  # as torch has them
MAX_FRAMES = 64  # of a trace
PAIRS = ("clip", "judge")  # bundled, which terms may name
AxisValue = str | int | float | bool | None
Axes = dict[str, str | list[AxisValue]]


class PictureOrder(BaseModel):
    """Pictures to make: one request, `n` of it, several `requests` over it, or a sweep of `axes` over it."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {"prompt": "a red rose", "seed": 7},
                {"prompt": "a red rose", "axes": {"steps": "5..20 step 5", "guidance.cfg.scale": [2, 4, 8]}},
            ]
        },
    )

    prompt: str | None = Field(None, description="What to draw.")
    negative_prompt: str | None = Field(None, description="What to stay away from.")
    seed: int | None = Field(None, ge=-1, le=MAX_SEED, description="Null or -1: random; the answer says it.")
    width: int | None = Field(None, description="In pixels, divisible by 8; null: the model's own.")
    height: int | None = Field(None, description="In pixels, divisible by 8; null: the model's own.")
    steps: int | None = Field(None, description="Null: the model's own, else 25.")
    sampler: str | None = Field(None, description="A name of /v1/capabilities.")
    spacing: str | None = Field(None, description="How the steps lie on the noise schedule.")
    eta: float | None = Field(None, description="The noise of the ddim sampler, from 0 to 1.")
    guidance: str | float | None = Field(
        None, description="A CFG scale, or terms such as `cfg(4, stop=0.8)`."
    )
    compat: str | None = Field(None, description="`diffusers`: with its slips.")
    encoder: str | None = Field(None, description="What reads the texts, such as `bert`.")
    init: str | None = Field(None, description="The picture to start from: the digest of an upload.")
    mask: str | None = Field(None, description="The digest of an upload; white is drawn anew.")
    begin: int | None = Field(None, description="The step at which a run from `init` starts; null: half way.")
    lora: str | None = Field(None, description="Adapters by digest: `0.8*<digest> + <digest>`.")
    words: str | None = Field(None, description="New words by digest: `<cat-toy>=<digest>`.")
    upscale: int | None = Field(
        None, description="Enlarge the finished picture by 2 or 4; null or 1: leave it."
    )

    model: str | None = Field(None, description="A name of /v1/capabilities; null: the first.")
    n: Annotated[int, Field(ge=1)] = Field(1, description="Pictures of each: seed, seed + 1, ...")
    requests: list[dict[str, Any]] | None = Field(
        None, min_length=1, description="Several: fields of each that differ from those above."
    )
    axes: Axes = Field(
        {}, description="A sweep: axes that are crossed, the last fastest. Lists, or `1..20`, `1-20 (+1)`."
    )
    zipped: list[Axes] = Field([], description="Tables of axes that go along together, as in studies.")
    priority: int = Field(0, ge=-MOST_PRIORITY, le=MOST_PRIORITY, description="Larger is sooner.")
    preview: int = Field(0, ge=0, le=2000, description="A rough picture every so many steps in the events.")
    trace: int = Field(0, ge=0, le=2000, description="Keep the latents of every so many evaluations.")
    attention: bool = Field(False, description="Keep where the network looked for each word.")


def requests_of(
    order: PictureOrder, settings: ServeSettings, defaults: Callable[[str], Mapping[str, Any]]
) -> list[tuple[str, Request]]:
    """(model, request) of each picture. RequestError, ConfigError; nothing is fanned out beyond the limits."""
    model = order.model or next(iter(settings.sources))
    base = {f.name: value for f in fields(Request) if (value := getattr(order, f.name)) is not None}
    seed = base.pop("seed", -1)
    _check_texts(base)
    if order.axes or order.zipped:
        if order.requests:
            raise RequestError("give requests or axes, not both")
        points = _sweep(order, model, {**defaults(model), **base}, settings)
    else:
        points = [_several(one, {**defaults(model), **base}, model) for one in order.requests or [{}]]
    if (count := len(points) * order.n) > settings.max_count:
        raise RequestError(f"{count} pictures in one job; at most {settings.max_count} are made")
    drawn = seed if seed >= 0 else secrets.randbelow(RANDOM_SEEDS - order.n)
    made = []
    for name, own, request in points:
        first = drawn if own is None else own
        if own == -1:
            first = secrets.randbelow(RANDOM_SEEDS - order.n)
        made += [(name, one) for one in request.replace(seed=first).repeat(order.n)]
    for _, request in made:
        check_limits(request, settings)
        if order.trace and (frames := -(-request.steps // order.trace)) > MAX_FRAMES:
            raise RequestError(f"a trace has at most {MAX_FRAMES} frames, not {frames}; take a larger trace")
    return made


def check_limits(request: Request, settings: ServeSettings, size: tuple[int, int] = (64, 64)) -> None:
    """RequestError where the owner of the server does not allow it, or it names a file or a hub.

    `size`: the model's own, where it is known.
    """
    if request.steps > settings.max_steps:
        raise RequestError(f"steps must be at most {settings.max_steps} here, got {request.steps}")
    pixels = (request.width or size[0]) * (request.height or size[1]) * request.upscale**2
    if pixels > settings.max_pixels:
        raise RequestError(f"a picture has at most {settings.max_pixels} pixels here, got {pixels}")
    foreign = [share.name for share in parse_encoder(request.encoder).shares if share.name not in ENCODERS]
    foreign += [t.model for t in request.terms.terms if isinstance(t, Clip) and t.model not in PAIRS]
    if foreign:
        raise RequestError(f"{foreign[0][:100]!r} is not served; encoders and pairs are named, never a path")
    if (request.lora or request.words) and not settings.allow_adapters:
        raise RequestError(
            "this server takes no adapters and words; its owner allows it with --allow-adapters"
        )


def _several(own: dict[str, Any], base: dict[str, Any], model: str) -> tuple[str, int | None, Request]:
    check_names(own)
    given = {name: value for name, value in own.items() if value is not None}
    seed = given.pop("seed", None)
    if seed is not None and (
        not isinstance(seed, int) or isinstance(seed, bool) or not -1 <= seed <= MAX_SEED
    ):
        raise RequestError("seed must be a whole number from 0 on, or -1 for a random one")
    _check_texts(given)
    return model, seed, Request(**_begun({**base, **given}))


def _begun(values: dict[str, Any]) -> dict[str, Any]:
    """A run from a picture alone begins half way, as on the command line."""
    if values.get("init") and "begin" not in values and not values.get("mask"):
        return {**values, "begin": values.get("steps", Request.steps) // 2}
    return values


def _sweep(
    order: PictureOrder, model: str, base: dict[str, Any], settings: ServeSettings
) -> list[tuple[str, int | None, Request]]:
    """The cells of a study with these axes; an axis of seeds is crossed last."""
    axes = {name: axis_values(name, values) for name, values in order.axes.items()}
    zipped = [{name: axis_values(name, values) for name, values in table.items()} for table in order.zipped]
    lengths = [len(v) for v in axes.values()] + [len(next(iter(t.values()))) for t in zipped if t]
    if (count := prod(lengths)) * order.n > settings.max_count:
        raise RequestError(f"{count * order.n} pictures in one job; at most {settings.max_count} are made")
    for table in (axes, *zipped):
        for name in set(table) & {"init", "mask", "lora", "model"}:
            for value in table[name]:
                if name == "model" and value not in settings.sources:
                    raise RequestError(f"model {str(value)[:100]!r} is not served")
                if name != "model":
                    _check_texts({name: value})
    seeds = axes.pop("seed", [None])
    if any(s is not None and (type(s) is not int or not 0 <= s <= MAX_SEED) for s in seeds):
        raise RequestError("axis seed has whole numbers from 0 on")
    asked = {"model": model, "base": _begun(base), "axes": axes, "zipped": zipped}
    study = Study.from_mapping(asked, "the sweep")
    return [(cell.model, seed, cell.request) for cell in cells(study) for seed in seeds]


def axis_values(name: str, values: str | list[AxisValue]) -> list[Any]:
    """The values of an axis, of which a text is read as in study files. RequestError, ConfigError."""
    if not isinstance(values, str):
        if not values:
            raise RequestError(f"axis {name[:100]} is empty; give it values, or leave it out")
        return list(values)
    return parse_axis(values, whole=name in ("steps", "width", "height", "begin", "seed"))


def _check_texts(values: Mapping[str, Any]) -> None:
    """Pictures are named by digest alone: what studies read as a path never comes in here."""
    for name in ("init", "mask"):
        if (text := values.get(name)) and not re.fullmatch("[0-9a-f]{64}", str(text)):
            raise RequestError(f"{name} is the digest of a picture that was uploaded, 64 hexadecimal digits")
    if lora := values.get("lora"):
        from mezzotint.expressions import parse_lora

        parse_lora(str(lora))
