"""The pictures of a folder, however deep; links may go in circles, and folders may be closed to us."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mezzotint.data.pictures.captions import METADATA, captions_of, read_metadata
from mezzotint.data.pictures.listing import Binary, Listing, Packed, Skipped

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


class FilePictures:
    """Files under a root, by their paths from there."""

    def __init__(self, root: Path, names: Packed):
        self.root, self.names = root, names

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        return self.names[index]

    def open(self, index: int) -> Binary:
        return open(self.root / self.names[index], "rb")

    def only(self, indices: Sequence[int]) -> FilePictures:
        return FilePictures(self.root, Packed(self.names[index] for index in indices))


@dataclass
class FolderFiles:
    """Paths from the root, sorted, with `/` between."""

    pictures: list[str] = field(default_factory=list)
    metadata: list[str] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    others: Counter[str] = field(default_factory=Counter)
    skipped: list[Skipped] = field(default_factory=list)


def list_folder(root: Path, extensions: Sequence[str], captions: bool) -> Listing:
    """Every picture of a folder with what its metadata says; `.txt` files are read where captions are wanted."""
    found = find(root, extensions)
    rows = read_metadata(root, found.metadata, set(found.pictures))
    pictures = FilePictures(root, Packed(found.pictures))
    said, unread = captions_of(root, found.pictures, found.texts if captions else set(), rows.captions)
    dropped = {path for path, _ in unread}
    if dropped:
        kept = [i for i, name in enumerate(found.pictures) if name not in dropped]
        pictures, said = pictures.only(kept), Packed(said[i] for i in kept)
    return Listing(
        pictures, said, found.skipped + unread, _empty(root, found), rows.problems, found.others, rows.licenses
    )  # fmt: skip


def find(root: Path, extensions: Sequence[str] = EXTENSIONS) -> FolderFiles:
    """Walk a folder, links too; each folder once, first by its real path. Names that begin with a dot are passed."""
    found, seen = FolderFiles(), set()
    folders, links = deque([""]), deque[str]()
    while folders or links:
        folder = (folders or links).popleft()
        try:
            status = os.stat(root / folder)
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                _enter(root, folder, extensions, found, folders, links)
        except OSError as error:
            found.skipped.append(Skipped(folder or ".", f"a folder that cannot be read: {error.strerror}"))
    found.pictures.sort()
    found.metadata.sort()
    return found


def _enter(
    root: Path,
    folder: str,
    extensions: Sequence[str],
    found: FolderFiles,
    folders: deque[str],
    links: deque[str],
) -> None:
    with os.scandir(root / folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if _is_folder(entry):
            (links if entry.is_symlink() else folders).append(path)
        else:
            _file(entry, path, extensions, found)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _file(entry: os.DirEntry[str], path: str, extensions: Sequence[str], found: FolderFiles) -> None:
    ending = os.path.splitext(entry.name)[1].lower()
    if ending in extensions:
        if _is_file(entry):
            found.pictures.append(path)
        else:  # to open a pipe would wait forever
            found.skipped.append(
                Skipped(path, "a link to nothing" if entry.is_symlink() else "not a plain file")
            )
    elif entry.name in METADATA:
        found.metadata.append(path)
    elif ending == ".txt":
        found.texts.add(path)
    else:
        found.others[ending or "no ending"] += 1


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _empty(root: Path, found: FolderFiles) -> list[str]:
    if found.pictures or found.skipped:
        return []
    rest = found.others.total() + len(found.texts) + len(found.metadata)
    if not rest:
        return [f"{root} is empty: put pictures into it"]
    kinds = ", ".join(
        [*found.others, *([".txt"] if found.texts else []), *map(os.path.basename, found.metadata)][:5]
    )
    return [f"no pictures in {root}: its {rest:,} files are {kinds}; pictures end in {', '.join(EXTENSIONS)}"]
