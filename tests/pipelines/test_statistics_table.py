"""From a cells table to statistics.csv: the n, the subsets, the words where there is no number."""

import math

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from pipelines.errors import StudyError
from pipelines.statistics import STATISTICS_COLUMNS, statistics_rows
from pipelines.statistics.moments import Outcome, image_moments, merged
from pipelines.study import parse_study

STUDY = """
study: small
samples: samples.csv
channels: {{dna: 0}}
segmentation:
  nuclei: {{channel: dna, diameter_px: 20}}
measurements: [{{type: morphology}}]
exclude: {{flags: [debris]}}
statistics:
  unit: donor
  factors: [{factors}]
  {more}
"""


def study(factors="genotype", more="reference: {genotype: healthy}"):
    return parse_study(STUDY.format(factors=factors, more=more), "study")


def cells(path, rows, *, counts=("foci",)):
    """A cells table as a run leaves it; number columns named in `counts` are counts."""
    table = pl.DataFrame(rows, infer_schema_length=None).to_arrow()
    fields = [
        field.with_metadata({"unit": "count"}) if field.name in counts else field
        for field in table.schema
    ]
    pq.write_table(table.cast(pa.schema(fields)), path)
    return path


def donors(rng, groups, *, images=2, n=12):
    """Cells of donors with values of their own: intensity, foci, positive, debris."""
    rows = []
    for group, names in groups.items():
        for donor in names:
            own = rng.normal(0, 0.4)
            for image in range(images):
                for _ in range(n):
                    value = float(np.exp(own + rng.normal(0, 0.3)))
                    rows.append(
                        {
                            "image_id": f"{donor}_{image}",
                            "genotype": group,
                            "donor": donor,
                            "intensity": value,
                            "foci": int(rng.poisson(3 * value)),
                            "positive": value > 1,
                            "debris": bool(rng.random() < 0.1),
                        }
                    )
    return rows


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    groups = {"healthy": ["a", "b", "c", "d"], "werner": ["e", "f", "g", "h"]}
    return cells(tmp_path / "cells.parquet", donors(rng, groups))


def by_role(rows, outcome):
    return {row["role"]: row for row in rows if row["outcome"] == outcome}


def test_the_unit_is_the_n_and_excluded_cells_do_not_count(table):
    more = "outcomes: [intensity]\n  reference: {genotype: healthy}"
    rows = statistics_rows(study(more=more), table)
    row = by_role(rows, "intensity")["primary"]

    frame = pl.read_parquet(table).filter(~pl.col("debris"))
    means = frame.group_by("genotype", "donor").agg(pl.col("intensity").mean())
    sides = [
        means.filter(pl.col("genotype") == g)["intensity"].to_numpy() for g in ("werner", "healthy")
    ]
    expected = stats.ttest_ind(*sides, equal_var=False)
    assert row["p"] == pytest.approx(expected.pvalue)
    assert row["contrast"] == "genotype: werner - healthy"
    assert (row["n_units"], row["n_units_reference"]) == (4, 4)
    assert row["n_cells"] + row["n_cells_reference"] == frame.height
    assert row["mean"] - row["mean_reference"] == pytest.approx(row["estimate"])


def test_each_kind_of_outcome_has_its_model_beside(table):
    more = "outcomes: [intensity, foci, positive]\n  reference: {genotype: healthy}"
    rows = statistics_rows(study(more=more), table)

    scales = {
        name: by_role(rows, name)["beside"]["scale"] for name in ("intensity", "foci", "positive")
    }
    assert scales == {
        "intensity": "ratio of geometric means",
        "foci": "rate ratio",
        "positive": "odds ratio",
    }
    for row in rows:
        assert 0 < row["p"] <= row["p_adjusted"] <= 1
        assert set(row) <= {column.name for column in STATISTICS_COLUMNS}


def test_holm_counts_the_comparisons_of_a_role(table):
    more = "outcomes: [intensity, foci, positive]\n  reference: {genotype: healthy}"
    p = sorted(r["p"] for r in statistics_rows(study(more=more), table) if r["role"] == "primary")
    adjusted = sorted(
        r["p_adjusted"] for r in statistics_rows(study(more=more), table) if r["role"] == "primary"
    )

    running = np.maximum.accumulate(np.array(p) * [3, 2, 1])
    assert adjusted == pytest.approx(np.minimum(running, 1))


def test_a_subset_of_cells_is_compared_and_named(tmp_path):
    rng = np.random.default_rng(1)
    rows = donors(rng, {"healthy": ["a", "b", "c"], "werner": ["d", "e", "f"]})
    for row in rows:
        row["reporter_class"] = rng.choice(["primary", "secondary", "negative"])
    path = cells(tmp_path / "cells.parquet", rows)
    more = (
        "outcomes: [{of: foci, within: {reporter_class: [secondary, negative]}}]\n"
        "  reference: {genotype: healthy}"
    )

    row = by_role(statistics_rows(study(more=more), path), "foci")["primary"]

    kept = pl.read_parquet(path).filter(
        ~pl.col("debris") & pl.col("reporter_class").is_in(["secondary", "negative"])
    )
    assert row["within"] == "reporter_class secondary or negative"
    assert row["n_cells"] + row["n_cells_reference"] == kept.height


