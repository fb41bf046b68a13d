import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import SenescopeError
from pipelines.overlay.picture import save_png
from pipelines.report.data import Definition, number_name, read_run
from pipelines.report.gallery import MAX_PICTURES, evenly
from pipelines.report.outcomes import outcome_columns
from pipelines.report.page import build_report
from pipelines.report.tables import format_number

EVIL = "<script>alert(1)</script>"
VOID = {"meta", "img", "br", "hr", "link", "input", "path", "use"}
COLUMNS = {
    "gh2ax_foci_count": ("count", "Number of foci."),
    "nucleus_area_um2": ("µm²", "Area of the nucleus."),
    "p21_positive": ("flag", "Above the gate."),
}


class Page(HTMLParser):
    """Tags with their attributes, and the text inside scripts and outside of them."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.scripts, self.open = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        inside = self.open[-1] if self.open else ""
        (self.scripts if inside == "script" else self.text).append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def words(self):
        return " ".join(" ".join(self.text).split())

    def headings(self):
        return {a["id"].partition("-")[2] for a in self.all("section")}


def cells_table(images, n_cells, seed=0):
    random = np.random.default_rng(seed)
    count = len(images) * n_cells
    columns = {key: [row[key] for row in images for _ in range(n_cells)] for key in images[0]}
    columns |= {
        "cell_id": np.arange(count),
        "gh2ax_foci_count": random.poisson(4, count),
        "nucleus_area_um2": random.normal(200, 30, count),
        "p21_positive": random.random(count) < 0.3,
    }
    fields, arrays = [], []
    for name, values in columns.items():
        text = name in images[0] and isinstance(images[0][name], str)
        arrays.append(pa.array(values, type=pa.string() if text else None))
        unit, meaning = COLUMNS.get(name, ("key", ""))
        metadata = {"unit": unit, "meaning": meaning, "source": "test"}
        fields.append(pa.field(name, arrays[-1].type, metadata=metadata))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def make_run(folder, donors=("H1", "H2", "W1", "W2"), fields=2, n_cells=30, groups=None):
    """A run folder as a run leaves it: `fields` images a donor, `n_cells` cells an image."""
    groups = groups or {d: "healthy" if d.startswith("H") else "WS" for d in donors}
    images = [
        {"image_id": f"image{i}_{f}", "genotype": groups[d], "donor": d}
        for i, d in enumerate(donors)
        for f in range(fields)
    ]
    tables = folder / "tables"
    tables.mkdir(parents=True)
    (folder / "qc").mkdir()
    table = cells_table(images, n_cells)
    pq.write_table(table, tables / "cells.parquet")
    cells = pl.from_arrow(table)
    aggregates = [
        pl.len().alias("n_cells"),
        pl.col("gh2ax_foci_count").mean().alias("gh2ax_foci_count_mean"),
        pl.col("nucleus_area_um2").mean().alias("nucleus_area_um2_mean"),
        pl.col("p21_positive").mean().alias("p21_positive_fraction"),
    ]
    by_image = pl.DataFrame(images).with_columns(flags=pl.lit(""), warnings=pl.lit(""))
    of_image = cells.group_by("image_id").agg(*aggregates)
    by_image.join(of_image, on="image_id", how="left", maintain_order="left").with_columns(
        pl.col("n_cells").fill_null(0), dapi_saturated_fraction=pl.lit(0.01)
    ).write_csv(tables / "images.csv")
    n_images = pl.col("image_id").n_unique().alias("n_images")
    units = cells.group_by("genotype", "donor", maintain_order=True).agg(n_images, *aggregates)
    units.write_csv(tables / "samples.csv")
    units.group_by("genotype", maintain_order=True).agg(
        pl.len().alias("n_units"),
        pl.col("n_cells").sum(),
        pl.col("gh2ax_foci_count_mean").mean(),
        pl.col("gh2ax_foci_count_mean").std().alias("gh2ax_foci_count_mean_sd"),
    ).write_csv(tables / "groups.csv")
    pl.DataFrame(
        [{"column": name, "unit": u, "meaning": m} for name, (u, m) in COLUMNS.items()]
    ).write_csv(tables / "columns.csv")
    (folder / "failures.csv").write_text("image_id,stage,error\n")
    write_provenance(folder)
    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    for row in images:
        save_png(folder / "qc" / f"{row['image_id']}.png", picture)
    return folder


def write_provenance(folder, **changes):
    content = {
        "study": {
            "name": "test",
            "title": "Foci by genotype",
            "text": "study: test\n",
            "sample_columns": ["genotype", "donor"],
            "unit_columns": ["genotype", "donor"],
            "group_columns": ["genotype"],
            "outcomes": ["gh2ax_foci_count", {"of": "p21_positive"}],
        },
        "versions": {"senescope": "0.1.0"},
        "models": [{"name": "compact", "sha256": "ab"}],
        "seconds": 75.0,
        "images": [{"image_id": "image0_0"}],
    }
    (folder / "provenance.json").write_text(json.dumps(content | changes))


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run")


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_page_loads_nothing_from_anywhere(run, tmp_path):
    page = Page(build_report([run], tmp_path / "report.html"))
    assert page.open == []
    for tag, attributes in page.tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "audio", "video"}
        assert "srcset" not in attributes
        assert attributes.get("src", "data:").startswith("data:")
        for name, value in attributes.items():
            assert "http:" not in (value or ""), (tag, name)
            assert "https:" not in (value or ""), (tag, name)
    style = " ".join(page.text)
    assert "@import" not in style
    assert "url(" not in style


def test_the_policy_allows_the_one_script_by_its_hash(run, tmp_path):
    page = Page(build_report([run], tmp_path / "report.html"))
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'")
    assert len(page.all("script")) == 1
    digest = base64.b64encode(hashlib.sha256("".join(page.scripts).encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy


def test_all_sections_and_the_contents_that_lead_to_them(run, tmp_path):
    page = Page(build_report([run], tmp_path / "report.html"))
    assert page.headings() == {
        "design",
        "outcomes",
        "quality",
        "pictures",
        "columns",
        "provenance",
    }
    targets = {a["id"] for _, a in page.tags if "id" in a}
    links = {a["href"][1:] for a in page.all("a") if a["href"].startswith("#")}
    assert {f"run1-{name}" for name in page.headings()} <= links <= targets


def test_the_summary_counts(run, tmp_path):
    (run / "failures.csv").write_text("image_id,stage,error\nx,read,cut off\nx,read,again\n")
    words = Page(build_report([run], tmp_path / "report.html")).words()
    assert "8 images, 4 samples, 2 groups; 240 cells measured; 1 image failed." in words
    assert "cut off" in words


def test_failures_come_first(run, tmp_path):
    (run / "failures.csv").write_text("image_id,stage,error\nx,read,cut off\n")
    page = Page(build_report([run], tmp_path / "report.html"))
    assert page.all("section")[0]["id"] == "run1-failures"


def test_every_picture_and_figure_is_described(run, tmp_path):
    page = Page(build_report([run], tmp_path / "report.html"))
    assert len([i for i in page.all("img") if i["src"].startswith("data:image/webp")]) == 8
    assert all(image.get("alt") for image in page.all("img"))
    assert len(page.all("svg")) == 3
    assert all(figure["role"] == "img" and figure["aria-label"] for figure in page.all("svg"))


def test_ids_are_unique_also_with_two_runs(tmp_path):
    runs = [make_run(tmp_path / name) for name in ("a", "b")]
    page = Page(build_report(runs, tmp_path / "report.html"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_two_runs_make_one_page(tmp_path):
    runs = [make_run(tmp_path / name) for name in ("a", "b")]
    write_provenance(runs[1], study={"title": "The other study"})
    page = Page(build_report(runs, tmp_path / "report.html", "Demo"))
    words = page.words()
    assert "2 studies: 16 images" in words
    assert "Foci by genotype" in words
    assert "The other study" in words
    assert {"run1", "run2"} == {a["id"] for a in page.all("article")}


def test_text_from_files_is_escaped_everywhere(tmp_path):
    donors = (f"H{EVIL}", "W1")
    run = make_run(tmp_path / "run", donors=donors, groups=dict.fromkeys(donors, EVIL))
    (run / "failures.csv").write_text(f'image_id,stage,error\n{EVIL},read,"{EVIL}"\n')
    edit(run / "tables" / "columns.csv", "Number of foci.", EVIL)
    study = json.loads((run / "provenance.json").read_text())["study"]
    write_provenance(run, study=study | {"title": EVIL, "text": EVIL}, warnings=[EVIL])
    path = build_report([run], tmp_path / "report.html")
    assert EVIL not in path.read_text()
    page = Page(path)
    assert len(page.all("script")) == 1
    assert page.words().count(EVIL) > 8


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    first = build_report([run], tmp_path / "a.html").read_bytes()
    assert build_report([run], tmp_path / "b.html").read_bytes() == first
    assert not list(tmp_path.glob("*.tmp"))


def test_an_image_without_picture_is_named(run, tmp_path):
    (run / "qc" / "image0_0.png").unlink()
    (run / "qc" / "image1_0.png").write_bytes(b"not a picture")
    words = Page(build_report([run], tmp_path / "report.html")).words()
    assert "2 without a picture: image0_0, image1_0" in words


def test_an_image_id_cannot_lead_out_of_the_folder(run, tmp_path):
    save_png(tmp_path / "secret.png", np.zeros((8, 8, 3), np.uint8))
    edit(run / "tables" / "images.csv", "image0_0", "../../secret")
    page = Page(build_report([run], tmp_path / "report.html"))
    assert not any("secret" in a["href"] for a in page.all("a"))


def test_links_to_pictures_are_relative_to_the_report(run, tmp_path):
    folder = tmp_path / "elsewhere"
    page = Page(build_report([run], folder / "report.html"))
    links = [a["href"] for a in page.all("a") if a["href"].endswith(".png")]
    assert links
    assert all((folder / link).is_file() for link in links)


def test_many_images_keep_the_page_small(tmp_path):
    donors = [f"H{index}" for index in range(30)]
    run = make_run(tmp_path / "run", donors=donors, fields=10, n_cells=4)
    path = build_report([run], tmp_path / "report.html")
    page = Page(path)
    embedded = [i for i in page.all("img") if i["src"].startswith("data:image/webp")]
    assert len(embedded) == MAX_PICTURES
    assert len([a for a in page.all("a") if a["href"].endswith(".png")]) == 300
    assert "200 of 300 rows" in page.words()
    assert path.stat().st_size < 1_000_000


def test_pictures_are_chosen_from_every_sample():
    samples = {f"{sample}{index}": sample for sample in "abc" for index in range(10)}
    assert evenly(samples, 4) == ["a0", "a1", "b0", "c0"]
    assert evenly(samples, 30) == list(samples)
    many = {f"i{index}": f"s{index}" for index in range(100)}
    assert evenly(many, 3) == ["i0", "i50", "i99"]


@pytest.mark.parametrize(
    ("missing", "section"),
    [
        ("tables/groups.csv", None),
        ("tables/samples.csv", None),
        ("tables/images.csv", "quality"),
        ("tables/columns.csv", "columns"),
        ("tables/cells.parquet", "outcomes"),
        ("provenance.json", "provenance"),
        ("failures.csv", None),
    ],
)
def test_a_missing_file_costs_its_section_at_most(run, tmp_path, missing, section):
    (run / missing).unlink()
    page = Page(build_report([run], tmp_path / "report.html"))
    whole = {"design", "outcomes", "quality", "pictures", "columns", "provenance"}
    assert page.headings() >= whole - {section}
    assert section not in page.headings()


@pytest.mark.parametrize("broken", ["tables/cells.parquet", "provenance.json"])
def test_a_broken_file_is_named(run, tmp_path, broken):
    (run / broken).write_bytes(b"\x00\xff{")
    words = Page(build_report([run], tmp_path / "report.html")).words()
    assert f"{broken.rpartition('/')[2]} could not be read" in words


def test_a_run_without_cells(tmp_path):
    run = make_run(tmp_path / "run", n_cells=0)
    page = Page(build_report([run], tmp_path / "report.html"))
    assert "0 cells measured" in page.words()
    assert "outcomes" not in page.headings()


@pytest.mark.parametrize("name", ["images", "samples", "groups", "columns"])
@pytest.mark.parametrize("content", ["", "n_cells\n", "image_id\n", "a,b\n1,2,3\n4\n"])
def test_odd_tables_do_not_stop_the_report(run, tmp_path, name, content):
    (run / "tables" / f"{name}.csv").write_text(content)
    assert Page(build_report([run], tmp_path / "report.html")).open == []


def test_a_column_of_nan_is_left_out(run, tmp_path):
    path = run / "tables" / "cells.parquet"
    table = pq.read_table(path)
    index = table.schema.get_field_index("gh2ax_foci_count")
    nothing = pa.array([np.nan] * table.num_rows)
    table = table.set_column(index, table.schema.field(index).with_type(pa.float64()), nothing)
    pq.write_table(table, path)
    for name in ("samples", "images"):
        csv = run / "tables" / f"{name}.csv"
        frame = pl.read_csv(csv).with_columns(gh2ax_foci_count_mean=None)
        frame.write_csv(csv)
    page = Page(build_report([run], tmp_path / "report.html"))
    assert len(page.all("svg")) == 2


def test_one_sample_only(tmp_path):
    run = make_run(tmp_path / "run", donors=("H1",), fields=1)
    page = Page(build_report([run], tmp_path / "report.html"))
    assert "1 image, 1 sample, 1 group; 30 cells measured" in page.words()
    assert len(page.all("svg")) == 2  # the cells of one image need no picture of their number


def test_flags_and_scores_are_summed_up(run, tmp_path):
    path = run / "tables" / "images.csv"
    count = pl.read_csv(path).height
    pl.read_csv(path).with_columns(
        flags=pl.Series(["out_of_focus;saturated", "saturated", *[""] * (count - 2)]),
        score_f1=pl.Series([0.8, 0.9, *[None] * (count - 2)]),
    ).write_csv(path)
    words = Page(build_report([run], tmp_path / "report.html")).words()
    assert "saturated 2 out_of_focus 1" in words
    assert "F1, 2 images 0.85" in words


def test_unit_means_are_those_of_the_tables(run, tmp_path):
    """The tables leave out excluded cells; a figure from all cells would contradict them."""
    path = run / "tables" / "samples.csv"
    pl.read_csv(path).with_columns(gh2ax_foci_count_mean=pl.lit(77.0)).write_csv(path)
    page = Page(build_report([run], tmp_path / "report.html"))
    assert "healthy: mean 77 of 2" in page.all("svg")[0]["aria-label"]


def test_excluded_cells_are_not_drawn(run):
    write_provenance(run, settings={"exclude": {"flags": ["p21_positive", "unknown"]}})
    data = read_run(run)
    positive = int(pq.read_table(run / "tables" / "cells.parquet")["p21_positive"].to_numpy().sum())
    assert data.cells("nucleus_area_um2").height == 240 - positive


def test_doses_are_drawn_in_order_of_number(tmp_path):
    run = make_run(tmp_path / "run", donors=("a", "b", "c"))
    doses = {"a": 10.0, "b": 0.0, "c": 2.5}
    path = run / "tables" / "cells.parquet"
    table = pq.read_table(path)
    values = pa.array([doses[donor] for donor in table["donor"].to_pylist()])
    table = table.set_column(table.schema.get_field_index("genotype"), "genotype", values)
    pq.write_table(table, path)
    for name in ("samples", "images"):
        csv = run / "tables" / f"{name}.csv"
        frame = pl.read_csv(csv)
        frame.with_columns(genotype=pl.col("donor").replace_strict(doses)).write_csv(csv)
    page = Page(build_report([run], tmp_path / "report.html"))
    label = page.all("svg")[0]["aria-label"]
    assert re.findall(r"([\d.]+): mean", label) == ["0", "2.5", "10"]


def test_outcomes_are_the_studys_else_chosen_by_name(run):
    assert outcome_columns(read_run(run)) == ["gh2ax_foci_count", "p21_positive"]
    write_provenance(run, study={"outcomes": ["no_such_column", 3, None]})
    chosen = outcome_columns(read_run(run))
    assert chosen[:2] == ["p21_positive", "gh2ax_foci_count"]
    assert "cell_id" not in chosen


def test_intensity_is_shown_without_the_cameras_offset():
    names = ("p21_nucleus_mean", "p21_nucleus_mean_above_background", "nucleus_area_um2")
    columns = {name: Definition("a.u.", "", "number") for name in names}
    run = SimpleNamespace(definitions=columns, keys=(), listed=lambda _: [])
    assert outcome_columns(run) == ["p21_nucleus_mean_above_background", "nucleus_area_um2"]


def test_a_folder_that_is_no_run_is_an_error(tmp_path):
    with pytest.raises(SenescopeError, match="no run in"):
        build_report([tmp_path], tmp_path / "report.html")
    with pytest.raises(SenescopeError, match="at least one"):
        build_report([], tmp_path / "report.html")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (1234567, "1,234,567"), (0.01234, "0.0123"), (5.0, "5")],
)
def test_format_number(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(("value", "text"), [(3.0, "3"), (0.5, "0.5"), (1234567.0, "1234567")])
def test_number_name(value, text):
    assert number_name(value) == text


def add_flag(folder, excluded):
    """Every third cell is debris, and the study leaves it out, or not."""
    path = folder / "tables" / "cells.parquet"
    table = pq.read_table(path)
    field = pa.field("debris", pa.bool_(), metadata={"unit": "flag", "meaning": "No nucleus."})
    values = pa.array(np.arange(table.num_rows) % 3 == 0)
    pq.write_table(table.append_column(field, values), path)
    images = pl.read_csv(folder / "tables" / "images.csv")
    n_out = pl.lit(10 if excluded else 0).alias("n_excluded")
    images.with_columns(n_out, pl.col("n_cells") - n_out).write_csv(folder / "tables/images.csv")
    write_provenance(folder, settings={"exclude": {"flags": ["debris"] if excluded else []}})


@pytest.mark.parametrize("excluded", [True, False])
def test_flagged_and_excluded_cells_are_counted(run, excluded):
    add_flag(run, excluded)
    words = Page(build_report([run], run / "report.html")).words()
    assert "debris 80 33.3% 8 " + ("left out" if excluded else "kept") + " No nucleus." in words
    if excluded:
        assert "80 of 240 cells (33.3%) were left out: debris." in words
    else:
        assert "No cell was left out: all 240 count" in words
    assert "p21 positive 7" not in words


def test_a_plan_is_a_curve_and_a_sentence(run):
    units = (2, 3, 6, 12, 50)
    rows = [
        {
            "outcome": "gh2ax_foci_count", "within": "", "unit": "donor", "sampling": sampling,
            "n_units": n, "n_images_per_unit": 2, "n_cells_per_image": 40,
            "components": "donor 1; cell 2", "detectable_80": 4 / n,
            "detectable_80_cautious": None if n == 6 else 6 / n, "mean": 4, "note": "few units",
        }
        for sampling in ("as in this study", "twice the images")
        for n in units
    ]  # fmt: skip
    pl.DataFrame(rows).write_csv(run / "tables" / "power.csv")
    text = Page(build_report([run], run / "report.html")).words()

    assert "3 find 33.3 % (50 % with a cautious SD)" in text
    assert "6 find 16.7 % (none, however large with a cautious SD)" in text
    assert "in per cent of the reference" in text
    assert "twice the images" in text
    assert list((run / "figures").glob("*gh2ax_foci_count.pdf"))
