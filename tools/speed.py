"""Measure how fast the built pages appear on a slow phone: a table, a line per page.

usage: python -m tools.speed [PAGE ...]      as in: chapters/lenet.html

The network is Lighthouse's slow 4G, and the processor is slowed down to a phone of the
middle of the market: fast machines more than slow ones, in the ranges that Lighthouse
gives, https://github.com/GoogleChrome/lighthouse/blob/main/docs/throttling.md. Of three
loads the best counts, because the machine may be busy. Each line has the bytes
and requests of a page, its first and its largest contentful paint, and its total
blocking time from the first paint on: what tasks last beyond 50 ms each.

Fails when a page exceeds a limit. It wants a quiet machine, so no test runs it; the
tests limit what decides the times: bytes and scripts in the head.
"""

import sys
from typing import NamedTuple

import numpy as np

from tools.browser import SITE, chromium, served

LARGEST, BLOCKING = 2500, 600  # limits in milliseconds
LOADS = 3
PHONE = {"viewport": {"width": 412, "height": 823}, "device_scale_factor": 1.75}
SLOW_4G = {
    "offline": False,
    "latency": 150,  # milliseconds
    "downloadThroughput": 1_600_000 / 8,  # bytes a second
    "uploadThroughput": 750_000 / 8,
}
# How fast a machine is (Lighthouse's BenchmarkIndex), and how often slower to make it.
SLOWDOWN = {150: 1, 800: 2, 1300: 3, 2000: 6}
INDEX = """() => {
    const inOneSecond = (work) => {
        const end = performance.now() + 500;
        let count = 0;
        while (performance.now() < end) work(count++);
        return 2 * count;
    };
    const texts = inOneSecond(() => {
        let text = "";
        for (let i = 0; i < 10_000; i++) text += "a";
        return text.length;
    });
    const one = [...Array(100_000).keys()], other = [...one];
    const copies = inOneSecond((count) => {
        const [from, to] = count % 2 ? [other, one] : [one, other];
        for (let i = 0; i < from.length; i++) to[i] = from[i];
    });
    return (texts / 10 + copies / 10) / 2;
}"""
OBSERVE = """
window.seen = {largest: null, tasks: []};
new PerformanceObserver(list => { seen.largest = list.getEntries().at(-1); })
    .observe({type: "largest-contentful-paint", buffered: true});
new PerformanceObserver(list => { seen.tasks.push(...list.getEntries()); })
    .observe({type: "longtask", buffered: true});
"""
READ = """() => {
    const [first] = performance.getEntriesByName("first-contentful-paint");
    const beyond = ({startTime, duration}) =>
        Math.max(0, Math.min(duration, startTime + duration - first.startTime) - 50);
    return {
        first: first.startTime,
        largest: seen.largest.startTime,
        element: seen.largest.element?.localName ?? "gone",
        blocking: seen.tasks.map(beyond).reduce((sum, part) => sum + part, 0),
    };
}"""


class Load(NamedTuple):
    """One load of a page; times in milliseconds."""

    bytes: int
    requests: int
    first: float
    largest: float
    blocking: float
    element: str


def slowdown(browser):
    """How often slower this machine has to be, the best of three measurements."""
    page = browser.new_page()
    index = max(page.evaluate(INDEX) for _ in range(LOADS))
    page.close()
    rate = float(np.interp(index, [*SLOWDOWN], [*SLOWDOWN.values()]))
    print(f"BenchmarkIndex {index:.0f}: processor slowed down {rate:.1f} times")
    return rate


def load(browser, address, rate):
    """Open a page with an empty cache, on a slow processor and a slow network."""
    context = browser.new_context(**PHONE)
    page = context.new_page()
    page.add_init_script(OBSERVE)
    devtools, sizes = context.new_cdp_session(page), []
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", SLOW_4G)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": rate})
    devtools.on(
        "Network.loadingFinished",
        lambda event: sizes.append(event["encodedDataLength"]),
    )
    page.goto(address, wait_until="networkidle", timeout=60_000)
    page.wait_for_timeout(1000)
    found = page.evaluate(READ)
    context.close()
    return Load(bytes=int(sum(sizes)), requests=len(sizes), **found)


def best(loads):
    """The loads' common figures and the least of each time."""
    loads = list(loads)
    times = ("first", "largest", "blocking")
    least = {name: min(getattr(load, name) for load in loads) for name in times}
    return loads[0]._replace(**least)


def main(pages):
    pages = pages or ["book/index.html", *chapters()]
    slow = []
    with chromium() as browser, served() as address:
        rate = slowdown(browser)
        print(f"{'':31} kB files  first largest blocked")
        for page in pages:
            found = best(load(browser, address + page, rate) for _ in range(LOADS))
            print(
                f"{page:29} {found.bytes / 1000:4.0f} {found.requests:5} "
                f"{found.first:6.0f} {found.largest:7.0f} {found.blocking:7.0f}  "
                f"{found.element}",
                flush=True,
            )
            if found.largest > LARGEST or found.blocking > BLOCKING:
                slow.append(page)
    if slow:
        sys.exit(f"error: above {LARGEST} or {BLOCKING} ms: {', '.join(slow)}")


def chapters():
    return sorted(
        path.relative_to(SITE).as_posix() for path in SITE.glob("chapters/*.html")
    )


if __name__ == "__main__":
    main(sys.argv[1:])
