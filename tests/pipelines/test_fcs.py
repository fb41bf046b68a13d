import struct
import sys

import flowio
import numpy as np
import pyarrow as pa
import pytest

from measurements.columns import Column
from pipelines.errors import SenescopeError, StudyError
from pipelines.fcs import write_fcs, write_fcs_files
from pipelines.tables import arrow_table


def cells():
    measured = {
        Column("sample", "key", "str", "Sample.", "samples"): np.array(["h1", "w1", "h1", "w1"]),
        Column("gfp_unmixed", "a.u.", "float64", "GFP.", "test"): np.array([-3.5, 1e5, 0.25, 7.0]),
        Column("area_um2", "1/µm²", "float64", "Area.", "test"): np.array([1.0, 2.0, np.nan, 4.0]),
        Column("gfp_positive", "flag", "bool", "GFP+.", "test"): np.array([0, 1, 0, 1], dtype=bool),
        Column("cell_id", "key", "uint32", "Cell.", "test"): np.array(
            [1, 2, 3, 4], dtype=np.uint32
        ),
    }
    return arrow_table(measured)


CHANNELS = ["gfp_unmixed", "area_um2", "gfp_positive", "cell_id"]


def test_values_come_back_as_written(tmp_path):
    (written,) = write_fcs_files(tmp_path, cells(), CHANNELS)
    assert (written.path.name, written.n_events, written.n_left_out) == ("cells.fcs", 3, 1)
    read = flowio.FlowData(written.path)
    assert read.version == "3.1"
    assert read.pnn_labels == ["row", *CHANNELS]
    assert read.pns_labels[1:] == ["a.u.", "1/µm²", "flag", "key"]
    # Below 0 stays below 0, flags are 0 and 1, and the row tells which cells these are.
    expected = [[0, -3.5, 1, 0, 1], [1, 1e5, 2, 1, 2], [3, 7, 4, 1, 4]]
    np.testing.assert_array_equal(read.as_array(), expected)


def test_the_bytes_are_those_of_the_standard(tmp_path):
    """Header, offsets and data read by hand, so that writer and reader cannot err together."""
    (written,) = write_fcs_files(tmp_path, cells(), ["gfp_unmixed"])
    content = written.path.read_bytes()
    assert content[:10] == b"FCS3.1    "
    text_start, text_end, data_start, data_end = (
        int(content[10 + 8 * i : 18 + 8 * i]) for i in range(4)
    )
    parts = content[text_start : text_end + 1].decode().split("/")[1:-1]
    text = dict(zip(parts[::2], parts[1::2], strict=True))
    wanted = {"$DATATYPE": "F", "$MODE": "L", "$BYTEORD": "1,2,3,4", "$PAR": "2", "$TOT": "4"}
    assert {k: text[k] for k in wanted} == wanted
    assert (text["$P2N"], text["$P2B"], text["$P2E"]) == ("gfp_unmixed", "32", "0,0")
    # The range covers the largest value, 100,000.
    assert text["$P2R"] == str(2**17)
    assert data_end + 1 == len(content)
    values = struct.unpack("<8f", content[data_start : data_end + 1])
    assert values[1::2] == (-3.5, 1e5, 0.25, 7.0)


def test_one_file_a_sample(tmp_path):
    written = write_fcs_files(tmp_path, cells(), CHANNELS, by="sample")
    assert [(w.path.name, w.n_events, w.n_left_out) for w in written] == [
        ("h1.fcs", 1, 1),
        ("w1.fcs", 2, 0),
    ]
    assert flowio.FlowData(written[1].path).as_array()[:, 0].tolist() == [1, 3]
    assert flowio.FlowData(written[0].path).text["senescope_cells_left_out"] == "1"


def test_nulls_are_gaps_and_no_cells_are_no_events(tmp_path):
    table = pa.table({"gfp": pa.array([1.0, None, np.inf]), "on": pa.array([True, False, None])})
    written = write_fcs(tmp_path / "a.fcs", table, ["gfp", "on"], np.arange(3))
    assert (written.n_events, written.n_left_out) == (1, 2)
    none = write_fcs(tmp_path / "b.fcs", table, ["gfp"], np.arange(0))
    assert none.n_events == 0
    assert flowio.FlowData(none.path).text["tot"] == "0"


def test_same_table_same_bytes(tmp_path):
    first, again = (
        write_fcs_files(tmp_path / name, cells(), CHANNELS)[0].path.read_bytes() for name in "ab"
    )
    assert first == again


def test_odd_sample_names_become_file_names(tmp_path):
    table = pa.table({"sample": ["a/b c", "µ1", ".."], "gfp": [1.0, 2.0, 3.0]})
    names = [w.path.name for w in write_fcs_files(tmp_path, table, ["gfp"], by="sample")]
    assert names == ["a_b_c.fcs", "µ1.fcs", "_.fcs"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize("pair", [("a/b", "a b"), ("H1", "h1")])
def test_samples_that_would_share_a_file_are_refused(tmp_path, pair):
    table = pa.table({"sample": list(pair), "gfp": [1.0, 2.0]})
    with pytest.raises(StudyError, match="both be written"):
        write_fcs_files(tmp_path, table, ["gfp"], by="sample")


@pytest.mark.parametrize(
    ("channels", "by", "said"),
    [
        (["gfp"], None, "gfp was asked for"),
        (["gfp_unmixed"], "donor", "donor was asked for"),
        ([], None, "at least one column"),
        (["sample"], None, "leave out sample"),
        (["gfp_unmixed", "gfp_unmixed"], None, "named twice"),
    ],
)
def test_columns_that_do_not_fit_are_named(tmp_path, channels, by, said):
    with pytest.raises(StudyError, match=said):
        write_fcs_files(tmp_path, cells(), channels, by)


def test_numbers_that_would_change_are_refused(tmp_path):
    with pytest.raises(StudyError, match="16777216"):
        write_fcs_files(tmp_path, pa.table({"cell_id": [1, 2**24 + 1]}), ["cell_id"])
    with pytest.raises(StudyError, match="32 bits"):
        write_fcs_files(tmp_path, pa.table({"sum": [1e39]}), ["sum"])


def test_without_the_library_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "flowio", None)
    with pytest.raises(SenescopeError, match=r"senescope\[fcs\]"):
        write_fcs_files(tmp_path, cells(), CHANNELS)
