"""For `make links`, which asks whether the pages that the book leads to still exist: it
sees the links in raw HTML, too (ledger, statements), and asks for a DOI at its registry
because many publishers answer no program.
"""

import re
from html import unescape

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

HREF = re.compile(r'<a [^>]*?href="(https?://[^"]+)"')
DOI, REGISTRY = "https://doi.org/10.", "https://doi.org/api/handles/10."


class RawLinks(SphinxPostTransform):
    """Add the links of raw HTML as nodes, just before Sphinx collects links."""

    builders = ("linkcheck",)
    default_priority = 790

    def run(self):
        for node in list(self.document.findall(nodes.raw)):
            for address in HREF.findall(node.astext()):
                self.document += nodes.reference("", "", refuri=unescape(address))


def setup(app):
    app.add_post_transform(RawLinks)
    app.connect("linkcheck-process-uri", registered)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def registered(app, address):
    """The registry's answer for a DOI, else the address itself."""
    return address.replace(DOI, REGISTRY, 1)
