"""A watched folder: what is still written, renamed, replaced, doubled or gone between sweeps."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import tifffile

from pipelines.errors import BusyError, StudyError
from pipelines.review.store import Exclusion, read_exclusions, write_exclusions
from pipelines.run.image import process_image
from pipelines.run.layout import Layout
from pipelines.run.lock import only_run
from pipelines.study.watching import Watch
from pipelines.watch.settling import settled
from pipelines.watch.sweep import Swept, sweep
from tests.studies import read_csv, run_here, without_report, write_study

ROOT = Path(__file__).parents[2]


def watched(tmp_path: Path, images: int = 3, watch: str = "settle_s: 0") -> Path:
    """A study of whatever lies in raw/, which is filled from aside/."""
    study = write_study(tmp_path / "aside", images=images, more=f"watch: {{{watch}}}")
    text = study.read_text().replace("samples: samples.csv", "images: raw/{field}.tif")
    path = tmp_path / "study.yaml"
    path.write_text(text)
    (tmp_path / "raw").mkdir()
    return path


def arrives(study: Path, number: int, name: str = "") -> Path:
    path = study.parent / "raw" / (name or f"field{number}.tif")
    path.write_bytes((study.parent / "aside" / f"field{number}.tif").read_bytes())
    return path


def swept(study: Path, sleep=lambda seconds: None) -> Swept:
    def measure(plan):
        return [process_image(task) for task in plan.tasks]

    with without_report():
        return sweep(study, study.parent / "out", measure, sleep=sleep)


def in_tables(study: Path) -> list[str]:
    return [row["image_id"] for row in read_csv(Layout(study.parent / "out").table("images"))]


def assert_same_as_one_run(study: Path) -> None:
    """The tables of sweeps are those of one run over the folder as it is now."""
    run_here(study, study.parent / "at_once")
    for path in sorted((study.parent / "at_once" / "tables").iterdir()):
        assert path.read_bytes() == (study.parent / "out/tables" / path.name).read_bytes(), path


def test_sweeps_measure_what_is_new_and_give_the_tables_of_one_run(tmp_path):
    study = watched(tmp_path)
    nothing = swept(study)
    assert nothing.summary is None
    assert "Nothing is ready" in nothing.sentences()[-1]
    arrives(study, 0)
    assert swept(study).summary.n_images == 1
    arrives(study, 1)
    second = swept(study).summary
    assert (second.n_images, second.kept) == (2, 1)
    assert_same_as_one_run(study)


def test_a_file_that_grows_is_left_for_the_next_sweep(tmp_path):
    study = watched(tmp_path)
    arrives(study, 0)
    growing = arrives(study, 1)
    whole = growing.read_bytes()
    growing.write_bytes(whole[:500])

    def microscope(seconds):
        growing.write_bytes(whole[:4000])

    first = swept(study, microscope)
    assert in_tables(study) == ["field0"]
    assert [row.image_id for row in first.look.waiting] == ["field1"]
    assert read_csv(Layout(tmp_path / "out").failures) == []
    growing.write_bytes(whole)
    assert swept(study).summary.kept == 1
    assert_same_as_one_run(study)


def test_clocks_play_no_part(tmp_path):
    """A file from the future or from 1970 is as settled as any other."""
    paths = [tmp_path / "a", tmp_path / "b"]
    for path, when in zip(paths, (4e9, 0), strict=True):
        path.write_bytes(b"x")
        os.utime(path, (when, when))
    assert set(settled(paths, Watch(), lambda seconds: None)) == set(paths)
    assert settled(paths, Watch(), lambda seconds: os.utime(paths[0], (5, 5))).keys() == {paths[1]}


def test_with_sidecars_an_image_waits_for_its_own(tmp_path):
    study = watched(tmp_path, watch="settle_s: 0, sidecar: .done")
    arrives(study, 0)
    path = arrives(study, 1)
    path.with_name("field1.tif.done").touch()
    swept(study)
    assert in_tables(study) == ["field1"]


def test_a_renamed_image_is_known_again(tmp_path):
    study = watched(tmp_path)
    path = arrives(study, 0)
    arrives(study, 1)
    swept(study)
    path.rename(path.with_name("well_b.tif"))
    second = swept(study)
    assert dict(second.look.renamed) == {"field0": "well_b"}
    assert second.summary.kept == 2
    assert in_tables(study) == ["field1", "well_b"]
    assert Layout(tmp_path / "out").qc("well_b").is_file()
    assert not Layout(tmp_path / "out").qc("field0").exists()
    assert_same_as_one_run(study)


def test_what_was_decided_of_a_renamed_image_follows_it(tmp_path):
    study = watched(tmp_path)
    path = arrives(study, 0)
    swept(study)
    layout = Layout(tmp_path / "out")
    write_exclusions(layout, [Exclusion("field0", 1, reason="debris"), Exclusion("elsewhere", 2)])
    path.rename(path.with_name("well_b.tif"))
    swept(study)
    assert read_exclusions(layout) == [
        Exclusion("elsewhere", 2),
        Exclusion("well_b", 1, reason="debris"),
    ]
    cells = pl.read_parquet(layout.cells)
    assert cells.filter(pl.col("excluded_by_hand"))["cell_id"].to_list() == [1]


def test_a_replaced_image_is_measured_anew(tmp_path):
    study = watched(tmp_path)
    arrives(study, 0)
    swept(study)
    (tmp_path / "raw" / "field0.tif").write_bytes((tmp_path / "aside" / "field2.tif").read_bytes())
    assert swept(study).summary.kept == 0
    assert_same_as_one_run(study)


def test_a_copy_is_a_failure_and_counts_no_cell_twice(tmp_path):
    study = watched(tmp_path)
    arrives(study, 1)
    swept(study)
    arrives(study, 1, "copy of field1.tif")  # before the other in the order of names
    summary = swept(study).summary
    assert (summary.n_images, summary.n_failed) == (1, 1)
    failure = read_csv(Layout(tmp_path / "out").failures)[0]
    assert failure["image_id"] == "copy_of_field1"
    assert "the same content as field1" in failure["error"]
    (tmp_path / "raw" / "copy of field1.tif").unlink()
    assert swept(study).summary.n_failed == 0
    assert_same_as_one_run(study)


def test_images_that_are_gone_leave_the_tables_only_when_told(tmp_path):
    study = watched(tmp_path)
    path = arrives(study, 0)
    swept(study)
    cells = pl.read_parquet(Layout(tmp_path / "out").cells)
    away = path.rename(tmp_path / "away.tif")
    arrives(study, 1)
    held = swept(study)
    assert held.held_back
    assert "field0" in " ".join(held.sentences())
    assert pl.read_parquet(Layout(tmp_path / "out").cells).equals(cells)
    away.rename(path)  # as a network folder that comes back
    assert swept(study).summary.kept == 2  # the new one was measured in the meantime
    assert_same_as_one_run(study)
    path.unlink()
    study.write_text(study.read_text().replace("settle_s: 0", "settle_s: 0, missing: drop"))
    assert swept(study).summary.n_images == 1
    assert_same_as_one_run(study)


def test_a_sample_table_may_name_images_that_are_not_there_yet(tmp_path):
    study = write_study(tmp_path, images=2, more="watch: {settle_s: 0}")
    late = (tmp_path / "field1.tif").rename(tmp_path / "late")
    first = swept(study)
    assert "field1.tif" in first.absent[0]
    assert in_tables(study) == ["field0"]
    late.rename(tmp_path / "field1.tif")
    swept(study)
    assert_same_as_one_run(study)


def test_a_wrong_table_is_an_error_and_nothing_is_written(tmp_path):
    study = write_study(tmp_path, images=1)
    (tmp_path / "samples.csv").write_text("image,donor\n,D0\n")
    with pytest.raises(StudyError, match="column 'image' is empty"):
        swept(study)


def test_an_image_that_is_written_anew_keeps_its_rows_until_then(tmp_path):
    study = watched(tmp_path)
    path = arrives(study, 0)
    arrives(study, 1)
    swept(study)
    path.write_bytes(tifffile.imread(path).tobytes()[:700])
    again = swept(study, lambda seconds: path.write_bytes(b"II*\0 half of it"))
    assert again.summary.kept == 1
    assert in_tables(study) == ["field0", "field1"]


HOLD = """
import sys, time
from pathlib import Path
from pipelines.run.lock import only_run
with only_run(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_runs_never_meet_and_a_dead_one_holds_nothing(tmp_path):
    leftover = tmp_path / "out" / "parts" / "f" / ".cells.parquet.abcd1234"
    leftover.mkdir(parents=True)
    held = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "out")], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert held.stdout.readline() == b"held\n"
        assert not leftover.exists()
        with pytest.raises(BusyError, match=f"process {held.pid} on "), only_run(tmp_path / "out"):
            pass
    finally:
        held.kill()
        held.wait()
    with only_run(tmp_path / "out"):
        pass
