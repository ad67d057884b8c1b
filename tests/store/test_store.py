"""A store: what was put is there, whole, whoever writes beside it; its index follows the files."""

from __future__ import annotations

import math
import multiprocessing
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mezzotint.errors import ConfigError, DataError, OutputError
from mezzotint.picture import LedgerEntry, Picture, Provenance
from mezzotint.request import Request
from mezzotint.store import Store, StoreRow, key_of, key_of_picture, precision_of
from mezzotint.store.upkeep import export, gc, verify

MADE = Provenance(
    model="toy", model_digest="ab" * 32, runtime="numpy", dtype="float32", mode="exact", device="cpu",
    versions={}, evaluations=8, seconds=0.25, created="2026-01-01T00:00:00+00:00",
)  # fmt: skip


def picture(seed: int = 0, prompt: str = "a cat", **made: str) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    return Picture(Image.fromarray(pixels), Request(prompt, seed=seed), replace(MADE, **made))  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def test_asking_for_what_is_there_returns_it(store: Store) -> None:
    asked = picture()
    assert store.get(asked.request, MADE.model_digest, "exact", precision_of(MADE)) is None
    key = store.put(asked)
    assert key == key_of(asked.request, MADE.model_digest, "exact", "numpy float32")
    found = store.get(asked.request, MADE.model_digest, "exact", precision_of(MADE))
    assert found is not None
    assert (found.digest, found.request, found.provenance) == (
        asked.digest,
        asked.request,
        asked.provenance,
    )
    assert store.path(key).relative_to(store.files.root) == Path(f"pictures/{key[:2]}/{key}.png")
    assert store.rows([key, "0" * 64]) == {key: StoreRow.of(asked, store.path(key).stat().st_size)}


@pytest.mark.parametrize(
    "other",
    [
        picture(1),
        picture(prompt="a dog"),
        picture(mode="fast"),
        picture(dtype="bfloat16"),
        picture(runtime="torch"),
        picture(model_digest="cd" * 32),
    ],
)
def test_all_that_decides_the_bits_decides_the_key(other: Picture) -> None:
    assert key_of_picture(other) != key_of_picture(picture())
    assert key_of_picture(picture(model="renamed", created="later")) == key_of_picture(picture())


def test_the_first_picture_of_a_key_stays(store: Store) -> None:
    first, second = picture(), replace(picture(1), request=picture().request)
    assert store.put(first) == store.put(second)
    found = store.read(key_of_picture(first))
    assert found is not None
    assert found.digest == first.digest


def test_a_ledger_comes_back(store: Store) -> None:
    ledger = (
        LedgerEntry(0, 0, "clip('a')", 0.5, 1.0, 0.1, None),
        LedgerEntry(1, 1, "clip('a')", 0.4, 1.0, 0.1, 0.3),
    )
    found = store.read(store.put(replace(picture(), ledger=ledger)))
    assert found is not None
    assert found.ledger == ledger


def test_metrics_add_up_and_may_be_undefined(store: Store) -> None:
    one, other = store.put(picture()), store.put(picture(1))
    store.set_metrics({one: {"sharpness": 1.5}, other: {"sharpness": 2.5}})
    store.set_metrics({one: {"score": math.nan, "sharpness": 3.0}})
    found = store.metrics([one, other, "0" * 64])
    assert found == {
        one: {"sharpness": 3.0, "score": pytest.approx(math.nan, nan_ok=True)},
        other: {"sharpness": 2.5},
    }
    with pytest.raises(DataError, match="no picture"):
        store.set_metrics({"0" * 64: {"sharpness": 1.0}})
    with pytest.raises(DataError, match="infinite"):
        store.set_metrics({one: {"sharpness": math.inf}})
    assert store.metrics([one])[one]["sharpness"] == 3.0


def test_the_index_is_made_again_from_the_files(store: Store) -> None:
    keys = [store.put(picture(seed)) for seed in range(5)]
    store.set_metrics({keys[0]: {"sharpness": 1.5}})
    rows = store.rows(keys)
    for path in store.files.root.glob("index.sqlite*"):
        path.unlink()
    again = Store.open(store.files.root)
    assert again.rows(keys) == rows
    assert again.metrics(keys) == {keys[0]: {"sharpness": 1.5}}
    assert verify(again).ok


def test_an_index_that_is_damaged_is_made_again(store: Store) -> None:
    keys = [store.put(picture(seed)) for seed in range(3)]
    store.close()
    (store.files.root / "index.sqlite").write_bytes(b"not a database" * 100)
    again = Store.open(store.files.root)
    assert set(again.rows(keys)) == set(keys)
    assert (store.files.root / "torn/index.sqlite").exists()


