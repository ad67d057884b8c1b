"""The policy: who shares a network call."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from mezzotint.engine.batcher import PATIENCE, Batcher

BUDGET = 8


@dataclass
class Limits:
    most: int = BUDGET

    def budget(self, lane: str) -> int:
        return self.most

    def padded_rows(self, lane: str, rows: int) -> int:
        return bucket(rows)


@dataclass(eq=False)
class Item:
    lane: str
    costs: list[int]  # rows of each of its calls
    arrival: int = 0
    ran: list[int] = field(default_factory=list)  # ticks

    @property
    def rows(self) -> int:
        return self.costs[len(self.ran)]


def bucket(rows: int) -> int:
    return 1 << (rows - 1).bit_length()


items = st.builds(
    Item,
    st.sampled_from("AAABC"),
    st.lists(st.sampled_from([1, 2]), min_size=1, max_size=9),
    st.integers(0, 20),
)


def play(items: list[Item]) -> list[list[Item]]:
    """Items arrive at their ticks and leave when done; who ran in each tick."""
    batcher: Batcher[Item] = Batcher(Limits())
    coming, batches = sorted(items, key=lambda item: item.arrival), list[list[Item]]()
    while coming or len(batcher):
        while coming and coming[0].arrival <= len(batches):
            batcher.add(coming.pop(0))
        batch = batcher.take()
        assert bool(batch) == bool(len(batcher))
        assert sum(item.rows for item in batch) <= BUDGET
        for item in batch:
            item.ran.append(len(batches))
            if len(item.ran) == len(item.costs):
                batcher.remove(item)
        batches.append(batch)
    return batches


@given(st.lists(items, max_size=30))
def test_everyone_finishes_in_batches_of_one_lane(everyone: list[Item]) -> None:
    batches = play(everyone)
    assert all(len({item.lane for item in batch}) <= 1 for batch in batches)
    assert all(len(item.ran) == len(item.costs) for item in everyone)


@given(st.lists(items, max_size=30))
def test_nobody_is_overtaken_and_at_most_the_budget_is_in_flight(everyone: list[Item]) -> None:
    batches = play(everyone)
    for lane in "ABC":
        queue = sorted((item for item in everyone if item.lane == lane), key=lambda item: item.arrival)
        begins = [item.ran[0] for item in queue]
        assert begins == sorted(begins)
        for tick in range(len(batches)):
            assert sum(item.ran[0] <= tick <= item.ran[-1] for item in queue) <= BUDGET


@given(st.lists(items, min_size=1, max_size=30))
def test_no_lane_starves(everyone: list[Item]) -> None:
    """With L lanes each runs at least every PATIENCE + L ticks while it has work."""
    batches = play(everyone)
    for lane in "ABC":
        waited = 0
        for tick, batch in enumerate(batches):
            works = any(i.lane == lane and i.arrival <= tick <= i.ran[-1] for i in everyone)
            waited = waited + 1 if works and batch[0].lane != lane else 0
            assert waited < PATIENCE + 3


def test_a_long_run_does_not_block_another_size() -> None:
    long, short = Item("A", [2] * 1000), Item("B", [2] * 5, arrival=1)
    play([long, short])
    assert short.ran[-1] < 5 * (PATIENCE + 2)


def test_the_oldest_picks_the_lane() -> None:
    batches = play([Item("B", [2]), Item("A", [2]), Item("B", [2])])
    assert [[item.lane for item in batch] for batch in batches] == [["B", "B"], ["A"]]


def test_a_guided_picture_is_never_split() -> None:
    batches = play([Item("A", [1])] + [Item("A", [2]) for _ in range(4)])
    assert [[item.rows for item in batch] for batch in map(_reset, batches)] == [[1, 2, 2, 2], [2]]


def _reset(batch: list[Item]) -> list[Item]:
    for item in batch:
        item.ran.clear()
    return batch


def test_padding_beyond_a_third_is_not_worth_it() -> None:
    for rows, sent in {2: 2, 3: 3, 5: 4, 6: 6, 9: 8, 10: 8, 11: 11, 18: 16, 20: 16, 22: 22, 32: 32}.items():
        batcher: Batcher[Item] = Batcher(Limits(32))
        for _ in range(rows):
            batcher.add(Item("A", [1]))
        assert len(batcher.take()) == sent
        assert 3 * (bucket(sent) - sent) <= bucket(sent)


def test_the_oldest_runs_even_where_the_budget_is_too_small_for_it() -> None:
    batcher: Batcher[Item] = Batcher(Limits(1))
    batcher.add(Item("A", [2]))
    assert len(batcher.take()) == 1


def test_items_can_leave_from_anywhere() -> None:
    batcher: Batcher[Item] = Batcher(Limits())
    first, second = Item("A", [2]), Item("A", [2])
    batcher.add(first)
    batcher.add(second)
    assert first in batcher
    assert not batcher.remove(first)
    assert first not in batcher
    assert list(batcher) == batcher.take() == [second]
    assert batcher.remove(second)
    assert batcher.take() == []
