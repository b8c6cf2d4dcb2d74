"""What was found in a text, as HTML: mentions in place, the table of triples, the schema, and the file to download."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Sequence
from html import escape

from kerasbert.page.words import Words
from kerasbert.schema import Schema, Sentence, Span, Triple

_COLOURS = (
    "#cfe3ff",
    "#ffe0c2",
    "#cdeed6",
    "#ead6f7",
    "#fff1b3",
    "#ffd3e0",
    "#c9f0ee",
    "#e3e3c8",
    "#dcdcf5",
    "#f3d9c9",
)

CSS = """
.kb { line-height: 1.5; }
.kb-text { line-height: 2.1; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 60vh; overflow-y: auto; }
.kb mark { color: #111; border-radius: 4px; padding: 2px 3px; border-bottom: 2px solid rgba(0, 0, 0, .35); }
.kb-legend { display: flex; flex-wrap: wrap; gap: 4px 12px; margin: 8px 0 0; font-size: 13px; }
.kb-legend mark { border-bottom: 0; padding: 0 6px; }
.kb table { width: 100%; border: 0 !important; border-collapse: collapse; font-size: 14px; }
.kb th, .kb td { text-align: left; padding: 5px 8px; border: 0; border-bottom: 1px solid rgba(128, 128, 128, .35); }
.kb tr, .kb thead, .kb tbody { border: 0 !important; }
.kb th { font-weight: 600; white-space: nowrap; }
.kb td { overflow-wrap: anywhere; }
.kb td.kb-number, .kb th.kb-number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.kb-scroll { overflow: auto; max-height: 70vh; }
.kb-graph { background: #fff; border: 1px solid rgba(128, 128, 128, .35); border-radius: 8px; }
.kb-graph svg { display: block; margin: 0 auto; }
.kb a.kb-download { display: inline-block; padding: 6px 14px; border: 1px solid rgba(128, 128, 128, .6);
  border-radius: 6px; text-decoration: none; color: inherit; }
.kb h3 { margin: 0 0 6px; font-size: 15px; font-weight: 600; }
.kb-faint { opacity: .7; }
"""


def colours(schema: Schema) -> dict[str, str]:
    """A colour for every argument type of a schema; far types share one."""
    types = dict.fromkeys(t for predicate in schema for signature in predicate.signatures for t in signature)
    return {name: _COLOURS[n % len(_COLOURS)] for n, name in enumerate(types)}


def highlighted(text: str, triples: Sequence[Triple], palette: dict[str, str]) -> str:
    """The text with its mentions marked; where mentions overlap, the shorter one lies on top.

    Args:
      text: as the model read it.
      triples: with spans.
      palette: colours of types, see `colours`.
    """
    roles: dict[Span, dict[str, None]] = {}
    for triple in triples:
        for span, kind in ((triple.subject_span, triple.subject_type), (triple.object_span, triple.object_type)):
            if span is not None:
                roles.setdefault(span, {})[kind] = None
    edges = sorted({0, len(text), *(edge for span in roles for edge in span)})
    place = {edge: n for n, edge in enumerate(edges)}
    covers: list[list[Span]] = [[] for _ in edges]
    for span in roles:
        for n in range(place[span.start], place[span.end]):
            covers[n].append(span)
    parts = []
    for (begin, end), covering in zip(itertools.pairwise(edges), covers, strict=False):
        piece = escape(text[begin:end])
        if not covering:
            parts.append(piece)
            continue
        shortest = min(covering, key=lambda span: (span.end - span.start, span))
        kinds = list(roles[shortest])
        shown = "; ".join(f"{text[slice(*span)]}: {', '.join(filter(None, roles[span]))}" for span in covering)
        colour = palette.get(kinds[0], _COLOURS[0])
        parts.append(f'<mark style="background:{colour}" title="{escape(shown)}">{piece}</mark>')
    kinds_seen = dict.fromkeys(kind for kinds in roles.values() for kind in kinds if kind)
    legend = "".join(
        f'<mark style="background:{palette.get(kind, _COLOURS[0])}">{escape(kind)}</mark>' for kind in kinds_seen
    )
    return f'<div class="kb"><div class="kb-text">{"".join(parts)}</div><div class="kb-legend">{legend}</div></div>'


def table(triples: Sequence[Triple], words: Words) -> str:
    """The triples, a row each, in the order of the text."""
    if not triples:
        return note(words.nothing)
    headings = (words.subject, words.predicate, words.object, words.types, words.offsets)
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    rows = []
    for t in triples:
        spans = [f"{span.start}–{span.end}" for span in (t.subject_span, t.object_span) if span is not None]
        types = " → ".join(filter(None, (t.subject_type, t.object_type)))
        cells = "".join(
            f"<td>{escape(cell)}</td>" for cell in (t.subject, t.predicate, t.object, types, " ".join(spans))
        )
        confidence = "" if t.confidence is None else f"{t.confidence:.3f}"
        rows.append(f'<tr>{cells}<td class="kb-number">{confidence}</td></tr>')
    return (
        f'<div class="kb kb-scroll"><table class="kb-triples"><thead><tr>{head}'
        f'<th class="kb-number">{escape(words.certainty)}</th></tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def schema_table(schema: Schema, words: Words) -> str:
    """The predicates of a model with the types of their arguments."""
    rows = []
    for predicate in schema:
        signatures = "<br>".join(
            escape(" → ".join(filter(None, signature))) for signature in predicate.signatures if any(signature)
        )
        rows.append(f"<tr><td>{escape(predicate.name)}</td><td>{signatures}</td></tr>")
    return (
        f'<div class="kb"><h3>{escape(words.schema)} ({len(schema)})</h3><div class="kb-scroll"><table>'
        f"<tbody>{''.join(rows)}</tbody></table></div></div>"
    )


def download(text: str, triples: Sequence[Triple], words: Words) -> str:
    """A link that holds the sentence as a line of DuIE JSON, so that nothing is kept on the server's disk."""
    line = json.dumps(Sentence(text, tuple(triples)).to_dict(), ensure_ascii=False)
    data = base64.b64encode(line.encode("utf-8")).decode("ascii")
    return (
        f'<div class="kb"><a class="kb-download" download="triples.json" '
        f'href="data:application/json;base64,{data}">{escape(words.download)}</a></div>'
    )


def note(line: str) -> str:
    """A line of text in place of a result."""
    return f'<p class="kb kb-faint">{escape(line)}</p>'
