"""One engine a model: opened on first use, and given up when another needs the room."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from mezzotint.engine import Engine, Mode, Network
from mezzotint.engine.batcher import EXACT_ROWS
from mezzotint.planning import Plan
from mezzotint.request import Request
from mezzotint.serve.errors import UnknownModelError

OpenNetwork = Callable[[str], Network]  # a source, as `open_model` takes it


class EngineHost:
    """A model with its engine, whose own thread alone touches the network."""

    def __init__(self, name: str, network: Network, mode: Mode, weight: int) -> None:
        self.name, self.network, self.mode, self.weight = name, network, mode, weight
        self.engine = Engine(network, mode)
        self.users = 0  # pictures, and threads that ask it something; under the lock of `EngineHosts`
        self.load = 0.0  # rows that its pictures take of a call, likewise
        self.cost_done = 0.0
        self.used = time.monotonic()
        rows = max(2, network.max_rows_at(*self._latents(network.default_size)))
        rows = min(rows, EXACT_ROWS) if mode == "exact" else rows
        self.window = rows + max(2, rows // 4)  # a few more, so that no call goes with gaps
        self._door = threading.Lock()

    def check(self, request: Request) -> Plan:
        """What would be done. RequestError or ModelError. Any thread may ask.

        Terms, adapters and words open files and networks: one thread at a time does that.
        """
        if request.terms.steers or request.lora or request.words or request.init:
            with self._door:
                return self.engine.check(request)
        return self.engine.check(request)

    def cost(self, request: Request, plan: Plan) -> float:
        """Rows of the network in all, in rows of the model's own size."""
        size = self.network.default_size
        width, height = request.width or size[0], request.height or size[1]
        return plan.rows * (width * height) / (size[0] * size[1])

    @property
    def seconds_a_cost(self) -> float | None:
        """Measured since the model was opened; None before the first picture."""
        return self.engine.stats.busy / self.cost_done if self.cost_done else None

    def has_room(self, rows: float) -> bool:
        """Whether a picture that takes so many rows of a call should go to the engine now."""
        return not self.load or self.load + rows <= self.window

    def _latents(self, size: tuple[int, int]) -> tuple[int, int]:
        width, height = size
        return height // self.network.vae_factor, width // self.network.vae_factor


class EngineHosts:
    """The models of a server. `acquire` may take seconds, since it opens one; the others return at once."""

    def __init__(
        self, sources: dict[str, str], open_network: OpenNetwork, mode: Mode, max_memory: int = 0
    ) -> None:
        self.sources = sources
        self.mode = mode
        self._open_network = open_network
        self._limit = max_memory or psutil.virtual_memory().total // 2
        self._hosts: dict[str, EngineHost] = {}
        self._door = threading.RLock()  # of the table
        self._opening = threading.Lock()  # one model at a time

    def source(self, name: str) -> str:
        """What opens as this name. UnknownModelError names those that are served."""
        if name not in self.sources:
            known = ", ".join(self.sources)
            raise UnknownModelError(f"model {name[:100]!r} is not served here; there are: {known}")
        return self.sources[name]

    def loaded(self) -> list[EngineHost]:
        """Those that are open, the least recently used first."""
        with self._door:
            return sorted(self._hosts.values(), key=lambda host: host.used)

    def find(self, name: str) -> EngineHost | None:
        """The host of a model that is open."""
        with self._door:
            return self._hosts.get(name)

    def acquire(self, name: str, rows: float = 0.0) -> EngineHost | None:
        """The host of a model, opened where it is not; None where others that draw leave it no room now.

        It stays open until `release`. `rows`: of a picture that its engine will be given.
        """
        source = self.source(name)
        if host := self._pinned(name, rows):
            return host
        with self._opening:
            if host := self._pinned(name, rows):
                return host
            weight = weight_of(source)
            if not self._make_room(weight):
                return None
            host = EngineHost(name, self._open_network(source), self.mode, weight)
            with self._door:
                self._hosts[name] = host
            return self._pinned(name, rows)

    def release(self, host: EngineHost, rows: float = 0.0) -> None:
        """Undo one `acquire`."""
        with self._door:
            host.users -= 1
            host.load = max(0.0, host.load - rows) if host.users else 0.0
            host.used = time.monotonic()

    def _pinned(self, name: str, rows: float) -> EngineHost | None:
        """An open host, counted as used. One whose engine broke down is forgotten."""
        with self._door:
            host = self._hosts.get(name)
            if host and host.engine.closed:
                del self._hosts[name]
                return None
            if host:
                host.users += 1
                host.load += rows
            return host

    def close(self, drain: bool) -> None:
        """Close all engines; `drain`: after they finished what they have."""
        for host in self.loaded():
            host.engine.close(drain)
        with self._door:
            self._hosts.clear()

    def _make_room(self, weight: int) -> bool:
        """Close what was not used for longest and draws nothing. A model alone always has room."""
        while True:
            with self._door:
                if not self._hosts or sum(h.weight for h in self._hosts.values()) + weight <= self._limit:
                    return True
                idle = [host for host in self.loaded() if not host.users]
                if not idle:
                    return False
                del self._hosts[idle[0].name]
            idle[0].engine.close()


def weight_of(source: str) -> int:
    """Bytes of a model's weights on the disk; 0 where it is not there yet, such as a hub id."""
    from mezzotint.models import BUNDLED

    path = BUNDLED[source].path if source in BUNDLED else Path(source).expanduser()
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*.safetensors")) if path.is_dir() else 0
