"""The built site, served as GitHub Pages would, and a browser without a network."""

from contextlib import contextmanager
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe

from tools.browser import ROOT, SITE, chromium, served

# Names of all pages of the book, and of its chapters.
PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for folder in ("book", "chapters")
    for path in SITE.glob(f"{folder}/*.html")
)
# Milliseconds that `act` takes, the layout after it included: the best of five tries,
# since what else the machine does at that moment is not the page's. The limits are
# for a machine that needs 100 for `known`, two cores without AVX512; a slower one, or
# one with other work, may take longer in proportion.
BEST = """() => {
    const fastest = act => Math.min(...Array.from({ length: 5 }, () => {
        const start = performance.now();
        act();
        document.body.offsetHeight;
        return performance.now() - start;
    }));
    const known = () => {
        const box = document.createElement("div");
        for (let n = 0; n < 3e3; n++) {
            const place = document.createElement("span");
            place.textContent = n;
            box.append(place);
        }
        document.body.append(box);
        document.body.offsetHeight;
        box.remove();
        box.title = Array.from({ length: 5e5 }, (_, n) => Math.sqrt(n)).at(-1);
    };
    window.best = act => fastest(act) * Math.min(1, 100 / fastest(known));
}"""
LIVE = ".live-figure[data-state=live] .live"
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
    """Address of the site, served below the name of the repository as on GitHub."""
    with served(f"/{urlsplit(repository).path.rsplit('/', 1)[-1]}/") as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    with chromium("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1") as found:
        yield found


@pytest.fixture
def sheet(browser):
    """A function that shows figures alone on an empty page and returns the page, whose
    scripts must not fail."""
    pages = []

    def show(*shown, width=1000, theme="light", **options):
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        pages.append(page)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        head = f"<!doctype html><html lang=en data-theme={theme}><title>x</title>"
        body = "".join(figure._repr_html_() for figure in shown)
        page.set_content(f"{head}<main>{body}</main>")
        return page

    yield show
    for page in pages:
        assert page.errors == []
        page.close()


@pytest.fixture
def page(sheet, request):
    """The FIGURE of a module alone on a high phone, once it answers."""
    page = sheet(request.module.FIGURE, width=390, has_touch=True)
    page.set_viewport_size({"width": 390, "height": 1800})
    page.wait_for_selector(LIVE)
    return page


@pytest.fixture(scope="session")
def visit(browser, address):
    """A function that opens a page of the site with every other host cut off.

    `with visit("book/index.html", width=390, scheme="dark") as page:` gives
    Playwright's page, once it is loaded and its fonts are there, or after the earlier
    event that `wait` names; `page.seen` has the `foreign` requests, the `errors` of the
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
    def open_page(path, width=1280, scheme="light", javascript=True, wait="fonts"):
        page = context(scheme, javascript).new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.seen = watch(page, address)
        page.goto(address + path, wait_until=wait.replace("fonts", "load"))
        if javascript and wait == "fonts":
            page.evaluate("() => document.fonts.ready")
        yield page
        page.close()

    return open_page


def assert_accessible(page, part=None):
    """axe finds no violation of WCAG 2.1, levels A and AA, on the page or in `part`."""
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
    # Only violations are described; nodes that pass would cost a third of the time.
    options = {"runOnly": rules, "resultTypes": ["violations"]}
    found = Axe().run(page, context=part, options=options)
    assert found.violations_count == 0, found.generate_report()


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
        if message.type in ("error", "warning"):
            seen.errors.append(message.text)

    page.on("request", request)
    page.on("response", response)
    page.on("console", console)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    return seen
