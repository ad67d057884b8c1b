"""An older processor, imitated as far as it goes: where torch is kept to AVX2, OpenVINO computes in float32."""

from __future__ import annotations

import os

import pytest

from mezzotint.models.openvino import network


@pytest.fixture(scope="session", autouse=True)
def _older_processor() -> None:
    if os.environ.get("ATEN_CPU_CAPABILITY") == "avx2":
        name, _ = network.machine()
        network.machine = lambda: [name, "FP32 INT8"]
