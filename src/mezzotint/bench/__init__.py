"""The bench: Mezzotint against `diffusers.StableDiffusionPipeline`, interleaved, on the same work.

Same weights, dtype, steps, samplers, initial noise and thread count; only one side runs at a time.
"""

from mezzotint.bench.report import report
from mezzotint.bench.run import run
from mezzotint.bench.settings import BenchSettings

__all__ = ["BenchSettings", "report", "run"]
