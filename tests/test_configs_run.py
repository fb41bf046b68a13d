"""Every example study runs as it is on the simulated study that its comment names."""

import re
import shutil
from dataclasses import replace

import pytest

from pipelines.run.image import process_image
from pipelines.run.layout import Layout
from pipelines.run.steps import finish, prepare
from pipelines.simulate import StudyDesign, designs, study, write_study
from pipelines.simulate.designs import tissue_base
from pipelines.simulate.lobule_study import hybiss_base
from tests.studies import read_csv
from tests.test_configs import CONFIGS

SMALL = StudyDesign(units=1, clones=1)
NAMED = {
    path.name: found[1]
    for path in sorted(CONFIGS.glob("*.yaml"))
    if (found := re.search(r"senescope simulate (\w+)", path.read_text("utf-8")))
}


def test_each_assay_has_an_example():
    assert {"beta_gal", "foci", "reporters", "tissue", "rna", "rna_brightfield", "hybiss"} <= set(
        NAMED.values()
    )


@pytest.fixture
def small(monkeypatch):
    """Fewer and smaller images: what is asked is whether an example fits what it names."""
    tissue, liver = tissue_base(), hybiss_base()
    scene, nuclei = replace(tissue.scene, height=500, width=500), replace(tissue.nuclei, count=60)
    tissue = replace(tissue, scene=scene, nuclei=nuclei)
    liver = replace(liver, lobules=replace(liver.lobules, side_um=350.0))
    monkeypatch.setattr(designs, "tissue_base", lambda: tissue)
    monkeypatch.setattr(designs, "hybiss_base", lambda: liver)
    monkeypatch.setitem(study.WITH_CONTROLS, "tissue", lambda: tissue)
    for name in ("control_unlabelled_2", "control_unlabelled_3"):
        monkeypatch.delitem(study.CONTROLS, name)
    monkeypatch.setattr("pipelines.report.build_report", lambda runs, path: path)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", NAMED)
def test_the_example_runs_on_its_simulated_study(name, tmp_path):
    path = write_study(NAMED[name], tmp_path / "simulated", 1, SMALL)
    path.write_text((CONFIGS / name).read_text("utf-8"), "utf-8")
    layout = Layout(tmp_path / "out")
    images = read_csv(path.parent / "samples.csv")
    # True nuclei stand in for the network, as outlines that a person corrected do.
    for truth in (path.parent / "truth").glob("*_nuclei.tif"):
        target = layout.corrected(truth.name.removesuffix("_nuclei.tif"), "nuclei")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(truth, target)
    plan = prepare(path, layout.root)
    summary = finish(plan, [process_image(task) for task in plan.tasks], lambda tasks: [])
    assert (summary.n_images, summary.n_failed) == (len(images), 0)
    rows = read_csv(layout.table("statistics"))
    assert rows
    assert not [r for r in rows if "no column" in r["note"]]
