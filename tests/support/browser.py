"""A page in headless Chromium, in real time: the page itself reports to a server on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# The probe waits for two frames after every picture in sight has its pixels, then runs a script and reports.
_PROBE = """<script>addEventListener("load", async () => {
const frame = () => new Promise(requestAnimationFrame), all = () => [...document.querySelectorAll(".tile img")];
const whole = async () => { while (!all().every(i => i.complete && i.naturalWidth)) await frame();
  await frame(); await frame(); };
const said = {};
try { await whole(); said.opened = performance.now(); SCRIPT } catch (error) { said.error = String(error); }
new Image().src = "http://127.0.0.1:PORT/" + encodeURIComponent(JSON.stringify(said));
});</script></body>"""


def look(page: Path, profile: Path, script: str = "", seconds: float = 60) -> dict[str, Any]:
    """What the script put into `said`; `opened`: ms from navigation until all in sight is drawn; `wall`: s from launch."""
    told: list[dict[str, Any]] = []
    arrived = threading.Event()
    server = HTTPServer(("127.0.0.1", 0), _listener(told, arrived))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    probe = _PROBE.replace("SCRIPT", script).replace("PORT", str(server.server_port))
    probed = page.with_name("probed.html")
    probed.write_text(page.read_text().replace("</body>", probe))
    began = time.monotonic()
    process = subprocess.Popen(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
         "--no-first-run", f"--user-data-dir={profile}", "--window-size=1280,900", probed.as_uri()],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        assert arrived.wait(seconds), "the page never reported"
        assert "error" not in told[0], told[0]
        return {**told[0], "wall": time.monotonic() - began}
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its own session, so nobody else's browser
        process.wait()
        server.shutdown()
        server.server_close()
        probed.unlink()


def _listener(told: list[dict[str, Any]], arrived: threading.Event) -> Callable[..., BaseHTTPRequestHandler]:
    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/%7B"):
                told.append(json.loads(unquote(self.path[1:])))
                arrived.set()
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    return Listener
