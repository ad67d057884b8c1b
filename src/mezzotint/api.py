"""The short way: requests in, pictures out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mezzotint.engine import Engine, Mode, Network
from mezzotint.errors import RequestError
from mezzotint.expressions import NewWord
from mezzotint.picture import Picture
from mezzotint.request import Request, check_names

Asked = Request | str  # a string is a prompt; the rest then has the model's defaults


def generate(
    requests: Asked | Iterable[Asked],
    model: Network | str | os.PathLike[str] | None = None,
    mode: Mode = "fast",
    **options: Any,
) -> list[Picture]:
    """Make pictures in one engine, in the order asked; `model` is a bundled name, a folder, or an open model.

    `options` are fields of `Request`, such as `steps=10, seed=7`, for all of them. `init`, `mask`, `lora` and `words`
    may be paths, the latter two also several: `lora=["style.safetensors:0.8"]`. With `init` alone a run begins half way.
    The first error is raised and the other pictures are given up; an Engine gives each its own outcome.
    """
    if not isinstance(requests, Iterable | Request):
        raise RequestError(f"requests must be a Request, a prompt or several, got {type(requests).__name__}")
    asked = [requests] if isinstance(requests, (Request, str)) else list(requests)
    chosen = _with_kept_files(options)
    _check(asked, model, chosen)
    with Engine(model, mode) as engine:
        futures = engine.submit_all([_request(one, engine.defaults, chosen) for one in asked])
        return [future.result() for future in futures]


def _check(
    asked: Iterable[Asked], model: Network | str | os.PathLike[str] | None, chosen: Mapping[str, Any]
) -> None:
    """RequestError before a model is opened, where its defaults can be read without."""
    from mezzotint.models.bundled import DEFAULT
    from mezzotint.models.disk.source import defaults_of, folder_of

    source = DEFAULT if model is None else model
    if isinstance(source, str | os.PathLike) and folder_of(source) is not None:
        for one in asked:
            _request(one, defaults_of(source), chosen)


def _request(asked: Asked, defaults: Mapping[str, Any], chosen: Mapping[str, Any]) -> Request:
    """A prompt with the model's defaults, or a request; the options of the call go before both."""
    if not isinstance(asked, str):
        return asked.replace(**chosen) if chosen and isinstance(asked, Request) else asked
    options = {**defaults, **chosen}
    if options.get("init") and "begin" not in options and not options.get("mask"):
        options["begin"] = options.get("steps", Request.steps) // 2
    return Request(asked, **options)


def _with_kept_files(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, with files in the library of pictures, adapters and words, by their content."""
    check_names(options)
    chosen = dict(options)
    init, mask = options.get("init", ""), options.get("mask", "")
    if _is_file(mask):
        from mezzotint.library import keep_mask

        chosen["mask"] = keep_mask(Path(mask), Path(init))
    if _is_file(init):
        from mezzotint.library import keep

        chosen["init"] = keep(Path(init))
    brought: list[NewWord] = []
    if files := _files(options.get("lora")):
        from mezzotint.models.lora.files import keep_loras, words_in_loras

        chosen["lora"], brought = keep_loras(files), words_in_loras(files)
    if (files := _files(options.get("words"))) or (brought and not options.get("words")):
        from mezzotint.models.texts.inversion import keep_words

        chosen["words"] = keep_words(files, brought)
    return chosen


def _files(value: Any) -> list[str]:
    """Paths, as text; none where the value is a request's own text, such as a digest."""
    if isinstance(value, os.PathLike):
        return [os.fspath(value)]
    if isinstance(value, (list, tuple)):
        return [os.fspath(one) for one in value]
    return [value] if isinstance(value, str) and _is_file(value.rpartition(":")[0] or value) else []


def _is_file(value: Any) -> bool:
    """Whether it is a path: an object that is one, or the text of one that is there."""
    return isinstance(value, os.PathLike) or (isinstance(value, str) and bool(value) and Path(value).exists())
