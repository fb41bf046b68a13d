"""The commands as a user types them."""

import errno
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from pipelines.cli import app, errors_for_people
from tests.studies import DEMO, read_csv, times, write_study


def senescope(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def test_the_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom pipelines.cli import app\nfrom typer.testing import CliRunner\n"
        "assert 'run' in CliRunner().invoke(app, ['--help']).output\n"
        "heavy = {'torch', 'numpy', 'polars', 'pydantic', 'cellpose', 'prefect', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["run", "check", "segment", "train", "score", "report", "demo"])
def test_every_command_has_a_help(command):
    done = senescope(command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_check_says_that_all_is_well_and_what_would_run(tmp_path):
    done = senescope("check", write_study(tmp_path, images=2))
    assert done.returncode == 0
    assert "2 images" in done.stdout
    assert "compact on dna" in done.stdout


def test_check_prints_every_problem_and_exits_with_2(tmp_path):
    study = write_study(tmp_path, images=1)
    with (tmp_path / "samples.csv").open("a") as table:
        table.write("gone.tif,D1,7\n")
    study.write_text(study.read_text().replace("channel: dna, comp", "channel: dan, comp"))
    done = senescope("check", study)
    assert done.returncode == 2
    assert "gone.tif" in done.stdout
    assert "did you mean 'dna'?" in done.stdout


def test_a_wrong_study_stops_a_run_before_it_computes(tmp_path):
    study = write_study(tmp_path, images=1)
    study.write_text(study.read_text() + "sampels: x\n")
    done = senescope("run", study, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert "did you mean 'samples'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_run_with_one_corrupt_image_of_ten(tmp_path):
    study = write_study(tmp_path, images=10)
    (tmp_path / "field7.tif").write_bytes(b"II*\0 and then nothing")
    output = tmp_path / "out"
    first = senescope("run", study, "--output", output, "--workers", 2)
    assert first.returncode == 1, first.stderr
    assert [row["image_id"] for row in read_csv(output / "failures.csv")] == ["field7"]
    assert len(read_csv(output / "tables" / "images.csv")) == 9
    assert "field7 failed" in first.stderr
    before = times(output)
    second = senescope("run", study, "--output", output, "--workers", 1)
    assert second.returncode == 1
    assert "9 untouched" in second.stderr
    changed = {name for name, time in times(output).items() if before.get(name) != time}
    assert changed == {".lock", "provenance.json", "report.html"}


@pytest.mark.slow
def test_one_and_two_workers_give_the_same_tables(tmp_path):
    study = write_study(tmp_path, images=3)
    for workers in (1, 2):
        done = senescope("run", study, "--output", tmp_path / str(workers), "--workers", workers)
        assert done.returncode == 0, done.stderr
    for path in sorted((tmp_path / "1" / "tables").iterdir()):
        assert path.read_bytes() == (tmp_path / "2" / "tables" / path.name).read_bytes()


@pytest.mark.slow
def test_segment_needs_no_study_and_no_pixel_size(tmp_path):
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"")
    image = DEMO / "nuclei" / "0287e7ee5b00.png"
    done = senescope("segment", image, bad, "--diameter", 18, "--output", tmp_path / "labels")
    assert done.returncode == 1
    assert "bad.tif" in done.stderr
    labels = tifffile.imread(tmp_path / "labels" / "0287e7ee5b00_labels.tif")
    assert labels.dtype == np.uint32
    assert labels.shape == (256, 256)
    assert 40 < labels.max() < 75  # 62 annotated


def test_segment_asks_for_a_channel_where_there_are_several(tmp_path):
    path = tmp_path / "two.tif"
    tifffile.imwrite(path, np.ones((2, 64, 64), np.uint8), metadata={"axes": "CYX"})
    done = senescope("segment", path, "--diameter", 20, "--output", tmp_path)
    assert done.returncode == 1
    assert "--channel" in done.stderr


def test_segment_asks_for_a_scene_and_a_time_where_there_are_several(tmp_path):
    path, out = tmp_path / "two.ome.tif", tmp_path / "labels"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for name in ("left side", "right"):
            frames = np.zeros((3, 64, 64), np.uint8)
            writer.write(frames, metadata={"axes": "TYX", "Name": name})
    command = ["segment", str(path), "-d", "20", "-o", str(out)]
    for chosen, said in [
        ([], "--scene"),
        (["--scene", "right"], "--time"),
        (["--scene", "up", "--time", "2"], "it has left side, right"),
    ]:
        result = CliRunner().invoke(app, [*command, *chosen], env={"COLUMNS": "400"})
        assert result.exit_code == 1
        assert said in result.output
    assert CliRunner().invoke(app, [*command, "--scene", "left side", "-t", "2"]).exit_code == 0
    assert (out / "two_left-side_t2_labels.tif").is_file()


def test_segment_with_an_unknown_model_says_so_once(tmp_path):
    done = senescope("segment", "a.tif", "-m", "compat", "-d", 20, "-o", tmp_path)
    assert done.returncode == 2
    assert "compact" in done.stderr
    assert "Traceback" not in done.stderr


def test_report_of_what_is_no_run(tmp_path):
    done = senescope("report", tmp_path)
    assert done.returncode == 2
    assert "provenance.json" in done.stderr


def test_the_demo_ships_its_licences_and_only_declared_files():
    assert (DEMO / "SOURCE.md").is_file()
    for name in ("nuclei", "h2ax", "translocation"):
        listed = {value for row in read_csv(DEMO / name / "samples.csv") for value in row.values()}
        for path in (DEMO / name).iterdir():
            assert path.suffix in {".yaml", ".csv"} or path.name in listed, path


def test_a_full_or_closed_disk_is_said_without_a_traceback(capsys):
    with pytest.raises(SystemExit) as left, errors_for_people():
        raise OSError(errno.ENOSPC, "No space left on device", "results/tables")
    assert left.value.code == 2
    assert "results/tables: No space left on device" in capsys.readouterr().err
    with pytest.raises(ConnectionError), errors_for_people():  # not the user's to mend
        raise ConnectionResetError(errno.ECONNRESET, "reset")
