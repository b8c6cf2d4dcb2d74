"""What the notebooks share: sentences to try things on, charts in a cell, commands that run beside it."""

from __future__ import annotations

import html
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kerasbert import untrained
from kerasbert.corpus.reader import load_corpus
from kerasbert.corpus.sample import sample_corpus
from kerasbert.errors import KerasbertError
from kerasbert.reporting import charts
from kerasbert.reporting.gather import Report, gather, histogram, read_histories
from kerasbert.reporting.model import ask
from kerasbert.reporting.page import learning_curves
from kerasbert.schema import Sentence
from kerasbert.untrained import CheckpointWriter

SEED = 2019

_STYLE = "background:#fff;color:#222;display:flex;flex-wrap:wrap;gap:20px;padding:8px;font-family:sans-serif"


@dataclass(frozen=True)
class Figures:
    """Charts side by side: what the last line of a cell shows.

    Attributes:
      charts: an SVG under each caption.
    """

    charts: Mapping[str, str]

    def _repr_html_(self) -> str:
        figures = (
            f'<figure style="margin:0;width:420px"><figcaption>{html.escape(caption)}</figcaption>{svg}</figure>'
            for caption, svg in self.charts.items()
        )
        return f'<div style="{_STYLE}">{"".join(figures)}</div>'


@dataclass(frozen=True)
class Page:
    """A page that a command wrote, inside a cell and without effect on anything around it.

    Attributes:
      path: an HTML file that needs no other.
      height: of its frame in pixels.
    """

    path: Path
    height: int = 600

    def _repr_html_(self) -> str:
        content = html.escape(Path(self.path).read_text(encoding="utf-8"))
        return (
            f'<iframe srcdoc="{content}" style="width:100%;height:{self.height}px;border:1px solid #ccc;'
            'background:#fff"></iframe>'
        )


def write_sample(directory: Path, train: int, write_checkpoint: CheckpointWriter) -> None:
    """Writes `train.jsonl`, `dev.jsonl`, `test.jsonl`, `schema.json`, and in `init/` a small untrained encoder.

    Args:
      directory: where to; the same sentences are written again where they are there.
      train: how many sentences to learn from; 100 and 200 others are for `dev` and `test`.
      write_checkpoint: writes a random TF1 checkpoint.

    Raises:
      InputError: a file cannot be written.
    """
    untrained.write_sample(directory, sample_corpus(SEED, train=train, dev=100, test=200), SEED, write_checkpoint)


def data_figures(sentences: Sequence[Sentence]) -> Figures:
    """Histograms of lengths, of triples a sentence, and of predicates."""
    each = Counter(len(sentence.triples) for sentence in sentences)
    labels = Counter(triple.predicate for sentence in sentences for triple in sentence.triples)
    return Figures(
        {
            "Sentences by length in characters": charts.bars(
                histogram([len(sentence.text) for sentence in sentences]), "sentences by length in characters"
            ),
            "Sentences by number of triples": charts.bars(
                {str(number): each[number] for number in sorted(each)}, "sentences by number of triples"
            ),
            "Triples by predicate": charts.rows(dict(labels.most_common()), "triples by predicate"),
        }
    )


def curve_figures(directory: Path) -> Figures:
    """The learning curves in the output directory of a training.

    Raises:
      InputError: a `history.csv` that is no history of a training.
    """
    drawn = {}
    for stage, curves in read_histories(directory).items():
        for caption, chart in learning_curves(stage, curves).items():
            drawn[f"{stage}: {caption} by epoch"] = chart
    return Figures(drawn)


def judge(model: Path, gold: Path) -> Report:
    """What `kerasbert report` writes about a model, as values.

    Args:
      model: directory of a training.
      gold: annotated sentences.

    Raises:
      InputError: no model, or no annotated triple.
    """
    sentences = load_corpus(gold)
    return gather(gold.name, sentences, ask(model, sentences))


def score_figures(report: Report) -> Figures:
    """F1 of every annotated predicate, the best first, and how far confidences can be trusted."""
    scores = {row.name: row.intervals[2].value for row in report.predicates if row.gold}
    ordered = dict(sorted(scores.items(), key=lambda item: -item[1]))
    drawn = {"F1 by predicate": charts.rows(ordered, "F1 by predicate")}
    if report.calibration is not None and report.calibration.number:
        dots = report.calibration
        drawn["Share of right triples by confidence"] = charts.reliability(
            dots.confidence, dots.right, dots.number, "share of right triples by confidence"
        )
    return Figures(drawn)


def lose_machine(command: Sequence[str], published: Path, seconds: float = 600.0) -> bool:
    """Runs a training and kills it without warning once it has published a state, as a runtime that goes away does.

    Args:
      command: the training, with `--publish`.
      published: the file that names the published states.
      seconds: when to kill it in any case.

    Returns:
      Whether it was killed; False where it ended before.
    """
    with subprocess.Popen(list(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        end = time.monotonic() + seconds
        while running.poll() is None and not published.is_file() and time.monotonic() < end:
            time.sleep(0.1)
        running.kill()
    return running.returncode < 0


def free_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start_server(command: Sequence[str], url: str, seconds: float = 120.0) -> subprocess.Popen[bytes]:
    """Starts a server beside the notebook and waits until it answers.

    Args:
      command: the server.
      url: what it answers when it is ready.
      seconds: how long to wait.

    Raises:
      KerasbertError: it ended or gave no answer; it runs no more.
    """
    running = subprocess.Popen(list(command))
    end = time.monotonic() + seconds
    while running.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return running
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    running.kill()
    running.wait()
    raise KerasbertError(f"no server answers at {url}", hint="its own message is above")
