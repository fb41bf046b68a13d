"""The package as others get it: built, put elsewhere, and run there without the repository."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipelines import clash
from pipelines.demo import REAL, SIMULATED
from tests.studies import read_csv

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds what the wheel installs, and nothing else of senescope."""
    if find_spec("hatchling") is None:
        pytest.skip("hatchling, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed, folder, *arguments):
    """Run a command of the installed copy, in a folder that is not the repository."""
    settings = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-P", "-m", "pipelines", *arguments]
    return subprocess.run(
        command, cwd=folder, env=settings, capture_output=True, text=True, timeout=900
    )


@pytest.mark.slow
@pytest.mark.minutes
def test_the_wheel_runs_the_demo_elsewhere(installed, tmp_path):
    done = run(installed, tmp_path, "demo", "--output", "out", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "Report of all" in done.stderr
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for title in ("γH2AX", "translocation", "annotation", "no real cells, no real donors"):
        assert title in report
    figures = list((tmp_path / "out").glob("*/figures/*.pdf"))
    assert {path.parent.parent.name for path in figures} == {*REAL, *SIMULATED}
    assert_results_are_right(tmp_path / "out")


def assert_results_are_right(demo):
    scores = read_csv(demo / "nuclei" / "tables" / "images.csv")
    assert np.mean([float(row["score_ap50"]) for row in scores]) > 0.6
    foci = json.loads((demo / "h2ax" / "provenance.json").read_text())
    assert foci["study"]["name"] == "demo-gh2ax"
    wells = read_csv(demo / "translocation" / "tables" / "groups.csv")
    ratio = {float(w["dose"]): float(w["gfp_nucleus_cytoplasm_ratio_mean"]) for w in wells}
    assert ratio[10] > ratio[0]
    stained = read_csv(demo / "beta_gal" / "tables" / "groups.csv")
    share = {row["culture"]: float(row["beta_gal_positive_corrected_fraction"]) for row in stained}
    assert share["werner"] > share["healthy"] + 0.2  # simulated: about 0.5 against 0.1
    animals = read_csv(demo / "reporters" / "tables" / "groups.csv")
    spread = {a["treatment"]: float(a["reporter_class_secondary_fraction"]) for a in animals}
    assert spread["none"] < 0.05 < spread["il1r1_inhibitor"] < spread["vehicle"] - 0.05


def test_the_wheel_holds_what_a_run_needs(installed):
    for name in ("segmentation/weights/compact.pt", "pipelines/report/templates/report.css"):
        assert (installed / name).is_file()
    assert not (installed / "tests").exists()


def test_the_version_is_one(installed):
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == about["version"]
    assert f"## {about['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_a_folder_of_the_same_name_is_refused_with_the_reason(tmp_path, monkeypatch):
    clash.refuse_strangers()
    (tmp_path / "measurements.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "measurements", raising=False)
    with pytest.raises(clash.ClashError, match=r"`measurements` is imported from .*tool install"):
        clash.refuse_strangers()


def test_a_package_of_the_same_name_is_named(monkeypatch):
    owners = {"flows": ["senescope"], "pipelines": ["senescope", "gas-pipelines"]}
    monkeypatch.setattr(clash, "packages_distributions", lambda: owners)
    assert "`pipelines` of gas-pipelines" in clash.explanation()
    monkeypatch.setattr(clash, "packages_distributions", lambda: {"flows": ["senescope"]})
    assert clash.explanation() == ""


def test_the_container_copies_what_is_there_and_the_services_know_each_other():
    lines = (ROOT / "Containerfile").read_text().splitlines()
    copied = [
        w for x in lines if x.startswith("COPY") and "--from" not in x for w in x.split()[1:-1]
    ]
    assert copied
    assert all((ROOT / name).exists() for name in copied)
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert set(services) == {"database", "server", "worker", "scheduler", "dask-worker"}
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
