import csv

import numpy as np
import pytest
import tifffile
import yaml

from pipelines.errors import StudyError
from pipelines.simulate import study
from pipelines.simulate.designs import StudyDesign, beta_gal_samples, foci_samples, reporter_samples
from pipelines.simulate.files import write_image
from pipelines.simulate.foci import FociSettings, simulate_foci
from pipelines.simulate.nuclei import NucleiSettings
from pipelines.simulate.scene import Field
from pipelines.simulate.study import ASSAYS, write_study
from pipelines.simulate.study_files import study_file
from pipelines.study.model import load_study

TINY = StudyDesign(units=1, clones=1)


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def foci_study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return write_study("foci", folder / "foci", 5, TINY)


def test_a_written_study_names_files_that_exist(foci_study):
    folder = foci_study.parent
    content = yaml.safe_load(foci_study.read_text(encoding="utf-8"))
    rows = rows_of(folder / content["samples"])
    assert {r["genotype"] for r in rows} == {"healthy", "werner"}
    for row in rows:
        with tifffile.TiffFile(folder / row["image"]) as file:
            assert file.is_ome
            assert 'PhysicalSizeX="0.1625"' in file.ome_metadata
            assert 'Name="gh2ax"' in file.ome_metadata
            assert file.asarray().shape == (2, 800, 800)
        assert tifffile.imread(folder / row["truth_nuclei"]).dtype == np.uint32
    assert "SIMULATED" in (folder / "README.txt").read_text(encoding="utf-8")


def test_the_study_file_is_one_that_the_project_reads(foci_study):
    loaded = load_study(foci_study)
    assert loaded.statistics is not None
    assert loaded.statistics.unit == "donor"


def test_truth_tables_fit_the_images(foci_study):
    truth = foci_study.parent / "truth"
    foci, nuclei = rows_of(truth / "foci.csv"), rows_of(truth / "nuclei.csv")
    assert sum(int(n["count"]) for n in nuclei) == len(foci)
    for name in {n["image"] for n in nuclei}:
        labels = tifffile.imread(truth / f"{name}_nuclei.tif")
        assert labels.max() == sum(n["image"] == name for n in nuclei)


def test_the_same_seed_writes_the_same_bytes(foci_study, tmp_path):
    again = write_study("foci", tmp_path / "again", 5, TINY).parent
    files = [p.relative_to(foci_study.parent) for p in foci_study.parent.rglob("*.*")]
    assert len(files) > 8
    for file in files:
        assert (again / file).read_bytes() == (foci_study.parent / file).read_bytes(), file


def test_stacks_keep_their_planes(tmp_path):
    settings = FociSettings(
        scene=Field(height=64, width=80), nuclei=NucleiSettings(count=1), z_planes=3
    )
    write_image(tmp_path / "z.ome.tif", simulate_foci(settings, 0), ("dapi", "gh2ax"))
    with tifffile.TiffFile(tmp_path / "z.ome.tif") as file:
        assert file.series[0].axes == "CZYX"
        assert file.series[0].shape == (2, 3, 64, 80)
        assert 'PhysicalSizeZ="0.3"' in file.ome_metadata


def test_unknown_assays_negative_seeds_and_full_folders_are_refused(foci_study, tmp_path):
    with pytest.raises(
        StudyError, match="beta_gal, foci, reporters, rna, rna_brightfield, tissue, lobule, hybiss"
    ):
        write_study("fishing", tmp_path, 0)
    with pytest.raises(StudyError, match="-1"):
        write_study("foci", tmp_path, -1)
    with pytest.raises(StudyError, match="already holds a study"):
        write_study("foci", foci_study.parent, 0)


@pytest.mark.parametrize("plan", [beta_gal_samples, foci_samples])
def test_effects_are_between_genotypes_and_donors_differ(plan):
    samples = plan(StudyDesign(units=40, clones=2, effect=1.0), 0)
    assert len({s.name for s in samples}) == len(samples) == 160
    value = np.array([next(iter(s.truth.values())) for s in samples])
    group = np.array([s.columns["genotype"] for s in samples])
    link = np.log(value / (1 - value)) if value.max() < 1 else np.log(value / 3) / 0.7
    assert link[group == "werner"].mean() - link[group == "healthy"].mean() == pytest.approx(
        1.0, abs=4 * 0.3 / np.sqrt(20)
    )
    flat = plan(StudyDesign(units=2, effect=0.0, donor_sd=0.0, clone_sd=0.0), 0)
    assert len({next(iter(s.truth.values())) for s in flat}) == 1


def test_the_inhibitor_halves_secondary_cells():
    samples = reporter_samples(StudyDesign(units=30), 0)
    mean = {
        arm: np.mean(
            [s.truth["secondary_fraction"] for s in samples if s.columns["treatment"] == arm]
        )
        for arm in ("none", "vehicle", "il1r1_inhibitor")
    }
    assert mean["none"] < 0.03
    assert (mean["il1r1_inhibitor"] - 0.02) / (mean["vehicle"] - 0.02) == pytest.approx(
        0.5, rel=0.1
    )


@pytest.mark.slow
@pytest.mark.parametrize("assay", ["beta_gal", "reporters"])
def test_every_assay_can_be_written(assay, tmp_path):
    path = write_study(assay, tmp_path / assay, 1, TINY)
    rows = rows_of(path.parent / "samples.csv")
    for row in rows:
        for column, file in row.items():
            if column.startswith("image"):
                assert (path.parent / file).exists()
    if assay == "reporters":
        controls = rows_of(path.parent / "controls.csv")
        assert {c["stained"] for c in controls} == {"unlabelled", "gfp", "mcherry"}
    assert set(ASSAYS) == set(study.FILES)
    assert study_file(assay)["study"].startswith("simulated-")
