"""`mezzotint store`: the pictures that studies keep, listed, shown, looked after and taken out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mezzotint.cli.messages import one_line
from mezzotint.errors import DataError
from mezzotint.extras import needs_extra

if TYPE_CHECKING:
    from mezzotint.store import Store

store = typer.Typer(name="store", help="The pictures that studies keep.", no_args_is_help=True)

Where = Annotated[Path, typer.Option("--store", metavar="DIR", help="The store's folder.")]
Index = Annotated[str, typer.Option(metavar="URL", help="Of its index, where that is no file in it.")]
Model = Annotated[str, typer.Option(metavar="NAME", help="Those of one model.")]
Prompt = Annotated[str, typer.Option(metavar="WORDS", help="Those with these words in the prompt.")]
_HERE = Path("store")


@store.command("list")
def list_(
    where: Where = _HERE,
    index: Index = "",
    model: Model = "",
    prompt: Prompt = "",
    limit: Annotated[int, typer.Option("-n", metavar="N", min=0, help="The newest; 0: all.")] = 20,
) -> None:
    """What is there, newest first: key, seed, model and prompt."""
    with _open_store(where, index) as kept:
        for row in kept.query(model=model, prompt=prompt, limit=limit):
            words = row.key[:12], row.created[:16], row.model, f"seed {row.seed}", row.prompt[:60]
            print("  ".join(map(one_line, words)).rstrip())


@store.command()
def show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its first digits suffice.")],
    where: Where = _HERE,
    index: Index = "",
) -> None:
    """Everything about one picture, as JSON."""
    from dataclasses import asdict

    with _open_store(where, index) as kept:
        key = kept.find(key)
        picture = kept.read(key)
        if picture is None:
            raise DataError(f"picture {key[:12]} is damaged or gone; run mezzotint store verify --repair")
        told = {
            "key": key,
            "path": str(kept.path(key)),
            "request": json.loads(picture.request.to_json()),
            "provenance": asdict(picture.provenance),
            "metrics": {n: None if v != v else v for n, v in kept.metrics([key]).get(key, {}).items()},
            "ledger": [entry._asdict() for entry in picture.ledger],
        }
        print(json.dumps(told, indent=2, ensure_ascii=False))


@store.command()
def gc(
    where: Where = _HERE,
    index: Index = "",
    older_than: Annotated[
        float | None, typer.Option(metavar="DAYS", min=0, help="Pictures made before so many days, too.")
    ] = None,
    model: Annotated[str, typer.Option(metavar="NAME", help="Pictures of this model, too.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove what is of no use: files half written or moved aside, metrics of pictures that are gone."""
    with _open_store(where, index) as kept:
        from mezzotint.store.upkeep import gc as clean

        before = ""
        if older_than is not None:
            before = (datetime.now(UTC) - timedelta(days=older_than)).isoformat(timespec="seconds")
        done = clean(kept, before, model, dry_run)
    verb = "would remove" if dry_run else "removed"
    print(f"{verb} {done.pictures} pictures and {done.others} other files, {done.bytes / 2**20:.1f} MiB")


@store.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the copies go.")],
    where: Where = _HERE,
    index: Index = "",
    model: Model = "",
    prompt: Prompt = "",
) -> None:
    """Copy pictures into a folder, with a table of what is known of each."""
    from mezzotint.cli.output import check_folder

    check_folder(folder)
    with _open_store(where, index) as kept:
        from mezzotint.store.upkeep import export as copy

        print(f"{copy(kept, kept.query(model=model, prompt=prompt), folder)} pictures in {folder}")


@store.command()
def verify(
    where: Where = _HERE,
    index: Index = "",
    repair: Annotated[
        bool, typer.Option("--repair", help="Make the index again from the files; move torn files aside.")
    ] = False,
) -> int:
    """Read every picture and compare it with the index. Exit code 1 where something is wrong."""
    with _open_store(where, index) as kept:
        from mezzotint.store.upkeep import verify as look

        found = look(kept, repair)
    print(f"{found.pictures} pictures are whole")
    for what, keys in (
        ("files without a row of the index", found.unlisted),
        ("rows without a file", found.lost),
        ("torn files", found.torn),
        ("pictures whose metrics the index has otherwise", found.unmeasured),
        ("files half written", found.half_written),
    ):
        if keys:
            print(
                f"{len(keys)} {what}{' (repaired)' if repair else ''}: {', '.join(k[:12] for k in keys[:6])}"
            )
    return 0 if found.ok or repair else 1


@contextmanager
def _open_store(where: Path, index: str) -> Iterator[Store]:
    with needs_extra("study"):
        from mezzotint.store import Store
    if not any((where / name).exists() for name in ("lock", "pictures", "index.sqlite")):
        raise DataError(f"there is no store in {where}; name its folder with --store DIR")
    with Store.open(where, index) as kept:
        yield kept
