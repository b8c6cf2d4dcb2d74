"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from kerasbert.files import atomic_write
from kerasbert.reporting import charts
from kerasbert.reporting.examples import EXAMPLES
from kerasbert.reporting.gather import Curves, Report
from kerasbert.reporting.mistakes import KINDS, NOTHING, SURE
from kerasbert.reporting.resampling import REPLICATES, ROUNDS


def render_page(report: Report) -> str:
    """The page as HTML.

    Everything that comes from texts, files or models is escaped: by the template, and in the charts by their XML.
    """
    # Autoescaping for every name: by default, it depends on the template's ending.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn = {
        "lengths": Markup(charts.bars(report.lengths, "sentences by length in characters")),
        "triples": Markup(charts.bars(report.triples_each, "sentences by number of triples")),
    }
    if report.calibration is not None:
        dots = report.calibration
        title = "share of right triples by confidence"
        drawn["calibration"] = Markup(charts.reliability(dots.confidence, dots.right, dots.number, title))
    learned = {
        stage: {caption: Markup(chart) for caption, chart in learning_curves(stage, curves).items()}
        for stage, curves in report.histories.items()
    }
    page = environment.get_template("report.html.jinja").render(
        report=report,
        charts=drawn,
        curves=learned,
        kinds=KINDS,
        nothing=NOTHING,
        sure=SURE,
        examples=EXAMPLES,
        replicates=REPLICATES,
        rounds=ROUNDS,
    )
    # No browser shows half of a surrogate pair, and no file holds it.
    return page.encode("utf-8", "replace").decode("utf-8")


def write_page(report: Report, path: str | Path) -> None:
    """Writes the page, atomically.

    Raises:
      InputError: it cannot be written.
    """
    with atomic_write(path) as handle:
        handle.write(render_page(report))


def learning_curves(stage: str, curves: Curves) -> dict[str, str]:
    """Charts as SVG: `loss`, and in `scores` the shares from 0 to 1."""
    losses = {name: line for name, line in curves.items() if name.endswith("loss")}
    others = {name: line for name, line in curves.items() if name not in losses}
    return {
        caption: charts.curves(some, f"{stage}: {', '.join(some)} by epoch")
        for caption, some in (("loss", losses), ("scores", others))
        if some
    }
