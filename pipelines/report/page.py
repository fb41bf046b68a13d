"""One HTML page about one run or several, which opens anywhere without a network.

Everything that comes from files is escaped by Jinja2; figures are inline SVG, pictures data URIs.
The page forbids itself to load anything else (Content-Security-Policy), and its one script is
allowed by its hash.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from pipelines.errors import SenescopeError
from pipelines.report.bleed_through import bleed_through_table
from pipelines.report.comparisons import result_sentences, statistics_table
from pipelines.report.data import RunData, read_run, readable
from pipelines.report.facts import facts_of, indented, texts_of
from pipelines.report.figure_files import write_figures
from pipelines.report.flags import cell_flags_table, excluded_cells
from pipelines.report.gallery import Gallery, gallery
from pipelines.report.gates import gate_figures
from pipelines.report.methods import methods_text
from pipelines.report.outcomes import OutcomeFigure, count_figure, outcome_figures, section_figures
from pipelines.report.portraits import Strip, portrait_strips
from pipelines.report.power import power_figures, power_sentences
from pipelines.report.spread import spread_figures
from pipelines.report.tables import (
    Table,
    failures_table,
    glossary_table,
    groups_table,
    marks,
    number_of,
    pairs_table,
    quality_table,
    samples_table,
    scores,
    thresholds_table,
)
from pipelines.report.together import together_figure
from pipelines.report.zones import zone_figures, zones_table
from pipelines.run.layout import Layout
from pipelines.tables import write_text
from pipelines.words import counted

TEMPLATES = Path(__file__).parent / "templates"
MAX_MARKS = 12


@dataclass(frozen=True, slots=True)
class RunView:
    """One run as the template sees it; None or empty where the run has no such thing."""

    anchor: str
    title: str
    intro: str
    summary: str
    problems: tuple[str, ...]
    failures: Table | None
    groups: Table | None
    samples: Table | None
    thresholds: Table | None
    gates: list[OutcomeFigure]
    together: OutcomeFigure | None
    spread: list[OutcomeFigure]
    zones: list[OutcomeFigure]
    zonation: Table | None
    pairs: Table | None
    bleed_through: Table | None
    quality: Table | None
    run_warnings: list[str]
    flags: list[tuple[str, int]]
    warnings: list[tuple[str, int]]
    scores: list[tuple[str, str]]
    cell_flags: Table | None
    excluded: str
    figures: list[OutcomeFigure]
    results: list[str]
    statistics: Table | None
    plans: list[str]
    power: list[OutcomeFigure]
    methods: list[str]
    counts: OutcomeFigure | None
    portraits: list[Strip]
    gallery: Gallery | None
    glossary: Table | None
    facts: list[tuple[str, list[tuple[str, str]]]]
    study_text: str
    settings_text: str

    @property
    def all_figures(self) -> list[OutcomeFigure]:
        """In the order of the page."""
        apart = [figure for figure in (self.together, self.counts) if figure is not None]
        return [*self.figures, *self.power, *self.zones, *self.gates, *apart]

    @property
    def sections(self) -> list[tuple[str, str]]:
        """Anchors and headings of the sections that this run has, in their order."""
        present = (
            ("failures", "Failures", self.failures),
            ("design", "Design", self.groups or self.samples),
            ("outcomes", "Outcomes", self.figures),
            ("statistics", "Statistics", self.statistics),
            ("power", "Power", self.plans),
            ("zones", "Zones", self.zones),
            ("spread", "Spread", self.spread),
            ("gates", "Gates", self.gates or self.thresholds),
            (
                "quality",
                "Quality",
                self.quality or self.counts or self.run_warnings or self.cell_flags,
            ),
            ("cells", "Cells", self.portraits),
            ("pictures", "Pictures", self.gallery),
            ("methods", "Methods", self.methods),
            ("columns", "Columns", self.glossary),
            ("provenance", "Provenance", self.facts or self.study_text or self.settings_text),
        )
        return [(f"{self.anchor}-{name}", heading) for name, heading, there in present if there]


def build_report(runs: Sequence[Path], output: Path, title: str | None = None) -> Path:
    """Write the report of one run, with its figures as files, or one report of several.

    The same runs give the same bytes: no time, no chance.

    Args:
        runs: run folders, in the order of their sections.
        output: the HTML file; its folder is made where missing.
        title: title of the page; default the study's title, or ``N studies``.

    Returns:
        `output`.

    Raises:
        SenescopeError: no run given, or a folder that holds none.
    """
    if not runs:
        raise SenescopeError("a report needs at least one run folder; none was given")
    data = [read_run(folder) for folder in runs]
    views = [_view(run, f"run{index}", output) for index, run in enumerate(data, start=1)]
    heading = title or (views[0].title if len(views) == 1 else f"{len(views)} studies")
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = _environment().get_template("report.html.j2")
    html = page.render(
        title=heading,
        summary=(f"{len(data)} studies: " if title and len(data) > 1 else "") + _summary(data),
        runs=views,
        script=Markup(script),
        script_hash=digest,
    )
    write_text(output, html)
    for run, view in zip(data, views, strict=True):
        # A page of several runs shows the figures that each run's own report has left as files.
        if output.resolve() == Layout(run.folder).report.resolve():
            write_figures(view.all_figures, Layout(run.folder).figures)
    return output


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _view(run: RunData, anchor: str, output: Path) -> RunView:
    return RunView(
        anchor=anchor,
        title=run.title,
        intro=_question(run),
        summary=_summary([run]),
        problems=run.problems,
        failures=failures_table(run),
        groups=groups_table(run),
        samples=samples_table(run),
        thresholds=thresholds_table(run),
        gates=gate_figures(run, anchor),
        together=together_figure(run, f"{anchor}-t"),
        spread=spread_figures(run, f"{anchor}-s"),
        zones=zone_figures(run, f"{anchor}-z"),
        zonation=zones_table(run),
        pairs=pairs_table(run),
        bleed_through=bleed_through_table(run),
        quality=quality_table(run),
        run_warnings=texts_of(run.provenance.get("warnings")),
        flags=marks(run, "flags")[:MAX_MARKS],
        warnings=marks(run, "warnings")[:MAX_MARKS],
        scores=scores(run),
        cell_flags=cell_flags_table(run),
        excluded=excluded_cells(run),
        figures=[*outcome_figures(run, anchor), *section_figures(run, anchor)],
        results=result_sentences(run),
        statistics=statistics_table(run),
        plans=power_sentences(run),
        power=power_figures(run, anchor),
        methods=methods_text(run),
        counts=count_figure(run, f"{anchor}-n"),
        portraits=portrait_strips(run),
        gallery=gallery(run, output),
        glossary=glossary_table(run),
        facts=facts_of(run.provenance),
        study_text=str(run.study.get("text") or ""),
        settings_text=indented(run.provenance.get("settings")),
    )


def _summary(runs: Sequence[RunData]) -> str:
    """One sentence: images, units, groups, cells, failures."""
    units = sum(run.tables["samples"].height for run in runs)
    groups = sum(run.tables["groups"].height for run in runs)
    parts = [
        counted(sum(run.tables["images"].height for run in runs), "image"),
        counted(units, "sample") if units else "",
        counted(groups, "group") if groups else "",
    ]
    cells = counted(sum(number_of(run, "n_cells") for run in runs), "cell")
    failed = sum(_failed(run) for run in runs)
    ending = f"{counted(failed, 'image')} failed" if failed else "no image failed"
    return f"{', '.join(filter(None, parts))}; {cells} measured; {ending}."


def _question(run: RunData) -> str:
    """What the study compares, with what as the n; empty where it compares nothing."""
    settings = run.provenance.get("settings")
    design = settings.get("statistics") if isinstance(settings, dict) else None
    if not isinstance(design, dict) or not design.get("factors"):
        return ""
    outcomes = ", ".join(readable(name) for name in run.listed("outcomes"))
    factors = " and ".join(readable(name) for name in design["factors"])
    reference = ", ".join(f"{k} {v}" for k, v in (design.get("reference") or {}).items())
    against = f", against {reference}" if reference else ""
    asked = f"Does {outcomes} differ by {factors}{against}?" if outcomes else f"By {factors}."
    return f"{asked} The {readable(str(design.get('unit')))} is the n."


def _failed(run: RunData) -> int:
    failures = run.tables["failures"]
    if "image_id" in failures.columns:
        return failures["image_id"].n_unique() if failures.height else 0
    return failures.height
