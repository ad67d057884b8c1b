"""From a picture's file to its recipe: who wrote it, and what it tells."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mezzotint.errors import DataError, MezzotintError
from mezzotint.files import read_bounded
from mezzotint.image_files import SIGNATURE, texts
from mezzotint.picture import Picture
from mezzotint.recall import a1111, comfyui
from mezzotint.recall.others import read_dream, read_fooocus, read_invokeai, read_novelai, read_sd_metadata
from mezzotint.recall.recipe import Draft, Recipe

_KINDS = (SIGNATURE, b"\xff\xd8\xff", b"RIFF")
_READ = "Mezzotint, AUTOMATIC1111, Forge, SD.Next, ComfyUI, InvokeAI, Fooocus, NovelAI"


def recall(path: str | os.PathLike[str]) -> Recipe:
    """The recipe in a PNG, JPEG or WebP file. DataError where it is no such file, or tells nothing we read.

    Nothing in the file is trusted or run; its pixels are not decoded.
    """
    path = Path(path)
    data = read_bounded(path)
    if not data.startswith(_KINDS):
        raise DataError(f"{path} is not a PNG, JPEG or WebP picture")
    found = texts(data)
    if "mezzotint" in found:
        return _own(path)
    try:
        draft = _draft(found)
        if draft is not None:
            return draft.finish()
    except MezzotintError as error:
        raise DataError(f"{path}: {error}") from None
    raise DataError(f"{path} does not say how it was drawn; recipes of {_READ} are read")


def _own(path: Path) -> Recipe:
    picture = Picture.open(path)
    request, made = picture.request, picture.provenance
    return Recipe("Mezzotint", dict(vars(request)), f"{made.model} (digest {made.model_digest[:10]})")


def _draft(found: dict[str, str]) -> Draft | None:
    """By the names of the texts, the surest sign first."""
    if "invokeai_metadata" in found:
        return read_invokeai(found["invokeai_metadata"])
    if "sd-metadata" in found:
        return read_sd_metadata(found["sd-metadata"])
    if "Dream" in found:
        return read_dream(found["Dream"])
    if "NovelAI" in found.get("Software", "") and "Comment" in found:
        return read_novelai(found["Comment"], found.get("Description", ""))
    for name in ("parameters", "UserComment", "ImageDescription", "Comment"):
        if text := found.get(name, "").strip():
            draft = _parameters(text)
            if draft is not None:
                draft.tool = "Fooocus" if "fooocus_scheme" in found else draft.tool
                return draft
    return _graph(found)


def _parameters(text: str) -> Draft | None:
    if text.startswith("{"):
        return (
            read_fooocus(text)
            if re.search(r'"(?:base_model|metadata_scheme|guidance_scale)"', text)
            else None
        )
    return a1111.read(text) if re.search(r"(?:^|[\n,|])\s*Steps: ?\d", text) else None


def _graph(found: dict[str, str]) -> Draft | None:
    """ComfyUI's; in JPEG and WebP it stands in EXIF's maker and model, after `prompt:`."""
    for name in ("prompt", "Make", "Model", "UserComment", "ImageDescription"):
        text = found.get(name, "").strip()
        text = text.removeprefix("prompt:") if text[:7].lower() == "prompt:" else text
        if text.startswith("{") and '"class_type"' in text:
            return comfyui.read(text)
    if "workflow" in found:
        raise DataError(
            "it has ComfyUI's workflow for the editor but not the graph that ran (its text `prompt`)"
        )
    return None
