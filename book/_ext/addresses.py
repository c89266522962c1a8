"""What the address of the repository decides: the address of the site and its 404 page.

GitHub Pages serves https://github.com/OWNER/NAME at https://OWNER.github.io/NAME/.
"""

from urllib.parse import urlsplit

MISSING = """<h1>This page does not exist</h1>
<p>The address may be mistyped, or a chapter has moved. Go to the
<a href="{root}book/index.html">first page</a>, look at the list of chapters beside this
text, or <a href="{root}search.html">search the book</a>.</p>"""


def setup(app):
    app.connect("config-inited", set_addresses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def set_addresses(app, config):
    """Fill in every setting that follows from repository.url."""
    repository = urlsplit(config.html_theme_options["repository_url"])
    owner, name = repository.path.strip("/").split("/")
    config.html_baseurl = f"https://{owner.lower()}.github.io/{name}/"
    config.ogp_site_url = config.html_baseurl
    config.notfound_urls_prefix = f"/{name}/"
    config.notfound_context = {
        "title": "Page not found",
        "body": MISSING.format(root=config.notfound_urls_prefix),
    }
