"""What the site's search is given to index: names, plain formulas, and no answers."""

import pytest

PAGE = r"""<html lang="en"><article class="bd-article">
<section id="pooling"><h1>Pooling</h1>
<section id="windows">
<span id="old-name"></span><h2>Windows</h2>
<p>Of <span class="math notranslate nohighlight">\(2 \times 2\)</span></p></section>
<section id="exercises"><h2>Exercises</h2><p><strong>1.</strong> How many?</p>
<p>There are 27.</p><div class="cell">Right.</div></section>
<section id="further-reading"><h2>Further reading</h2></section></section>
</article></html>"""
TERMS = {
    "pooling": {
        **{"term": "pooling", "chinese": "汇聚", "pages": ["chapters/pooling"]},
        **{"also": ["VGG-16"], "typed": ["池化层"]},
    },
    "stride": {
        **{"term": "stride", "chinese": "步幅"},
        **{"pages": ["chapters/padding-stride", "chapters/pooling"]},
    },
}


@pytest.fixture(scope="module")
def search(extension):
    return extension("search")


@pytest.fixture(scope="module")
def prepared(search):
    names = search.names("chapters/pooling", TERMS)
    return search.prepared(PAGE, "chapters/pooling", names)


def test_chinese_is_cut_into_pairs_and_single_signs_and_words_stay(search):
    assert search.pairs("感受野 of a 核") == "感受 受野 of a 核"


def test_anchors_stand_at_headings_and_formulas_are_plain_text(prepared):
    assert '<h2 id="windows">Windows</h2>' in prepared
    assert "<p>Of 2 x 2</p>" in prepared


def test_of_exercises_the_questions_are_indexed_alone(prepared):
    assert "How many?" in prepared and "Further reading" in prepared
    assert "27" not in prepared and "Right" not in prepared


def test_a_page_answers_to_the_names_of_what_it_teaches(prepared):
    assert "names:pooling ; 汇聚 ; VGG-16 ; 池化 化层 ; VGG16" in prepared
    assert "related:stride ; 步幅" in prepared


def test_the_first_page_weighs_less(search):
    assert "data-pagefind-weight" in search.prepared(PAGE, "book/index", ([], []))


def test_a_statement_leads_to_its_row_and_is_escaped(search):
    class Entry:
        id, verdict, statement, comment = "vgg/x", "holds", "1 < 2", ""

    text = search.statement(Entry)
    assert "at:book/ledger.html#vgg/x" in text and "1 &lt; 2" in text
