"""The built site, served as GitHub Pages would, and a browser without a network."""

import http.server
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import yaml
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# The theme says this on every page, to no harm.
HARMLESS = "theme mode", "auto mode using"
# Names of all pages of the book, and of its chapters.
PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for folder in ("book", "chapters")
    for path in SITE.glob(f"{folder}/*.html")
)
CHAPTERS = [page for page in PAGES if page.startswith("chapters/")]


@pytest.fixture(scope="session", autouse=True)
def site_is_built():
    if not CHAPTERS:
        pytest.fail("There is no site in _build/html: run make book first.")


@pytest.fixture(scope="session")
def repository():
    """The address of the repository, from the one place where it stands."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return config["repository"]["url"]


@pytest.fixture(scope="session")
def address(repository):
    """Address of the served site; unknown paths get 404.html, as on GitHub Pages."""
    prefix = f"/{urlsplit(repository).path.rsplit('/', 1)[-1]}/"

    class Pages(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *args):
            super().__init__(*args, directory=str(SITE))

        def do_GET(self):
            self.path = self.path.removeprefix(prefix.rstrip("/"))
            super().do_GET()

        def send_error(self, code, message=None, explain=None):
            body = (SITE / "404.html").read_bytes()
            self.send_response(code)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{prefix}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.fail("Chromium is not installed: on Debian, apt-get install chromium.")
    with sync_playwright() as playwright:
        cut_off = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", cut_off]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def visit(browser, address):
    """A function that opens a page of the site with every other host cut off.

    `with visit("book/index.html", width=390, scheme="dark") as page:` gives
    Playwright's page; `page.seen` has the `foreign` requests, the `errors` of the
    console, the `failed` addresses, and the `files` of the site that it loaded.
    """
    contexts = {}

    def context(scheme, javascript):
        if (scheme, javascript) not in contexts:
            contexts[scheme, javascript] = browser.new_context(
                color_scheme=scheme, java_script_enabled=javascript
            )
        return contexts[scheme, javascript]

    @contextmanager
    def open_page(path, width=1280, scheme="light", javascript=True):
        page = context(scheme, javascript).new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.seen = watch(page, address)
        page.goto(address + path, wait_until="load")
        if javascript:
            page.evaluate("() => window.MathJax?.startup?.promise")
            page.evaluate("() => document.fonts.ready")
        yield page
        page.close()

    return open_page


def watch(page, address):
    """Record what a page asks for, what fails, and what its console says."""
    seen = SimpleNamespace(foreign=[], errors=[], failed=[], files=set())

    def request(request):
        if request.url.startswith(address):
            seen.files.add(urlsplit(request.url).path)
        elif not request.url.startswith("data:"):
            seen.foreign.append(request.url)

    def response(response):
        if response.status >= 400:
            seen.failed.append(response.url)

    def console(message):
        harmless = any(part in message.text for part in HARMLESS)
        if message.type in ("error", "warning") and not harmless:
            seen.errors.append(message.text)

    page.on("request", request)
    page.on("response", response)
    page.on("console", console)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    return seen
