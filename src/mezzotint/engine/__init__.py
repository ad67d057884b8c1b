"""The engine: requests join and leave one network call at a time, and no picture depends on its company."""

from mezzotint.engine.batcher import Mode, Stats
from mezzotint.engine.engine import Engine
from mezzotint.engine.network import Network
from mezzotint.engine.trajectory import Progress

__all__ = ["Engine", "Mode", "Network", "Progress", "Stats"]
