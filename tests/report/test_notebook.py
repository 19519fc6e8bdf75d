import html
import re

import pytest

from intermodal.report import LargeReportWarning, ReportTooLarge, notebook_html, to_html, to_text


def test_the_frame_holds_the_page_and_the_text_stands_beside_it(full):
    made = notebook_html(full, height=211)
    page = re.search(r'srcdoc="([^"]*)"', made)[1]
    assert html.unescape(page) == to_html(full)
    assert 'sandbox="allow-scripts allow-downloads" width="100%" height="211"' in made
    assert html.unescape(re.search(r"<pre>(.*)</pre>", made, flags=re.DOTALL)[1]) == to_text(full)


def test_a_name_ends_neither_the_frame_nor_the_text():
    made = notebook_html({"title": '</pre></iframe><script>"', "blocks": []})
    assert made.count("<script") == 0 and made.count("</iframe>") == made.count("</pre>") == 1


def test_a_height_that_cannot_be_is_refused(full):
    with pytest.raises(ValueError) as caught:
        notebook_html(full, height=0)
    assert str(caught.value) == "height must be at least 1, however: height=0"


def test_a_page_above_five_megabytes_warns_and_says_so_itself():
    report = {"title": "t", "blocks": [{"kind": "text", "title": "long", "text": "x" * 5_100_000}]}
    with pytest.warns(LargeReportWarning) as told:
        page = to_html(report)
    assert str(told[0].message) == (
        "the report has 5.1 MB, of which blocks[0] (text) has 5.1 MB; a browser may open it slowly"
    )
    assert "It is large: a browser may open it slowly." in page
    stated = re.search(r"complete in itself: ([\d,]+) bytes", page)[1]
    assert int(stated.replace(",", "")) == len(page.encode())
    with pytest.raises(ReportTooLarge):
        to_html({"title": "t", "blocks": [{"kind": "text", "text": "x" * 25_100_000}]})
