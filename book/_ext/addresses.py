"""What the address of the repository decides on the site.

That is the address of the site, its 404 page, and where three buttons lead.

Colab opens the notebooks of the release, whose set-up cell fetches the library of the
same release. The issue button opens the form "A statement is wrong", the edit button
what people write: the text of a chapter, not its notebook.
"""

import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

sys.path.insert(0, str(Path(__file__).parents[2]))  # Sphinx has the root nowhere
from tools import release

MISSING = """<h1>This page does not exist</h1>
<p>The address may be mistyped, or a chapter has moved. Go to the
<a href="{root}book/index.html">first page</a>, look at the list of chapters beside this
text, or <a href="{root}search.html">search the book</a>.</p>"""
EDIT = {
    "type": "link",
    "text": "Suggest a change",
    "tooltip": "Edit the text of this page",
    "icon": "fas fa-pencil-alt",
    "label": "source-edit-button",
}
FORM = {"text": "Report an error", "tooltip": "A statement is wrong"}


def setup(app):
    app.connect("config-inited", set_addresses)
    app.connect("html-page-context", set_form, priority=900)  # after the theme's
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def set_addresses(app, config):
    """Fill in every setting that follows from repository.url and the version."""
    config.html_theme_options["repository_branch"] = release.tag()
    config.html_baseurl = release.site()
    config.ogp_site_url = config.html_baseurl
    config.notfound_urls_prefix = urlsplit(config.html_baseurl).path
    config.notfound_context = {
        "title": "Page not found",
        "body": MISSING.format(root=config.notfound_urls_prefix),
    }


def set_form(app, pagename, templatename, context, doctree):
    """Let the theme's issue button lead to the form, with the page filled in, and put
    a button beside it that leads to the page's text."""
    page = quote(f"{pagename}.html", safe="")
    url = f"{release.address()}/issues/new?template=statement.yml&page={page}"
    text = Path(f"{pagename.replace('chapters/', 'book/chapters/')}.md")
    edit = {"url": f"{release.address()}/edit/main/{text}"}
    for button in context.get("header_buttons", []):
        parts = button.get("buttons", [button])
        for part in list(parts):
            if part.get("label") == "source-issues-button":
                part |= FORM | {"url": url}
                if (release.ROOT / text).is_file():
                    parts.append(EDIT | edit)
