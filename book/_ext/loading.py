"""What a page loads, and when: scripts wait until it is parsed, pictures until they are
near, and the style sheets of the theme leave out the rules that concern no page: two
thirds of their bytes, for which the first paint would wait.
"""

import re
from itertools import pairwise
from pathlib import Path

from tinycss2 import (
    parse_component_value_list,
    parse_rule_list,
    parse_stylesheet,
    serialize,
)

# An inline script of the theme needs it at once.
BLOCKING = "documentation_options.js"
# What may scroll. The theme makes each reachable by keyboard or not, after reading its
# width: the attribute must be there, or every change costs one more layout of the page.
SCROLLS = re.compile(r'(<pre|<div class="output[^"]*")(?=>)')
# Sizes of pictures: docutils < 0.22 writes the first form alone, later ones the second.
STYLE = re.compile(r'(<img [^>]*style="width: (\d+)px; height: (\d+)px;")')
SIZED = re.compile(r'<img (?=[^>]* width="\d+")(?=[^>]* height="\d+")(?![^>]* loading)')
# Written for every site; of their rules, those remain whose classes some page or script
# names. Bootstrap puts the names of its tooltips together.
SHEETS = ("_static/styles/*.css", "_static/mystnb.*.css")
PAGES = ("**/*.html", "_static/*.js", "_static/scripts/[!f]*.js")  # no Font Awesome
MADE = ("bs-tooltip-",)
COMMA = parse_component_value_list(",")


def setup(app):
    app.connect("html-page-context", lighten, priority=900)  # after others add scripts
    app.connect("build-finished", drop_rules)
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


def drop_rules(app, problem):
    """Leave out of the theme's style sheets what concerns no class of any page."""
    if problem is None and app.builder.format == "html":
        site, words = Path(app.outdir), set()
        for path in (path for kind in PAGES for path in site.glob(kind)):
            words.update(re.findall(r"[\w-]+", path.read_text(encoding="utf-8")))
        for sheet in (sheet for kind in SHEETS for sheet in site.glob(kind)):
            css = sheet.read_text(encoding="utf-8")
            sheet.write_text(about(words, css), encoding="utf-8")


def about(words, css):
    """The rules of a style sheet whose classes are all among the `words`."""
    return serialize(chosen(words, parse_stylesheet(css, True, True)))


def chosen(words, rules):
    kept = []
    for rule in rules:
        if rule.type == "at-rule" and rule.lower_at_keyword in ("media", "supports"):
            rule.content = chosen(words, parse_rule_list(rule.content, True, True))
            keep = rule.content
        elif rule.type == "qualified-rule":
            selectors = [s for s in selectors_of(rule) if classes(s) <= words]
            rule.prelude = [
                token for selector in selectors for token in (*COMMA, *selector)
            ][1:]
            keep = selectors
        else:
            keep = True
        if keep:
            kept.append(rule)
    return kept


def selectors_of(rule):
    """The selectors of a rule, each as a list of tokens."""
    selectors = [[]]
    for token in rule.prelude:
        if token == ",":
            selectors.append([])
        else:
            selectors[-1].append(token)
    return selectors


def classes(selector):
    """Names of the classes that an element needs; what stands in :not() and the like
    is no condition of its own."""
    names = {
        name.value
        for dot, name in pairwise(selector)
        if dot == "." and name.type == "ident"
    }
    return {name for name in names if not name.startswith(MADE)}
