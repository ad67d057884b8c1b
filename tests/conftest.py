"""How the suite runs: one core for each worker of pytest-xdist; an older processor, imitated as far as it goes."""

from __future__ import annotations

import os
from collections.abc import Iterator

CORES = (
    sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
)
MAX_WORKERS = 4  # each holds torch and diffusers: about 1.5 GB

# Before numpy, torch and OpenVINO are imported: workers that each use every core wait for one another.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
if WORKER:
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORES[int(WORKER.removeprefix("gw")) % len(CORES)]})

import pytest  # noqa: E402

from mezzotint.models.openvino import network  # noqa: E402

# Their modules take longest, so they are handed out first: else one worker ends with them while the others wait.
LONGEST = ("docs", "bench", "train")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker for each usable core; 0 is this process alone."""
    workers = min(MAX_WORKERS, len(CORES))
    return workers if workers > 1 else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where a test sets no cache, all workers share this one: each graph is built once, the user's own is left alone."""
    base = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str((base.parent if WORKER else base) / "shared-cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _older_processor() -> None:
    """Where torch is kept to AVX2, OpenVINO computes in float32."""
    if os.environ.get("ATEN_CPU_CAPABILITY") == "avx2":
        name, _ = network.machine()
        network.machine = lambda: [name, "FP32 INT8"]
