"""A Picture: pixels, the Request that made them, their provenance and ledger; and the PNG file that has the first three."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import struct
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mezzotint.errors import DataError, MezzotintError, OutputError, nearest
from mezzotint.files import read_bounded, write_durably
from mezzotint.image_files import repair_png
from mezzotint.infotext import infotext
from mezzotint.request import Request

if TYPE_CHECKING:
    from mezzotint.attention import Attention


class LedgerEntry(NamedTuple):
    """One term at one network call. Movements and norms are root mean squares over the latents or pixels."""

    evaluation: int  # the network call, from 0
    step: int  # the asked step that it belongs to
    term: str  # the term's expression
    loss: float
    gradient: float  # of the loss, with respect to what the recipe moves
    moved: float  # of x0
    cosine: float | None  # between that movement and the classifier-free direction; None where there is none


MAX_PIXELS = 4096 * 4096
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Snapshot(NamedTuple):
    """What a picture would have been after so many evaluations."""

    evaluations: int
    x0: NDArray[np.float32]  # (C, h, w) latents


@dataclass(frozen=True)
class Provenance:
    """How a picture was made, beside what decides its pixels; it goes into the file with the Request."""

    model: str
    model_digest: str  # hexadecimal
    runtime: str  # "openvino" or "torch"
    dtype: str
    mode: str  # "fast" or "exact"
    device: str
    versions: dict[str, str]  # of mezzotint and of the runtime
    evaluations: int  # denoiser calls
    seconds: float  # from the first noise to the pixels
    created: str  # ISO 8601, UTC
    warnings: list[str] = field(default_factory=list)
    threads: int = 0  # that the runtime computed with; 0: not recorded
    steering: dict[str, str] = field(default_factory=dict)  # what computed each gradient term
    encoders: dict[str, str] = field(
        default_factory=dict
    )  # digests of what read the texts beside the model's own
    a1111: dict[str, str] = field(default_factory=dict)  # its settings that hang on the model and its files
    upscaler: str = ""  # digest of what enlarged the picture; "": nothing did

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Checked against the types above; DataError names what is missing, unknown or of another type."""
        if not isinstance(data, dict):
            raise DataError("provenance must be a JSON object")
        kinds = get_type_hints(cls)
        for key in data:
            if key not in kinds:
                raise DataError(f"provenance has no {str(key)[:60]!r}{nearest(key, kinds)}")
        for f in fields(cls):
            if f.name not in data and f.default is f.default_factory:  # neither is given
                raise DataError(f"provenance has no {f.name}")
            if f.name in data and not _is(data[f.name], kinds[f.name]):
                raise DataError(f"provenance: {f.name} is not of type {f.type}")
        return cls(**data)


@dataclass(frozen=True, eq=False)
class Picture:
    """A finished picture. `trace`, where asked for, has its earlier states, and `attention` where the denoiser
    looked for each word; `ledger` says what gradient terms did. Files do not keep them.
    """

    image: Image.Image  # RGB
    request: Request
    provenance: Provenance
    trace: tuple[Snapshot, ...] = ()
    attention: Attention | None = None
    ledger: tuple[LedgerEntry, ...] = ()

    @property
    def digest(self) -> str:
        """sha256 of the pixels, hexadecimal: three bytes each, row by row."""
        return hashlib.sha256(self.image.convert("RGB").tobytes()).hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a PNG that carries request and provenance; when this returns it is whole and on the disk.

        OutputError, one line, when it cannot be written; what was at `path` before is then still there.
        """
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise OutputError(f"pictures are written as PNG; give {path.name!r} the ending .png")
        write_durably(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """The PNG file that `save` writes, with request and provenance inside."""
        p = self.provenance
        version = p.versions.get("mezzotint", "")
        info = PngInfo()
        info.add_text(
            "parameters", infotext(self.request, self._drawn_size, p.model, p.model_digest, version, p.a1111)
        )
        info.add_text(
            "mezzotint", json.dumps({"request": json.loads(self.request.to_json()), "provenance": asdict(p)})
        )
        buffer = io.BytesIO()
        self.image.convert("RGB").save(buffer, format="PNG", pnginfo=info)
        return buffer.getvalue()

    @property
    def _drawn_size(self) -> tuple[int, int]:
        """Width and height in pixels before the picture was enlarged."""
        return self.image.width // self.request.upscale, self.image.height // self.request.upscale

    def _repr_png_(self) -> bytes:
        """How notebooks show it."""
        return self.to_bytes()

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read a PNG that `save` wrote. Nothing in it is trusted; DataError says what is wrong."""
        path = Path(path)
        data = repair_png(_read(path))
        try:
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                image.verify()  # the checksums of all chunks; after this it must be opened anew
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                image.load()
                text = image.text  # type: ignore[attr-defined]  # of PNG files only
                pixels = image.convert("RGB")
        except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
            raise DataError(f"{path} is not a whole PNG: {error}") from None
        if "mezzotint" not in text:
            raise DataError(f"{path} does not say how it was made; only pictures that Mezzotint saved do")
        try:
            request, provenance = _parse_metadata(text["mezzotint"])
        except MezzotintError as error:
            raise DataError(f"{path} says how it was made, but not well: {error}") from None
        return cls(pixels, request, provenance)


def _parse_metadata(text: str) -> tuple[Request, Provenance]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise DataError("it is not JSON") from None
    if (
        not isinstance(data, dict)
        or set(data) != {"request", "provenance"}
        or not isinstance(data["request"], dict)
    ):
        raise DataError("it must be a JSON object of request and provenance")
    return Request.from_dict(data["request"]), Provenance.from_dict(data["provenance"])


def _is(value: object, kind: Any) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(isinstance(word, str) for word in value.values())
    if get_origin(kind) is list:
        return isinstance(value, list) and all(isinstance(word, str) for word in value)
    return isinstance(value, kind) and not isinstance(value, bool)


def check_pixels(path: Path, width: int, height: int) -> None:
    """DataError where a picture of this size, as its header tells it, would not be decoded."""
    if not 0 < width * height <= MAX_PIXELS:
        raise DataError(f"{path} has {width}x{height} pixels; at most {MAX_PIXELS} are read")


def _read(path: Path) -> bytes:
    """The bytes of a PNG file of bearable size; width and height are read before anything is decoded."""
    data = read_bounded(path)
    if data[:8] != _SIGNATURE or data[12:16] != b"IHDR" or len(data) < 24:
        raise DataError(f"{path} is not a PNG")
    check_pixels(path, *struct.unpack(">II", data[16:24]))
    return data
