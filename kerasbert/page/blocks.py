"""The page itself, of Gradio's blocks."""

from __future__ import annotations

import copy
from typing import Any

from kerasbert.corpus.lines import unusable
from kerasbert.extraction.joint import JointPipeline
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.page.gradio import gr
from kerasbert.page.graph import draw
from kerasbert.page.views import colours, download, highlighted, note, schema_table, table
from kerasbert.page.words import ENGLISH, LANGUAGES, Words, preferred
from kerasbert.schema import Triple

MAX_CHARACTERS = 20_000
"""Characters of a text; the windows of a longer one would keep everybody waiting."""

_WAITING = 16


def find(pipeline: Pipeline | JointPipeline, text: str, threshold: float, confidence: float) -> list[Triple]:
    """The triples of a text under thresholds of its own.

    Args:
      pipeline: the model, which keeps its threshold.
      text: the text.
      threshold: in place of the model's: of a triple's confidence, in two stages of a predicate's probability.
      confidence: triples below are left out.
    """
    # The copy shares everything else, so that people at several browsers do not move each other's sliders.
    own = copy.copy(pipeline)
    own.threshold = threshold
    return [t for t in own.extract([text])[0] if t.confidence is None or t.confidence >= confidence]


def make_blocks(pipeline: Pipeline | JointPipeline) -> Any:
    """The page for a model, as `gradio.Blocks`."""
    schema = pipeline.bundle.schema
    palette = colours(schema)
    two_stages = isinstance(pipeline, Pipeline)

    def answer(text: str, threshold: float, confidence: float, language: str) -> list[str]:
        words = LANGUAGES[language]
        text = text or ""
        problem = _problem(text, words)
        if problem is not None:
            return [note(problem), "", "", "", ""]
        triples = find(pipeline, text, threshold, confidence if two_stages else 0.0)
        return [
            note(words.found.format(triples=len(triples), characters=len(text))),
            highlighted(text, triples, palette),
            table(triples, words),
            draw(triples, palette),
            download(text, triples, words),
        ]

    def relabelled(language: str) -> list[Any]:
        words = LANGUAGES[language]
        return [
            gr.update(value=f"# {words.title}"),
            gr.update(label=words.text, placeholder=words.placeholder),
            gr.update(value=words.extract),
            gr.update(label=words.predicate_threshold if two_stages else words.threshold),
            gr.update(label=words.threshold),
            *(gr.update(value=f"### {line}") for line in (words.mentions, words.triples, words.graph)),
            schema_table(schema, words),
        ]

    def greeted(request: gr.Request) -> str:
        return preferred(request.headers.get("accept-language", "")).language

    words = ENGLISH
    with gr.Blocks(title="kerasbert", analytics_enabled=False) as page:
        with gr.Row():
            with gr.Column(min_width=240):
                title = gr.Markdown(f"# {words.title}")
            language = gr.Radio(
                list(LANGUAGES), value=words.language, show_label=False, container=False, scale=0, min_width=240
            )
        with gr.Row():
            with gr.Column(scale=3):
                text = gr.Textbox(
                    label=words.text,
                    placeholder=words.placeholder,
                    lines=5,
                    max_lines=15,
                    max_length=MAX_CHARACTERS,
                    elem_id="kb-input",
                )
                with gr.Row():
                    threshold = gr.Slider(0.0, 1.0, value=float(pipeline.threshold), step=0.01, elem_id="kb-threshold")
                    confidence = gr.Slider(0.0, 1.0, value=0.0, step=0.01, visible=two_stages, elem_id="kb-confidence")
                button = gr.Button(words.extract, variant="primary", elem_id="kb-extract")
                status = gr.HTML(note(words.waiting), elem_id="kb-status")
                headings, views = [], []
                for name in ("mentions", "triples", "graph"):
                    headings.append(gr.Markdown(f"### {getattr(words, name)}"))
                    views.append(gr.HTML(elem_id=f"kb-{name}"))
                file = gr.HTML(elem_id="kb-download")
            with gr.Column(scale=1, min_width=260):
                known = gr.HTML(schema_table(schema, words), elem_id="kb-schema")
        asked = [text, threshold, confidence, language]
        shown = [status, *views, file]
        labels = [title, text, button, threshold, confidence, *headings, known]
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        for happens in (button.click, text.submit, threshold.release, confidence.release):
            happens(answer, asked, shown, **quiet)
        language.change(relabelled, language, labels, **quiet).then(answer, asked, shown, **quiet)
        page.load(greeted, None, language, **quiet).then(relabelled, language, labels, **quiet)
    page.queue(max_size=_WAITING)
    return page


def _problem(text: str, words: Words) -> str | None:
    """Why a text is not read, None when it is."""
    if not text.strip():
        return words.waiting
    if len(text) > MAX_CHARACTERS:
        return words.too_long.format(characters=len(text), limit=MAX_CHARACTERS)
    return words.unusable if unusable(text) is not None else None
