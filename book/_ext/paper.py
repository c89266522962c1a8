"""A button of the theme's download menu that prints a page without its code."""

WITHOUT_CODE = {
    "type": "javascript",
    "text": "Print without code",
    "tooltip": "Print without code and solutions",
    "javascript": "printWithoutCode()",
    "icon": "fas fa-file-pdf",
    "label": "download-without-code-button",
}


def setup(app):
    app.connect("html-page-context", add_button, priority=900)  # after the theme's
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def add_button(app, page, template, context, tree):
    for group in context.get("header_buttons", []):
        if group.get("label") == "download-buttons" and page.startswith("chapters/"):
            group["buttons"].append(WITHOUT_CODE)