def test_verify_tells_and_repairs_everything(store: Store) -> None:
    keys = [store.put(picture(seed)) for seed in range(6)]
    unlisted, lost, cut, flipped, renamed, whole = keys
    store.index.drop([unlisted])
    store.path(lost).unlink()
    store.path(cut).write_bytes(store.path(cut).read_bytes()[:-20])
    data = bytearray(store.path(flipped).read_bytes())
    data[len(data) // 2] ^= 1
    store.path(flipped).write_bytes(data)
    name = ("0" if renamed[0] != "0" else "1") + renamed[1:]
    wrong = store.files.prepare_path("pictures", name)
    store.path(renamed).rename(wrong)
    part = store.path(whole).with_name(".part-0")
    part.write_bytes(b"half")
    (store.files.prepare_path("metrics", whole)).write_text('{"sharpness": 2}')

    for repair in (False, True):
        found = verify(store, repair)
        assert found.pictures == 2
        assert found.unlisted == [unlisted]
        assert set(found.torn) == {cut, flipped, name}
        assert set(found.lost) >= {lost, renamed}
        assert found.unmeasured == [whole]
        assert found.half_written == [".part-0"]
    assert verify(store).ok
    assert set(store.rows(keys)) == {unlisted, whole}
    assert {path.stem for path in (store.files.root / "torn").iterdir()} == {cut, flipped, name}
    assert store.metrics([whole]) == {whole: {"sharpness": 2}}


def test_a_torn_file_is_never_given_out(store: Store) -> None:
    key = store.put(picture())
    data = bytearray(store.path(key).read_bytes())
    data[len(data) // 2] ^= 1  # the size stays
    store.path(key).write_bytes(data)
    assert store.read(key) is None
    assert not store.has(key)
    store.put(picture())
    assert store.has(key)


def test_gc_removes_what_is_of_no_use_and_pictures_only_when_asked(store: Store) -> None:
    old, new = store.put(picture()), store.put(picture(1, created="2026-02-01T00:00:00+00:00"))
    store.set_metrics({old: {"sharpness": 1.0}})
    assert gc(store).pictures == 0
    assert gc(store, before="2026-01-15", dry=True).pictures == 1
    assert store.has(old)
    done = gc(store, before="2026-01-15")
    assert (done.pictures, done.others) == (1, 1)
    assert set(store.rows([old, new])) == {new}
    assert not store.files.path("metrics", old).exists()
    assert gc(store, model="other").pictures == 0
    assert verify(store).ok


def test_export_copies_pictures_and_a_table(store: Store, tmp_path: Path) -> None:
    keys = {store.put(picture(seed)) for seed in range(3)}
    store.set_metrics({min(keys): {"sharpness": 1.0}})
    assert export(store, store.query(), tmp_path / "out") == 3
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == keys
    assert Picture.open(tmp_path / f"out/{min(keys)}.png").digest in {picture(i).digest for i in range(3)}
    lines = (tmp_path / "out/pictures.csv").read_text().splitlines()
    assert len(lines) == 4
    assert lines[0].endswith("sharpness")


def test_listing_asks_the_index(store: Store) -> None:
    store.put(picture(prompt="100% cat"))
    store.put(picture(prompt="a dog", model="other"))
    assert [row.prompt for row in store.query(prompt="0% C")] == ["100% cat"]
    assert [row.prompt for row in store.query(model="other")] == ["a dog"]
    assert len(list(store.query(limit=1))) == 1
    with pytest.raises(DataError, match="no picture"):
        store.find("xyz")


def _write(folder: Path, first: int) -> None:
    with Store.open(folder) as store:
        for seed in range(first, first + 30):
            key = store.put(picture(seed))
            store.set_metrics({key: {f"of-{first}": float(seed)}})


def test_several_processes_and_threads_write_one_store(tmp_path: Path) -> None:
    folder, context = tmp_path / "store", multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(folder, first)) for first in (0, 10, 20)]
    threads = [threading.Thread(target=_write, args=(folder, first)) for first in (5, 15)]
    for writer in (*writers, *threads):
        writer.start()
    for writer in (*writers, *threads):
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    with Store.open(folder) as store:
        assert verify(store).pictures == 50
        assert verify(store).ok
        key = key_of_picture(picture(22))
        assert store.metrics([key])[key] == {f"of-{first}": 22.0 for first in (0, 5, 10, 15, 20)}


def test_what_cannot_be_opened_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot keep a store"):
        Store.open(tmp_path / "file")
    for url in ("nonsense", "martian://host/db", "postgresql+psycopg_not_there://host/db"):
        with pytest.raises(ConfigError, match="no index can be opened"):
            Store.open(tmp_path / "store", url)
    with pytest.raises(OutputError, match="does not answer"):
        Store.open(tmp_path / "store", f"sqlite:///{tmp_path}/nowhere/index.sqlite")


def test_the_index_may_lie_elsewhere(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/index.sqlite"
    with Store.open(tmp_path / "store", url) as store:
        key = store.put(picture())
    with Store.open(tmp_path / "store", url) as store:
        assert store.has(key)
    assert not (tmp_path / "store/index.sqlite").exists()


def test_every_statement_is_plain_enough_for_postgresql() -> None:
    import sqlalchemy as sql
    from sqlalchemy.dialects import postgresql

    from mezzotint.store import index

    for table in (index._PICTURES, index._METRICS):
        assert "CREATE TABLE" in str(sql.schema.CreateTable(table).compile(dialect=postgresql.dialect()))
    asked = sql.select(index._PICTURES).where(index._PICTURES.c.prompt.icontains("a", autoescape=True))
    assert "ILIKE" in str(asked.compile(dialect=postgresql.dialect()))
