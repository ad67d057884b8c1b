"""Small files of weights kept by their content, so that a Request never names a path and a recipe replays."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path

from mezzotint.errors import ModelError, RequestError
from mezzotint.models.cache import default_cache, put, remembered_digest, write_atomic
from mezzotint.models.disk.tensors import TensorFile
from mezzotint.models.disk.variants import PICKLED


@dataclass(frozen=True)
class ContentStore:
    """A folder of the cache with safetensors files under the sha256 of their bytes."""

    folder: str
    noun: str  # such as "adapter"
    kind: str  # such as "LoRA"
    option: str  # that gives a file again
    most: int  # bytes

    def open(self, path: Path) -> TensorFile:
        """ModelError where it is pickled, or no safetensors file."""
        if path.suffix in PICKLED:
            raise ModelError(
                f"{path} may be pickled, which can run code when opened; take a .safetensors file"
            )
        return TensorFile.open(path)

    def keep(self, path: Path, cache: Path | None = None) -> str:
        """Its digest, 64 hex digits. ModelError where it cannot be read, OutputError where nothing can be kept."""
        return self.keep_bytes(self.read(path), str(path), cache)

    def keep_bytes(self, data: bytes, name: str, cache: Path | None = None) -> str:
        """As `keep`, of a file's content; `name` is what messages call it."""
        digest, cache = hashlib.sha256(data).hexdigest(), cache or default_cache()
        place = self._place(digest, cache)
        if not self._is_kept(digest, cache):
            put(place, data, f"keep {name} in {place.parent}")
        with contextlib.suppress(OSError):
            write_atomic(place.with_suffix(".txt"), name.encode("utf-8", "replace"))
        return digest

    def find(self, digest: str, cache: Path | None = None) -> Path:
        """The file of a digest. RequestError where it is not, or no longer, there."""
        cache = cache or default_cache()
        if not self._is_kept(digest, cache):
            again = f"give its file again with {self.option} FILE"
            raise RequestError(f"no {self.noun} {digest[:10]} is kept here; {again}")
        return self._place(digest, cache)

    def name_of(self, digest: str, cache: Path | None = None) -> str:
        """What the user called the file of a digest when it was last given."""
        try:
            return (
                self._place(digest, cache or default_cache())
                .with_suffix(".txt")
                .read_text("utf-8", "replace")
            )
        except OSError:
            return f"{self.noun} {digest[:10]}"

    def _is_kept(self, digest: str, cache: Path) -> bool:
        try:
            return remembered_digest(self._place(digest, cache), cache) == digest
        except OSError:
            return False

    def read(self, path: Path) -> bytes:
        """All of a file. ModelError where it cannot be read, or is too large to be one."""
        try:
            if path.stat().st_size > self.most:
                raise ModelError(f"{path} is larger than {self.most >> 20} MiB; it is no {self.kind}")
            return path.read_bytes()
        except OSError as error:
            raise ModelError(f"cannot read {path}: {error.strerror or error}") from None

    def _place(self, digest: str, cache: Path) -> Path:
        return cache / self.folder / f"{digest}.safetensors"
