"""What a page loads, and when: scripts wait until it is parsed, pictures until they are
near, and the theme's style sheet leaves out the names of the 1,900 icons that no page
shows, a third of its bytes.
"""

import re
from pathlib import Path

# An inline script of the theme needs it at once.
BLOCKING = "documentation_options.js"
# What may scroll. The theme makes each reachable by keyboard or not, after reading its
# width: the attribute must be there, or every change costs one more layout of the page.
SCROLLS = re.compile(r'(<pre|<div class="output[^"]*")(?=>)')
# Sizes of pictures: docutils < 0.22 writes the first form alone, later ones the second.
STYLE = re.compile(r'(<img [^>]*style="width: (\d+)px; height: (\d+)px;")')
SIZED = re.compile(r'<img (?=[^>]* width="\d+")(?=[^>]* height="\d+")(?![^>]* loading)')
# A rule of Font Awesome that gives icons their sign, and nothing else.
ICONS = re.compile(
    r"(?<=})((?:\.fa-[a-z0-9-]+(?::+before)?,?)+)\{(?:--fa|content|--fa--fa):[^{}]*\}"
)
THEME = "_static/styles/pydata-sphinx-theme.css"


def setup(app):
    app.connect("html-page-context", lighten, priority=900)  # after others add scripts
    app.connect("build-finished", drop_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def lighten(app, page, template, context, tree):
    body = context.get("body", "")
    body = STYLE.sub(r'\1 width="\2" height="\3"', body)
    body = SIZED.sub(r'\g<0>loading="lazy" ', body)
    context["body"] = SCROLLS.sub(r'\1 tabindex="-1"', body)
    scripts = context["script_files"]
    if page != "search":  # whose scripts need the others at once
        scripts = [deferred(script) for script in scripts]
    context["script_files"] = scripts


def deferred(script):
    """The same script, to run when the page is parsed; inline ones run at once."""
    if not script.filename or BLOCKING in script.filename:
        return script
    attributes = {**script.attributes, "defer": "defer"}
    return type(script)(script.filename, priority=script.priority, **attributes)


def drop_icons(app, problem):
    """Leave out of the theme's style sheet the icons that no page and script names."""
    sheet = Path(app.outdir, THEME)
    if problem is None and sheet.is_file():
        site = sheet.parents[2]
        scripts = ("_static/*.js", "_static/scripts/*-theme.js")
        files = [file for kind in ("**/*.html", *scripts) for file in site.glob(kind)]
        texts = (file.read_text(encoding="utf-8") for file in files)
        used = {name for text in texts for name in re.findall(r"\bfa-[a-z0-9-]+", text)}
        css = sheet.read_text(encoding="utf-8")
        sheet.write_text(without(css, used), encoding="utf-8")


def without(css, used):
    """A style sheet without the rules of icons that are not among the `used` names."""

    def kept(rule):
        return rule[0] if used & set(re.findall(r"fa-[a-z0-9-]+", rule[1])) else ""

    return ICONS.sub(kept, css)
