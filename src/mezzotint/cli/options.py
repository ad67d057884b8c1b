"""Options that commands share, and requests from options, prompts and files of prompts, checked before any work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mezzotint.errors import ConfigError, RequestError
from mezzotint.precision import PRECISIONS, precision_named

if TYPE_CHECKING:
    from mezzotint.request import Request

MAX_PICTURES = 100_000  # of one run
MAX_BYTES = 64 << 20  # of a file of prompts
Minutes = Annotated[
    float, typer.Option(metavar="N", min=0, help="Stop this run after so many; 0: when all is done.")
]
StoreFolder = Annotated[Path, typer.Option(metavar="DIR", help="Where pictures are kept.")]
Index = Annotated[
    str, typer.Option(metavar="URL", help="A database for the store's index, such as postgresql://...")
]


def _parse_precision(value: str | None) -> str | None:
    return None if value is None else precision_named(value)


_HELP = "auto: the fastest that passes a self-test on this machine."
NAMES = ("--precision", "--dtype", "--mixed-precision")
PrecisionOption = Annotated[
    str | None, typer.Option(*NAMES, metavar="|".join(PRECISIONS), callback=_parse_precision, help=_HELP)
]
"""As `PRECISIONS` has it; None where it is not said, which means auto."""


def build_requests(
    prompts: list[str], file: Path | None, options: dict[str, Any], repeat: int = 1
) -> list[Request]:
    """All requests of a run: each prompt `repeat` times, with seeds seed, seed+1, ...

    `file` has a prompt a line or, where it ends in `.jsonl`, an object of Request fields a line; `options`
    are the fields that a line leaves out. ConfigError or RequestError names the line that is wrong.
    """
    from mezzotint.request import Request

    base = Request(**options)
    asked = [replace(base, prompt=prompt) for prompt in prompts]
    if file is not None:
        asked += _read_requests(file, base)
    if not asked:
        raise no_prompt_error()
    if len(asked) * repeat > MAX_PICTURES:
        raise ConfigError(f"{len(asked) * repeat} pictures in one run; at most {MAX_PICTURES} are made")
    return [one for request in asked for one in request.repeat(repeat)]


def no_prompt_error() -> ConfigError:
    """The error where no prompt is given to a model that reads prompts."""
    return ConfigError("nothing to do: give a prompt in quotes, or --prompts-file FILE")


def draws_without_prompt(model: str) -> bool:
    """Whether a model may draw without a prompt, so far as can be told before it is opened."""
    from mezzotint.models.disk.source import reads_text

    return not reads_text(model)


def check_extras(requests: Sequence[Request]) -> None:
    """ConfigError, before a model is fetched, where requests need a package that is not installed."""
    from mezzotint.expressions import OWN_ENCODERS, parse_encoder
    from mezzotint.extras import require

    asked = {(request.guidance, request.encoder): request for request in requests}.values()
    if any(request.terms.steers for request in asked):
        require("guidance by gradients", "torch", "torch")
    if any(share.name not in OWN_ENCODERS for r in asked for share in parse_encoder(r.encoder).shares):
        require("an encoder such as bert", "bert", "torch", "transformers")


def parse_size(text: str | None) -> tuple[int | None, int | None]:
    """(width, height) in pixels from `128x128`; Request checks the numbers."""
    if text is None:
        return None, None
    found = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text, re.ASCII)
    if not found:
        raise RequestError(f"size must be WIDTHxHEIGHT in pixels, such as 128x128, got {text[:40]!r}")
    return int(found[1]), int(found[2])


def parse_loras(given: Sequence[str]) -> str:
    """`Request.lora` of adapters, each `FILE` or `FILE:0.8`; they are kept by their content."""
    from mezzotint.models.lora.files import keep_loras

    return keep_loras(given)


def parse_words(given: Sequence[str], loras: Sequence[str] = ()) -> str:
    """`Request.words` of new words, each `PATH` or `NAME=PATH`, and of those that LoRA files bring along."""
    from mezzotint.models.lora.files import words_in_loras
    from mezzotint.models.texts.inversion import keep_words

    return keep_words(given, words_in_loras(loras))


def init_fields(init: Path | None, at: str | None, mask: Path | None, steps: int) -> dict[str, Any]:
    """The fields of a request that starts from a picture: by default half way, with a mask from noise alone."""
    if init is None:
        if at or mask:
            raise RequestError(f"{'--start' if at else '--mask'} goes with --init PICTURE")
        return {}
    from mezzotint import library

    begin, steps = _parse_step(at) if at else (0 if mask else steps // 2, steps)
    return {
        "init": library.keep(init),
        "mask": library.keep_mask(mask, init) if mask else "",
        "begin": begin,
        "steps": steps,
    }


def _parse_step(text: str) -> tuple[int, int]:
    """(step, of) from `10/25`; Request checks the numbers."""
    found = re.fullmatch(r"(\d{1,5})/(\d{1,5})", text, re.ASCII)
    if not found:
        raise RequestError(f"start must be STEP/OF, such as 10/25, got {text[:40]!r}")
    step, of = int(found[1]), int(found[2])
    if of == 0:
        raise RequestError(f"--start {text}: OF is the number of steps, 1 or more")
    if step >= of:
        raise RequestError(f"--start {text} leaves no step to draw; STEP is from 0 to {of - 1}")
    return step, of


def _read_requests(file: Path, base: Request) -> Iterator[Request]:
    lines = [(n, line) for n, line in enumerate(_read(file).split("\n"), start=1) if line.strip()]
    if len(lines) > MAX_PICTURES:
        raise ConfigError(f"{file} has {len(lines)} prompts; at most {MAX_PICTURES} are read")
    for number, line in lines:
        try:
            yield _request_of_json(line, base) if file.suffix == ".jsonl" else _request_of_prompt(line, base)
        except RequestError as error:
            raise RequestError(f"{file}, line {number}: {error}") from None


def _request_of_prompt(line: str, base: Request) -> Request:
    return replace(base, prompt=line.strip())


def _request_of_json(line: str, base: Request) -> Request:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise RequestError(f"must be a JSON object of a request's fields, got {type(fields).__name__}")
    loras: list[str] = []
    if isinstance(fields.get("lora"), list):  # as the option has it
        loras = [str(given) for given in fields["lora"]]
        fields["lora"] = parse_loras(loras)
    own = fields.get("words")
    if isinstance(own, list) or (loras and own is None):
        fields["words"] = parse_words([str(given) for given in own or []], loras) or base.words
    from mezzotint.request import Request

    return Request.from_dict({**vars(base), **fields})


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{file} is larger than {MAX_BYTES >> 20} MiB")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8 text") from None
