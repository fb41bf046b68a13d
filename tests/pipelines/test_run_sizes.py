"""Images with no cell, one cell and 5,000 cells, from the file to the report."""

import numpy as np
import polars as pl
import pytest
import tifffile
from scipy import ndimage

from pipelines.field.labels import Labels
from pipelines.run.layout import Layout
from tests.measurements.label_images import disc
from tests.studies import read_csv, run_here, write_samples, write_study

GATES = """
positivity:
  bright: {of: dna_nucleus_mean_above_background, controls: {donor: control}, percentile: 95}
  round: {of: nucleus_form_factor, rule: gmm}
statistics: {unit: field, factors: [donor], reference: {donor: control}}
"""


def one_cell():
    image = np.full((96, 96), 20.0)
    image[disc(image.shape, 48, 48, 10)] = 180
    return ndimage.gaussian_filter(image, 1) + np.random.default_rng(0).normal(0, 2, image.shape)


def many_cells(share_bright, seed):
    """5,041 nuclei on a grid; a share of them three times as bright as the others."""
    rng = np.random.default_rng(seed)
    light = 400 * np.exp(rng.normal(0, 0.1, (71, 71)))
    light[rng.random((71, 71)) < share_bright] *= 3
    nucleus = disc((16, 16), 7.5, 7.5, 5.5)
    return np.kron(light, nucleus) + 100 + rng.normal(0, 5, (1136, 1136))


def write_images(folder, images):
    for i, image in enumerate(images):
        tifffile.imwrite(folder / f"field{i}.tif", np.clip(image, 0, 65535).astype(np.uint16))


def test_no_cell_and_one_cell(tmp_path):
    study = write_study(tmp_path, images=2)
    write_images(tmp_path, [np.random.default_rng(0).poisson(100, (96, 96)), one_cell()])
    summary = run_here(study, tmp_path / "out", report=True)
    layout = Layout(tmp_path / "out")
    assert (summary.n_images, summary.n_failed, summary.n_cells) == (2, 0, 1)
    images = read_csv(layout.table("images"))
    assert [row["n_cells"] for row in images] == ["0", "1"]
    cell = pl.read_parquet(layout.cells).row(0, named=True)
    assert cell["nucleus_area_px2"] == pytest.approx(np.pi * 10.5**2, rel=0.15)
    assert cell["dna_nucleus_median"] == pytest.approx(180, abs=3)
    assert not cell["debris"]
    assert layout.qc("field0").is_file()


@pytest.mark.slow
def test_five_thousand_cells(tmp_path, monkeypatch):
    """The network is left out, which alone would take a minute; all else is a run's own."""

    def outlined(pixels, *_):
        plane = pixels.planes["dna"]
        found = ndimage.label(ndimage.gaussian_filter(plane.astype(float), 1) > 250)[0]
        return Labels(found.astype(np.uint32), found.astype(np.uint32), None)

    monkeypatch.setattr("pipelines.run.image.segment_field", outlined)
    study = write_study(tmp_path, images=2, more=GATES)
    write_images(tmp_path, [many_cells(0.0, 1), many_cells(0.3, 2)])
    rows = [{"image": f"field{i}.tif", "donor": ("control", "old")[i], "field": i} for i in (0, 1)]
    write_samples(tmp_path, rows)
    summary = run_here(study, tmp_path / "out", report=True)
    layout = Layout(tmp_path / "out")
    assert (summary.n_cells, summary.n_failed, summary.lost_pictures) == (2 * 71**2, 0, ())
    cells = pl.read_parquet(layout.cells)
    assert cells.select(pl.struct("image_id", "cell_id").is_unique().all()).item()
    control, old = read_csv(layout.table("groups"))
    assert control["donor"] == "control"
    assert float(control["bright_positive_fraction"]) == pytest.approx(0.05, abs=0.001)
    # 30 % are bright, and 5 % of the others are above the 95th percentile.
    assert float(old["bright_positive_corrected_fraction"]) == pytest.approx(0.3, abs=0.02)
    assert cells["round_positive"].null_count() == cells.height
    assert cells["debris"].mean() < 0.001
    assert cells["dna_dna_index"].median() == pytest.approx(1, abs=0.1)
    assert summary.report.stat().st_size < 5e6
