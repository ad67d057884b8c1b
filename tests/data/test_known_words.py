"""What a trained model says that it knows."""

from __future__ import annotations

from mezzotint.data.scenes import known_words


def row(name: str, *aliases: str, tags: tuple[str, ...] = ()) -> dict[str, object]:
    return {"object": name, "aliases": list(aliases), "tags": list(tags)}


def test_known_words_are_of_the_objects_that_were_learned() -> None:
    rows = [row("cat", "house pet", tags=("whiskers",)), row("cat", "cat"), row("abacus", tags=("beads",))]
    known = known_words(rows, ["cat"])
    assert list(known.objects) == ["cat"]
    assert {"house pet", "kitten"} <= set(known.objects["cat"])  # of the set, and of data/words.py
    assert all(known.knows(text) for text in ("a cat", "whiskers", "teal", "flat vector", "in space", "two"))
    assert not known.knows("an abacus with beads")
