"""The samples as tables for R, Prism and Excel, read back by pandas and the csv module."""

import csv
import json

import pandas as pd
import pytest

from pipelines.errors import StudyError
from pipelines.export.run import export_run
from pipelines.export.samples import write_samples
from pipelines.export.source import read_source
from tests.pipelines.test_export import write_run

SAMPLES = """genotype,donor,batch,n_cells,gfp_positive_fraction,area_mean
healthy,MAR1,007,12,0.1,0.30000000000000004
healthy,Müller,008,3,,1e-07
werner,d3,009,40,0.5,2.5
"""


@pytest.fixture
def folder(tmp_path):
    write_run(tmp_path)
    (tmp_path / "tables" / "samples.csv").write_text(SAMPLES, encoding="utf-8")
    path = tmp_path / "provenance.json"
    content = json.loads(path.read_text())
    content["study"] |= {
        "sample_columns": ["genotype", "donor", "batch"],
        "group_columns": ["genotype"],
        "outcomes": ["gfp_positive", {"of": "gfp_positive", "within": {"x": 1}}, "area"],
    }
    path.write_text(json.dumps(content))
    return tmp_path


def test_numbers_come_back_and_names_stay_names(folder, tmp_path):
    done = write_samples(read_source(folder), tmp_path / "out")
    as_text = pd.read_csv(done.samples[0], dtype={"batch": str}, float_precision="round_trip")
    typed = pd.read_parquet(done.samples[1])

    for table in (as_text, typed):
        assert table["batch"].tolist() == ["007", "008", "009"]
        assert table["donor"].tolist() == ["MAR1", "Müller", "d3"]
        assert table["area_mean"].tolist() == [0.1 + 0.2, 1e-7, 2.5]
        assert table["gfp_positive_fraction"].isna().tolist() == [False, True, False]
    assert done.samples[0].read_bytes().startswith(b"\xef\xbb\xbf")  # of Müller
    assert "donor MAR1" in done.changed


def test_prism_has_a_column_a_group(folder, tmp_path):
    done = write_samples(read_source(folder), tmp_path / "out", decimal_comma=True)
    [fraction, area] = done.prism
    rows = list(csv.reader(fraction.open(encoding="utf-8-sig"), delimiter=";"))

    assert rows == [["healthy", "werner"], ["0,1", "0,5"], ["", ""]]
    assert area.name == "area_mean.csv"
    assert done.left_out == ("gfp_positive within some cells",)


def test_what_is_said(folder, tmp_path):
    said = " ".join(export_run(folder, "samples", tmp_path / "out"))

    assert "samples.parquet" in said
    assert "MAR1" in said
    (folder / "tables" / "samples.csv").unlink()
    with pytest.raises(StudyError, match="no tables/samples"):
        export_run(folder, "samples", tmp_path / "out")
