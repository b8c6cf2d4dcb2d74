"""What the page shows of triples, without a browser."""

from __future__ import annotations

import base64
import json
import re
from html import unescape
from xml.etree import ElementTree

import pytest

from kerasbert.page.graph import draw
from kerasbert.page.views import colours, download, highlighted, schema_table, table
from kerasbert.page.words import CHINESE, ENGLISH, preferred
from kerasbert.schema import Schema, Span, Triple

TEXT = "<b>顾安</b> & \U0001f600海国北陆"
SCHEMA = Schema.from_signatures([("出生地", "人物", "国家"), ("邻国", "国家", "国家")])
PALETTE = colours(SCHEMA)


def triple(subject: Span, predicate: str, object_: Span, confidence: float = 0.5) -> Triple:
    types = SCHEMA[predicate].signatures[0]
    return Triple(TEXT[slice(*subject)], predicate, TEXT[slice(*object_)], *types, subject, object_, confidence)


PERSON, SEA, BOTH = Span(3, 5), Span(13, 15), Span(13, 17)
TRIPLES = [triple(PERSON, "出生地", SEA), triple(PERSON, "出生地", BOTH, 0.25)]


def plain(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", html))


def test_mentions_are_marked_in_place_and_the_text_stays_what_it_is() -> None:
    shown = highlighted(TEXT, TRIPLES, PALETTE)
    body, _, legend = shown.partition('<div class="kb-legend">')
    assert plain(body) == TEXT
    assert re.findall(r"<mark[^>]*>([^<]*)</mark>", body) == ["顾安", "海国", "北陆"]
    assert plain(legend) == "人物国家"
    # The inner mention's piece names both.
    assert re.search(r'title="海国: 国家; 海国北陆: 国家"[^>]*>海国<', body)


def test_the_table_has_a_row_for_each_triple() -> None:
    rows = re.findall(r"<tr>(.*?)</tr>", table(TRIPLES, CHINESE))
    cells = [[plain(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]
    assert cells == [
        ["主语", "谓词", "宾语", "类型", "位置", "置信度"],
        ["顾安", "出生地", "海国", "人物 → 国家", "3–5 13–15", "0.500"],
        ["顾安", "出生地", "海国北陆", "人物 → 国家", "3–5 13–17", "0.250"],
    ]
    assert plain(table([], ENGLISH)) == ENGLISH.nothing


def test_hostile_strings_stay_text() -> None:
    hostile = "<img src=x onerror=alert(1)>\x01\"'"
    item = Triple(hostile, hostile, hostile, hostile, hostile, Span(0, len(hostile)), Span(0, len(hostile)), 0.5)
    schema = Schema.from_signatures([(hostile, hostile, hostile)])
    for shown in (
        highlighted(hostile, [item], PALETTE),
        table([item], ENGLISH),
        schema_table(schema, ENGLISH),
        draw([item], PALETTE),
    ):
        assert "<img" not in shown
    ElementTree.fromstring(draw([item], PALETTE))


def test_the_download_is_the_line_that_extraction_writes() -> None:
    found = re.search(r'href="data:application/json;base64,([^"]*)"', download(TEXT, TRIPLES, ENGLISH))
    assert found
    assert json.loads(base64.b64decode(found[1])) == {"text": TEXT, "spo_list": [t.to_dict() for t in TRIPLES]}


def picture(triples: list[Triple]) -> tuple[ElementTree.Element, dict[str, float]]:
    """The drawing, and where each label stands from left to right."""
    svg = ElementTree.fromstring(draw(triples, PALETTE))[0]
    return svg, {str(node.text): float(node.attrib["x"]) for node in svg.iter("text")}


def test_the_graph_runs_from_subjects_to_objects() -> None:
    chain = [triple(SEA, "邻国", BOTH), triple(PERSON, "出生地", SEA)]
    svg, x = picture(chain)
    assert x["顾安"] < x["出生地"] < x["海国"] < x["邻国"] < x["海国北陆"]
    assert len([path for path in svg.iter("path") if "marker-end" in path.attrib]) == 2
    width, height = (float(part) for part in svg.attrib["viewBox"].split()[2:])
    assert all(0 <= float(box.attrib["x"]) < width and 0 <= float(box.attrib["y"]) < height for box in svg.iter("rect"))


def test_circles_loops_and_predicates_of_one_pair_can_be_drawn() -> None:
    there, back = triple(SEA, "邻国", BOTH), triple(BOTH, "邻国", SEA)
    svg, x = picture([there, back, triple(SEA, "邻国", SEA), triple(SEA, "出生地", BOTH)])
    assert {"海国", "海国北陆", "邻国", "邻国, 出生地"} == set(x)
    assert len([path for path in svg.iter("path") if "marker-end" in path.attrib]) == 3


def test_a_graph_of_very_many_mentions_shows_the_first() -> None:
    many = [Triple(f"s{n}", "邻国", f"o{n}") for n in range(500)]
    _, x = picture(many)
    assert {"s0", "o0", "s19", "o19"} <= set(x) and "s20" not in x
    # A ring: every way round is as long as the last.
    ring = [Triple(f"n{n}", "p", f"n{m}") for n in range(12) for m in range(12)]
    assert draw(ring, PALETTE).count("<path") == 1 + 144
    assert draw([], PALETTE) == ""


@pytest.mark.parametrize(
    ("header", "words"), [("zh-CN,zh;q=0.9", CHINESE), ("ZH", CHINESE), ("de,zh", ENGLISH), ("", ENGLISH)]
)
def test_the_language_is_the_browsers(header: str, words: object) -> None:
    assert preferred(header) is words
