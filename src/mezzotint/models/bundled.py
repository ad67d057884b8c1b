"""The models that come with Mezzotint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT = "emoji"
_LICENCE = "Apache-2.0 (trained on pictures under MIT, Apache-2.0 and CC-BY-4.0)"
_BUNDLES = Path(__file__).parent.parent / "bundles"


@dataclass(frozen=True)
class BundledModel:
    """A model in the package."""

    name: str
    description: str
    licence: str
    size: tuple[int, int]  # width, height in pixels
    reads_text: bool = True  # else it draws without a prompt

    @property
    def path(self) -> Path:
        """Its diffusers folder."""
        return _BUNDLES / self.name

    @property
    def is_installed(self) -> bool:
        """Whether this copy of the package holds it."""
        return (self.path / "model_index.json").is_file()

    @property
    def bytes(self) -> int:
        """What it takes on disk, 0 where it is not installed."""
        return (
            sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())
            if self.is_installed
            else 0
        )


BUNDLED = {
    model.name: model
    for model in (
        BundledModel(
            name=DEFAULT,
            description="objects and small scenes in six emoji styles; the prompt sets count, color, place",
            licence=_LICENCE,
            size=(128, 128),
        ),
        BundledModel(
            name="faces",
            description="faces before backdrops of any color, unconditional",
            licence=_LICENCE,
            size=(64, 64),
            reads_text=False,
        ),
    )
}