def test_planned_contrasts_are_the_ones_that_are_tested(tmp_path):
    rng = np.random.default_rng(2)
    rows = []
    for model in ("MEK1", "MKK6"):
        for treatment in ("vehicle", "inhibitor"):
            names = [f"{model}{treatment}{i}" for i in range(3)]
            more = {"model": model, "treatment": treatment}
            rows += [row | more for row in donors(rng, {treatment: names})]
    path = cells(tmp_path / "cells.parquet", rows)
    more = (
        "outcomes: [intensity]\n  contrasts:\n"
        "    - {within: {model: MEK1}, compare: {treatment: [inhibitor, vehicle]}}\n"
        "    - {compare: {treatment: [inhibitor, vehicle]}}"
    )

    found = statistics_rows(study("model, treatment", more), path)

    primary = [row for row in found if row["role"] == "primary"]
    assert [row["contrast"] for row in primary] == [
        "treatment: inhibitor - vehicle, within model MEK1",
        "treatment: inhibitor - vehicle",
    ]
    assert [row["n_units"] for row in primary] == [3, 6]
    assert {row["contrast"] for row in found if row["role"] == "omnibus"} == {
        "model", "treatment", "model x treatment"
    }  # fmt: skip


def test_a_contrast_of_an_unknown_level_names_the_nearest(table):
    more = "outcomes: [foci]\n  contrasts: [{compare: {genotype: [wernr, healthy]}}]"

    with pytest.raises(StudyError, match="did you mean 'werner'"):
        statistics_rows(study(more=more), table)


@pytest.mark.parametrize(
    ("outcome", "why"),
    [("foci_cuont", "no column 'foci_cuont'"), ("nothing", "no cell has a value")],
)
def test_an_outcome_without_values_is_a_row_that_says_so(tmp_path, outcome, why):
    rng = np.random.default_rng(3)
    rows = [row | {"nothing": math.nan} for row in donors(rng, {"healthy": "ab", "werner": "cd"})]
    path = cells(tmp_path / "cells.parquet", rows)

    (row,) = statistics_rows(
        study(more=f"outcomes: [{outcome}]\n  reference: {{genotype: healthy}}"), path
    )

    assert why in row["note"]
    assert math.isnan(row["p"])


def test_one_donor_a_group_gives_an_estimate_and_no_p(tmp_path):
    rng = np.random.default_rng(4)
    path = cells(tmp_path / "cells.parquet", donors(rng, {"healthy": ["a"], "werner": ["b"]}))
    more = "outcomes: [intensity]\n  reference: {genotype: healthy}"

    rows = by_role(statistics_rows(study(more=more), path), "intensity")

    assert math.isfinite(rows["primary"]["estimate"])
    assert "fewer than 2 units" in rows["primary"]["note"]
    assert math.isnan(rows["beside"]["p"])
    assert rows["beside"]["note"]


def test_clones_of_two_donors_with_one_name_are_two_clones(tmp_path):
    rng = np.random.default_rng(5)
    rows = donors(rng, {"healthy": ["a", "b", "c"], "werner": ["d", "e", "f"]}, images=4)
    for row in rows:
        row["clone"] = "1" if row["image_id"][-1] in "01" else "2"
    path = cells(tmp_path / "cells.parquet", rows)
    base = "outcomes: [intensity]\n  reference: {genotype: healthy}\n  random: [clone]"
    named = [row | {"clone": row["donor"] + row["clone"]} for row in rows]
    other = cells(tmp_path / "named.parquet", named)

    first, second = (
        by_role(statistics_rows(study(more=base), p), "intensity")["beside"] for p in (path, other)
    )
    assert first == second


def test_a_donor_in_both_groups_may_be_unit_and_block(tmp_path):
    # As the check proposes it: each donor's cells with and without treatment, compared within it.
    both = ["d1", "d2", "d3", "d4"]
    rows = donors(np.random.default_rng(2), {"healthy": both, "werner": both})
    path = cells(tmp_path / "cells.parquet", rows)
    design = "reference: {genotype: healthy}\n  blocks: donor\n  outcomes: [intensity]"
    found = by_role(statistics_rows(study(more=design), path), "intensity")

    means = pl.read_parquet(path).filter(~pl.col("debris")).group_by("genotype", "donor")
    wide = means.agg(pl.col("intensity").mean()).pivot("genotype", index="donor")
    expected = stats.ttest_rel(wide["werner"], wide["healthy"])
    assert found["primary"]["p"] == pytest.approx(expected.pvalue)
    assert found["beside"]["test"]


def test_moments_of_images_merge_into_those_of_their_cells(table):
    outcome = Outcome("intensity", {}, "number")
    units = merged(image_moments(table, outcome, ["donor"], ["debris"]), ["donor"])

    frame = pl.read_parquet(table).filter(~pl.col("debris"))
    for row in units.iter_rows(named=True):
        values = frame.filter(pl.col("donor") == row["donor"])["intensity"].to_numpy()
        assert row["n"] == values.size
        assert row["mean"] == pytest.approx(values.mean())
        assert row["squares"] == pytest.approx(((values - values.mean()) ** 2).sum())
        assert row["n_images"] == 2
