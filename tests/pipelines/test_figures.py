import re
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

from pipelines.report.axes import Groups, Level, Quantity, positions
from pipelines.report.marks import violin
from pipelines.report.superplot import superplot


def frame(rows):
    return pl.DataFrame(
        rows, schema={"group": pl.String, "unit": pl.String, "value": pl.Float64}, orient="row"
    )


@pytest.fixture
def study():
    random = np.random.default_rng(1)
    rows = [
        (group, f"{group}{unit}", float(value))
        for group, mean in (("healthy", 10), ("WS", 20))
        for unit in range(3)
        for value in random.normal(mean + unit, 2, 100)
    ]
    cells = frame(rows)
    units = cells.group_by("group", "unit", maintain_order=True).agg(pl.col("value").mean())
    return cells, units, Groups("genotype", {"healthy": Level("healthy"), "WS": Level("WS")})


def texts(svg):
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter("text")]


def test_the_same_data_give_the_same_bytes(study):
    cells, units, groups = study
    first, second = (superplot(cells, units, Quantity("foci"), groups, "k") for _ in range(2))
    assert first == second


def test_ids_of_two_figures_never_meet(study):
    cells, units, groups = study
    found = [
        set(re.findall(r'id="([^"]+)"', superplot(cells, units, Quantity("a"), groups, key).svg))
        for key in ("run1-f0", "run1-f1")
    ]
    assert found[0]
    assert not found[0] & found[1]


def test_every_reference_has_its_target(study):
    cells, units, groups = study
    svg = superplot(cells, units, Quantity("a"), groups, "k").svg
    targets = set(re.findall(r'id="([^"]+)"', svg))
    references = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    assert references
    assert references <= targets


def test_text_is_text_and_colours_follow_the_page(study):
    cells, units, groups = study
    svg = superplot(cells, units, Quantity("area", "µm²"), groups, "k").svg
    assert {"area (µm²)", "genotype", "healthy", "n = 3"} <= set(texts(svg))
    assert "currentColor" in svg
    assert "var(--rule)" in svg
    assert "DejaVu" not in svg
    assert "http" not in svg
    assert "<style" not in svg


def test_the_label_gives_the_means_of_units(study):
    cells, units, groups = study
    root = ElementTree.fromstring(superplot(cells, units, Quantity("foci"), groups, "k").svg)
    mean = units.filter(pl.col("group") == "WS")["value"].mean()
    assert root.get("role") == "img"
    assert f"WS: mean {mean:.3g} of 3" in root.get("aria-label")


def test_extreme_cells_do_not_flatten_the_axis_and_are_counted(study):
    cells, units, groups = study
    extreme = pl.concat([cells, frame([("WS", "WS0", 1e6), ("WS", "WS0", -1e6)])])
    drawing = superplot(extreme, units, Quantity("foci"), groups, "k")
    assert drawing.note.startswith("2 of 602 cells")
    numbers = [float(text) for text in texts(drawing.svg) if re.fullmatch(r"\d+(\.\d+)?", text)]
    assert max(numbers) < 100


def test_shares_are_in_per_cent_and_without_cells(study):
    cells, _, groups = study
    units = frame([("healthy", "a", 0.05), ("WS", "b", 0.4)])
    drawing = superplot(cells, units, Quantity("p21 positive", share=True), groups, "k")
    assert "p21 positive (% of cells)" in texts(drawing.svg)
    assert "40" in texts(drawing.svg)


@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [np.inf]])
def test_nothing_finite_draws_nothing(study, values):
    groups = study[2]
    rows = frame([("WS", "a", value) for value in values])
    assert superplot(rows, rows, Quantity("a"), groups, "k") is None


def test_one_unit_with_one_value_is_drawn():
    one = frame([("all", "a", 3.0)])
    drawing = superplot(one, one, Quantity("a"), Groups("", {"all": Level("all")}), "k")
    assert "n = 1" in texts(drawing.svg)


def test_names_that_are_markup_math_or_control_characters_stay_names():
    name = "<script>$\\frac$\x00&"
    one = frame([(name, "a", 3.0), (name, "b", 4.0)])
    drawing = superplot(one, one, Quantity("$x"), Groups(name, {name: Level(name)}), "k")
    assert "<script" not in drawing.svg
    assert "<script>$\\frac$\ufffd&" in texts(drawing.svg)


def test_numbers_are_placed_to_scale():
    assert positions([Level(str(v), float(v)) for v in (0, 1, 2, 4)]) == [0, 1, 2, 4]


def test_doses_over_decades_are_placed_by_logarithm_with_zero_one_step_left():
    doses = [0.0, 0.1, 1.0, 10.0, 100.0]
    assert positions([Level(str(v), v) for v in doses]) == pytest.approx([0, 1, 2, 3, 4])


def test_series_stand_side_by_side_at_their_number():
    levels = [Level(str(v), float(v), s) for v in (0, 1) for s in ("a", "b")]
    first, second, third, fourth = positions(levels)
    assert first < second < third < fourth
    assert third - first == pytest.approx(1)


def test_names_are_placed_one_apart():
    assert positions([Level("b"), Level("a")]) == [0, 1]
    assert positions([]) == []


def test_means_are_joined_only_along_numbers(study):
    cells, units, names = study
    numbers = Groups("dose", {"healthy": Level("0", 0.0), "WS": Level("5", 5.0)})
    plain = superplot(cells, units, Quantity("a"), names, "k").svg
    joined = superplot(cells, units, Quantity("a"), numbers, "k").svg
    assert joined.count("<path") == plain.count("<path") + 1
    assert "n = 3" not in texts(joined)


def test_more_units_than_colours_need_no_legend():
    rows = frame([("a", f"unit{index}", float(index)) for index in range(12)])
    drawing = superplot(rows, rows, Quantity("v"), Groups("g", {"a": Level("a")}), "k")
    assert not any("unit" in text for text in texts(drawing.svg))


def test_many_cells_keep_the_figure_small():
    random = np.random.default_rng(0)
    count = 60_000
    cells = pl.DataFrame(
        {
            "group": random.choice(["a", "b"], count),
            "unit": random.choice(["u", "v"], count),
            "value": random.normal(size=count),
        }
    )
    units = cells.group_by("group", "unit", maintain_order=True).agg(pl.col("value").mean())
    groups = Groups("g", {"a": Level("a"), "b": Level("b")})
    drawing = superplot(cells, units.sort("group", "unit"), Quantity("v"), groups, "k")
    assert len(drawing.svg) < 80_000


def test_violin_peaks_where_the_values_are():
    grid, height = violin(np.random.default_rng(0).normal(5, 1, 2000))
    assert grid[np.argmax(height)] == pytest.approx(5, abs=0.4)
    assert height.max() == 1


def test_violin_of_counts_is_one_shape_not_a_comb():
    _, height = violin(np.random.default_rng(0).poisson(3, 4000).astype(float))
    falls = np.diff(np.sign(np.diff(height)))
    assert (falls < 0).sum() == 1


@pytest.mark.parametrize("values", [np.array([]), np.ones(100), np.arange(5.0)])
def test_no_violin_for_too_few_or_equal_values(values):
    assert violin(values) is None
