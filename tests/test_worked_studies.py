"""The worked studies of docs/: what was planted is found, and nothing where nothing was planted."""

import polars as pl
import pytest
from scipy import stats

from tests.worked_studies import run_worked

ADJUSTED = 0.05


@pytest.fixture(scope="module", params=["werner", "liver"])
def studies(request, tmp_path_factory):
    """The tables of one study, with its effects and without, by the name of the study."""
    folder = tmp_path_factory.mktemp(request.param)
    runs = {
        null: run_worked(request.param, folder / str(null), null=null) for null in (False, True)
    }
    return request.param, {null: run.output / "tables" for null, run in runs.items()}


def primary(tables):
    rows = pl.read_csv(tables / "statistics.csv").filter(pl.col("role") == "primary")
    return {
        (row["outcome"], row["contrast"].removeprefix("treatment: ")): row
        for row in rows.iter_rows(named=True)
    }


def found(tables):
    return {key for key, row in primary(tables).items() if row["p_adjusted"] < ADJUSTED}


@pytest.mark.slow
def test_what_was_planted_is_found_and_nothing_else(studies):
    name, tables = studies
    genotype = "genotype: werner - healthy"
    planted = {
        "werner": {("beta_gal_positive", genotype), ("gh2ax_foci_count", genotype)},
        "liver": {
            ("cdkn1a_positive", "il1r1_inhibitor - vehicle, within model MEK1"),
            ("cdkn1a_positive", "clodronate - vehicle, within model MKK6"),
        },
    }[name]
    assert found(tables[False]) == planted
    assert found(tables[True]) == set()
    effects = primary(tables[False])
    for key in planted:
        low, high = effects[key]["ci_low"], effects[key]["ci_high"]
        assert low > 0 if name == "werner" else high < 0
    if name == "liver":
        # Planted: 20 % of marker-negative cells, 8 % where the inhibitor works.
        true = 0.08 - 0.20
        assert all(effects[k]["ci_low"] < true < effects[k]["ci_high"] for k in planted)


@pytest.mark.slow
def test_cells_taken_as_n_find_what_is_not_there(studies):
    name, tables = studies
    if name == "liver":
        pytest.skip("its animals differ too little for that")
    cells = pl.read_parquet(tables[True] / "cells.parquet").partition_by("genotype")
    groups = [group["beta_gal_mean_od"].to_numpy() for group in cells]

    assert stats.ttest_ind(*groups, equal_var=False).pvalue < 0.05
