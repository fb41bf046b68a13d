"""Every example study runs as it is on the simulated study that its comment names."""

import re
import shutil

import pytest

from pipelines.run.layout import Layout
from pipelines.simulate import StudyDesign, write_study
from tests.studies import read_csv, run_here
from tests.test_configs import CONFIGS

SMALL = StudyDesign(units=1, clones=1)
NAMED = {
    path.name: found[1]
    for path in sorted(CONFIGS.glob("*.yaml"))
    if (found := re.search(r"senescope simulate (\w+)", path.read_text("utf-8")))
}


def test_each_assay_has_an_example():
    assert {"beta_gal", "foci", "reporters", "tissue", "rna", "hybiss"} <= set(NAMED.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMED)
def test_the_example_runs_on_its_simulated_study(name, tmp_path):
    study = write_study(NAMED[name], tmp_path / "simulated", 1, SMALL)
    study.write_text((CONFIGS / name).read_text("utf-8"), "utf-8")
    layout = Layout(tmp_path / "out")
    images = read_csv(study.parent / "samples.csv")
    # True nuclei stand in for the network, as outlines that a person corrected do.
    for truth in (study.parent / "truth").glob("*_nuclei.tif"):
        target = layout.corrected(truth.name.removesuffix("_nuclei.tif"), "nuclei")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(truth, target)
    summary = run_here(study, layout.root)
    assert (summary.n_images, summary.n_failed) == (len(images), 0)
    rows = read_csv(layout.table("statistics"))
    assert rows
    assert not [r for r in rows if "no column" in r["note"]]
