"""This machine's Chromium, and the built site as a static host would serve it."""

import gzip
import http.server
import os
import shutil
import sys
import threading
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / os.environ.get("BOOK_SITE", "_build/html")
NAMES = (
    "chromium-headless-shell",  # without windows, half of the work
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
)
TEXT = {".html", ".css", ".js", ".svg"}


@contextmanager
def chromium(*options):
    """The browser; SystemExit says what to install where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        sys.exit("error: Chromium is not installed: on Debian, apt install chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", *options]
        )
        yield browser
        browser.close()


@cache
def sent(path):
    """What goes over the wire: hosts compress text, not pictures and fonts."""
    body = path.read_bytes()
    return gzip.compress(body, 6) if path.suffix in TEXT else body


@contextmanager
def served(prefix="/"):
    """Address of the site below `prefix`; unknown paths get 404.html."""

    class Pages(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            name = self.path.removeprefix(prefix.rstrip("/"))
            path = Path(self.translate_path(name))
            path = path / "index.html" if path.is_dir() else path
            found = path.is_file()
            path = path if found else SITE / "404.html"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", self.guess_type(path))
            self.send_header("Content-Length", str(len(sent(path))))
            if path.suffix in TEXT:
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            with suppress(ConnectionError):  # the reader has left
                self.wfile.write(sent(path))

        def log_message(self, *args):
            pass

    def handler(*args):
        return Pages(*args, directory=str(SITE))

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{prefix}"
    server.shutdown()
    server.server_close()
