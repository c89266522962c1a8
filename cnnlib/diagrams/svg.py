"""SVG that is the same in every run: rounded numbers, text as text, light and dark."""

from html import escape

# Kind: fill, edge and ink, light and dark. Light colours stand in the elements, because
# GitHub takes the style away; the style adds the dark ones.
COLOURS = {
    "paper": ("#ffffff", "none", "#16181c", "none"),
    "conv": ("#dceaf7", "#2f6fab", "#18324a", "#6aaee6"),
    "dense": ("#f6e6cf", "#9a6414", "#453013", "#e0ad62"),
    "pool": ("#dcefe0", "#2d7a4b", "#173a26", "#7fd6a0"),
    "norm": ("#ebe4f5", "#6b4ba3", "#33274d", "#b9a0e6"),
    "join": ("#ffffff", "#1c1e21", "#16181c", "#e8eaed"),
    "map": ("#f3f4f6", "#55595f", "#2a2f36", "#a9afb8"),
    "mark": ("#2f6fab", "none", "#6aaee6", "none"),
    "line": ("none", "#55595f", "none", "#a9afb8"),
    "group": ("none", "#8a9099", "none", "#6d747d"),
    "ink": ("#1c1e21", "none", "#e8eaed", "none"),
    "soft": ("#55595f", "none", "#a9afb8", "none"),
}


def _dark(prefix):
    return "".join(
        f"{prefix} .{name}{{fill:{fill};stroke:{edge}}}"
        for name, (_, _, fill, edge) in COLOURS.items()
    )


# In a page the page says whether it is dark (the site, Jupyter, Colab, VS Code); a
# picture of its own (:root) asks the reader's system.
DARK = (
    ":is(html[data-theme=dark],html[theme=dark],body[data-jp-theme-light=false],"
    "body.vscode-dark) .diagram"
)
STYLE = (
    ".diagram{max-width:100%;height:auto}"
    f"@media screen{{{_dark(DARK)}}}"
    f"@media screen and (prefers-color-scheme:dark){{{_dark('.diagram:root')}}}"
)


def number(x):
    return f"{round(x, 1):g}"


class Canvas:
    """Collects elements; coordinates are CSS pixels at the drawing's own width."""

    def __init__(self):
        self.parts, self.words = [], []

    def add(self, tag, kind, inside="", **attributes):
        fill, edge, *_ = COLOURS[kind]
        values = {"class": kind, "fill": fill, **attributes}
        if edge != "none":
            values = {"stroke": edge, **values}
        text = " ".join(
            f'{name.replace("_", "-")}="{v if isinstance(v, str) else number(v)}"'
            for name, v in values.items()
        )
        self.parts.append(f"<{tag} {text}>{inside}</{tag}>")

    def box(self, kind, x, y, width, height, about="", **more):
        """A rectangle with its middle at x and its top at y; `about` is its tooltip."""
        inside = f"<title>{escape(about)}</title>" if about else ""
        if about:
            self.words.append(about)
        size = {"x": x - width / 2, "y": y, "width": width, "height": height}
        self.add("rect", kind, inside, **size, **{"rx": 3, **more})

    def line(self, *points, width=1.3, kind="line", **more):
        """A broken line through (x, y)."""
        path = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)
        self.add("path", kind, d=path, stroke_width=width, **{"fill": "none", **more})

    def shape(self, kind, *points, **more):
        text = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self.add("polygon", kind, points=text, **more)

    def text(self, x, y, words, size=11, anchor="middle", kind="ink", **more):
        more = {"font_size": size, "text_anchor": anchor, **more}
        self.add("text", kind, escape(words), x=x, y=y, **more)

    def block(self, x, y, width, height, depth, kind="map"):
        """A box in space: its front has its left upper corner at (x, y)."""
        dx, dy = 0.7 * depth, -0.5 * depth
        right, low = x + width, y + height
        far = (x + dx, y + dy), (right + dx, y + dy), (right + dx, low + dy)
        self.shape(kind, (x, y), *far, (right, low), (x, low))
        self.line((x, y), (right, y), (right, low), kind=kind)
        self.line((right, y), far[1], kind=kind)


class Diagram:
    """A drawing: SVG for a notebook, and its description where it is not shown."""

    def __init__(self, title, canvas, width, height):
        self.title, self.words = title, canvas.words
        described = escape("; ".join(canvas.words))
        self.svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" class="diagram" role="group" '
            f'viewBox="0 0 {number(width)} {number(height)}" '
            f'width="{number(width)}" height="{number(height)}" '
            'font-family="system-ui, sans-serif" '
            f'aria-label="{escape(title)}"><title>{escape(title)}</title>'
            f"<desc>{described}</desc><style>{STYLE}</style>"
            f'<rect class="paper" width="100%" height="100%" rx="6" fill="#ffffff"/>'
            f"{''.join(canvas.parts)}</svg>"
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"image/svg+xml": self.svg, "text/plain": repr(self)}

    def __repr__(self):
        return f"{self.title}: {'; '.join(self.words)}"
