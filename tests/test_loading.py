"""Rules that concern no page leave the theme's style sheets, and nothing else does."""

import pytest

WORDS = {"used", "too"}


@pytest.mark.parametrize(
    "css",
    [
        '@import "other.css";',
        "a>b:hover,#gone,[gone]{color:red}",
        '.used .too:before{content:".gone{,}"}',
        ".used:not(.gone),.too:is(.gone,a){color:red}",
        "@media print{.used{color:red}a{color:blue}}",
        "@font-face{src:url(gone.woff)}",
        "@keyframes gone{from{top:0}to{top:1px}}",
        ".bs-tooltip-top .used{color:red}",
    ],
)
def test_rules_of_used_classes_stay_as_they_are(extension, css):
    assert extension("loading").about(WORDS, css) == css


@pytest.mark.parametrize(
    ("css", "kept"),
    [
        (".gone{color:red}a{color:red}/* said */", "a{color:red}"),
        (".used.gone a,.used>.gone{color:red}", ""),
        ("a,.gone,.used{color:red}", "a,.used{color:red}"),
        ("@media print{.gone{top:0}}@supports (top:0){.gone{top:0}}", ""),
        ("@media print{.gone{top:0}a{top:0}}", "@media print{a{top:0}}"),
        (".bs-tooltip-top .gone{color:red}", ""),
    ],
)
def test_rules_of_unused_classes_go(extension, css, kept):
    assert extension("loading").about(WORDS, css) == kept
