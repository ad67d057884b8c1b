"""A server on a slow toy, in a process of its own, for tests that kill it. Arguments: store, port."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from mezzotint.serve.run import run_server
from mezzotint.serve.settings import ServeSettings
from support.toy import Toy

if __name__ == "__main__":
    slow = Toy(before=lambda x, timestep, text: time.sleep(0.02))
    settings = ServeSettings(models=("toy",), mode="exact", store=Path(sys.argv[1]), port=int(sys.argv[2]))
    run_server(settings, lambda source: slow)
