"""Figures as files: SVG that opens alone, PDF in the colours of paper, the same bytes each time."""

from xml.etree import ElementTree

import matplotlib
import polars as pl
from PIL import Image

from pipelines.report.axes import Groups, Level, Quantity
from pipelines.report.figure_files import standalone_svg, write_figures
from pipelines.report.outcomes import OutcomeFigure
from pipelines.report.superplot import superplot


def drawn():
    cells = pl.DataFrame(
        {
            "group": ["a"] * 30 + ["b"] * 30,
            "unit": [f"u{i % 3}" for i in range(60)],
            "value": [float(i % 30 + i // 30) for i in range(60)],
        }
    )
    units = cells.group_by("group", "unit", maintain_order=True).agg(pl.col("value").mean())
    groups = Groups("genotype", {"a": Level("a"), "b": Level("b")})
    drawing = superplot(cells, units, Quantity("foci"), groups, "k")
    assert drawing is not None
    return OutcomeFigure("γH2AX foci, 1/2", "", drawing, "")


def test_each_figure_is_two_files_with_the_same_bytes_each_time(tmp_path):
    first = write_figures([drawn()], tmp_path)
    before = [path.read_bytes() for path in first]

    assert [path.name for path in first] == ["01_h2ax_foci_1_2.svg", "01_h2ax_foci_1_2.pdf"]
    assert [path.read_bytes() for path in write_figures([drawn()], tmp_path)] == before
    assert before[1].startswith(b"%PDF")
    assert write_figures([], tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_svg_needs_no_page(tmp_path):
    text = standalone_svg(drawn().drawing.svg)
    root = ElementTree.fromstring(text)

    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert float(root.attrib["width"].removesuffix("pt")) > 100
    assert "var(--" not in text
    assert "currentColor" not in text


def test_paper_is_white_where_the_page_may_be_dark(tmp_path):
    figure = drawn()
    write_figures([figure], tmp_path)
    assert figure.drawing.figure is not None
    with matplotlib.rc_context():
        figure.drawing.figure.savefig(tmp_path / "seen.png", dpi=150, facecolor="white")
    colours = Image.open(tmp_path / "seen.png").convert("RGB").getcolors(10**6)
    counts = {colour: count for count, colour in colours}

    # The grid and the rim of the units' marks: drawn in stand-ins near black for the page.
    assert (13, 14, 15) not in counts
    assert (16, 17, 18) not in counts
    assert counts[255, 255, 255] > sum(counts.values()) / 2
