"""The frame of a figure that answers: style, still form, data and script."""

import html
import json
from pathlib import Path

FOLDER = Path(__file__).parent


class Figure:
    """HTML that a notebook shows, and one line for where HTML is not shown."""

    def __init__(self, name, still, data, line, parts=()):
        """`name`.js and `name`.css stand in this folder, and what some figures share in
        the `parts` that it names; `still` is HTML that needs neither; `data` is what
        the script gets, as JSON; `line` says it in words."""
        style = "".join(_packed(part, "css") for part in ("figure", *parts, name))
        script = "".join(_packed(part, "js") for part in (name, *parts, "figure"))
        shared = f' data-parts="{" ".join(parts)}"' if parts else ""
        label = html.escape(line)
        values = json.dumps(data, ensure_ascii=False).replace("</", "<\\/")
        self.form = (
            f'<div class="live-figure" data-figure="{name}"{shared}>'
            f"<style>{style}</style>"
            f'<div class="still" tabindex="0" role="group" aria-label="{label}">'
            f"{still}</div>"
            f'<script type="application/json">{values}</script></div>'
            f"<script>(() => {{\n{script}}})()</script>"
        )
        self.line = line

    def _repr_html_(self):
        return self.form

    def __repr__(self):
        return self.line


def _packed(name, kind):
    """Text of a file without indentation, empty lines and lines of comment; of a part
    that has no file of this kind, none."""
    path = FOLDER / f"{name}.{kind}"
    if not path.is_file():
        return ""
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    kept = [line for line in lines if line and not line.startswith(("//", "/*"))]
    return "\n".join(kept) + "\n"
