"""Who is next."""

from __future__ import annotations

import random

from mezzotint.request import Request
from mezzotint.serve.fair import FairQueue
from mezzotint.serve.jobs import JobItem, PictureJob


def job(client: str, pictures: int, priority: int = 0, cost: float = 1.0, model: str = "m") -> PictureJob:
    request = Request()
    items = [JobItem(n, model, request, 1, cost) for n in range(pictures)]
    return PictureJob(client, items, priority=priority)


def queued(*jobs: PictureJob) -> FairQueue:
    queue = FairQueue()
    for one in jobs:
        queue.push(one, one.items)
    return queue


def order(queue: FairQueue) -> list[PictureJob]:
    found = []
    while ticket := queue.pop():
        found.append(ticket.job)
    return found


def test_one_picture_does_not_wait_for_ten_thousand_of_another() -> None:
    queue = queued(many := job("a", 10_000))
    for _ in range(100):
        queue.pop()
    queue.push(one := job("b", 1), one.items)
    assert queue.ahead(one) == (0, 0.0) or queue.ahead(one)[0] <= 1
    assert one in [ticket.job for ticket in (queue.pop(), queue.pop()) if ticket]
    assert len(queue) == 9900 - 1 and many.items


def test_clients_share_by_cost_while_all_wait() -> None:
    queue = queued(job("a", 300, cost=3.0), job("b", 300), job("c", 300))
    spent = {"a": 0.0, "b": 0.0, "c": 0.0}
    for _ in range(210):
        ticket = queue.pop()
        assert ticket
        spent[ticket.job.client] += ticket.item.cost
    assert max(spent.values()) - min(spent.values()) <= 3


def test_who_rested_has_no_claim_to_the_past() -> None:
    queue = queued(job("a", 1000))
    for _ in range(500):
        queue.pop()
    queue.push(late := job("b", 100), late.items)
    first = [ticket.job.client for ticket in (queue.pop() for _ in range(40)) if ticket]
    assert 18 <= first.count("b") <= 22


def test_priorities_order_a_clients_own_jobs_and_hold_up_no_other() -> None:
    first, second, urgent = job("a", 2), job("a", 2), job("a", 2, priority=1)
    assert order(queued(first, second, urgent)) == [urgent, urgent, first, first, second, second]
    many, one = job("a", 100, priority=9), job("b", 1, priority=-9)
    assert one in order(queued(many, one))[:2]


def test_a_model_without_room_holds_up_no_other() -> None:
    queue = queued(job("a", 3, model="full"), other := job("a", 1, model="free"))
    ticket = queue.pop(lambda item: item.model == "free")
    assert ticket and ticket.job is other
    assert queue.pop(lambda item: False) is None and len(queue) == 3


def test_ahead_is_what_comes_before() -> None:
    draw = random.Random(3)
    jobs = [
        job(draw.choice("abc"), draw.randint(1, 9), draw.choice([0, 0, 1]), draw.choice([1.0, 2.0]))
        for _ in range(30)
    ]
    queue = queued(*jobs)
    places = {one.id: queue.ahead(one)[0] for one in jobs}
    came = order(queue)
    assert places == {one.id: came.index(one) for one in jobs}


def test_remove_takes_out_one_job_and_leaves_the_others() -> None:
    one, two = job("a", 3), job("a", 2)
    queue = queued(one, two)
    assert queue.remove(one) == one.items and queue.remove(one) == []
    assert order(queue) == [two, two] and len(queue) == 0
