"""Icons that no page shows leave the theme's style sheet, and nothing else does."""

CSS = (
    "a{color:red}.fa-play:before,.fa-run:before{content:'1'}.fa-car:before{content:'2'}"
    ".fa-spin{animation:x}.fa-bus{--fa:'3'}.b .fa-car:before{content:'4'}"
)


def test_only_the_signs_of_unused_icons_go(extension):
    kept = extension("loading").without(CSS, {"fa-run"})
    assert kept == (
        "a{color:red}.fa-play:before,.fa-run:before{content:'1'}"
        ".fa-spin{animation:x}.b .fa-car:before{content:'4'}"
    )
