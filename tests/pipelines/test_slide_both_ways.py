"""One image run as a slide, in blocks, and in one piece with the labels that the slide has."""

import numpy as np
import polars as pl
import pytest
import tifffile

from pipelines.field.labels import Labels
from pipelines.labels_store import read_labels
from pipelines.run.image import process_image
from pipelines.run.slide import process_slide
from pipelines.run.steps import finish, prepare
from pipelines.slide.cluster import here
from tests.measurements.label_images import spot
from tests.pipelines.slides import use_fake_network
from tests.segmentation.slides.fake import blobs
from tests.studies import read_csv, write_samples

SHAPE = (330, 620)
STUDY = """
study: slide
samples: samples.csv
channels: {channels}
pixel_size_um: 0.5
segmentation:
  nuclei: {{channel: {segmented}, diameter_px: 30}}
  cells: {{method: expand, distance_px: 5}}
measurements: [{{type: morphology}}, {measurements}]
compute: {{slide_above_px: {above}, block_px: 256}}
"""


@pytest.fixture(autouse=True)
def _fake(monkeypatch):
    use_fake_network(monkeypatch)
    # Tables are compared; drawing four reports takes longer than all the rest.
    monkeypatch.setattr("pipelines.report.build_report", lambda *_: None)


def both_ways(folder, monkeypatch, **settings):
    """Folders of the results by blocks and in one piece."""
    path, outputs = folder / "study.yaml", (folder / "blocks", folder / "whole")
    labels = {
        name: lambda *_, name=name: read_labels(outputs[0] / "labels/slide.ome.zarr", name)
        for name in ("nuclei", "cells")
    }
    monkeypatch.setattr(
        "pipelines.run.image.segment_field",
        lambda *_: Labels(labels["nuclei"](), labels["cells"](), None),
    )
    for above, output in zip((60000, 6000000), outputs, strict=True):
        path.write_text(STUDY.format(above=above, **settings))
        plan = prepare(path, output)
        work = [process_slide(t, here) if t.is_slide else process_image(t) for t in plan.tasks]
        assert [task.is_slide for task in plan.tasks] == [above == 60000]
        assert finish(plan, work).n_failed == 0
    return outputs


def write_slide(folder, pixels, axes):
    tifffile.imwrite(
        folder / "slide.ome.tif", pixels, tile=(128, 128), ome=True, metadata={"axes": axes}
    )
    write_samples(folder, [{"image": "slide.ome.tif", "donor": "D1"}])


def assert_same(one, other, table, order, rounded=()):
    """Tables alike, in `rounded` columns to what adding up in another order costs."""
    tables = [pl.read_parquet(folder / "tables" / table).sort(order) for folder in (one, other)]
    assert tables[0].columns == tables[1].columns
    for name in tables[0].columns:
        if name in rounded:
            values = (each[name].to_numpy() for each in tables)
            np.testing.assert_allclose(*values, rtol=1e-12, err_msg=name)
        elif name not in ("focus_id", "spot_id", "clump", "study"):
            assert tables[0][name].equals(tables[1][name], null_equal=True), name
    return tables[0]


@pytest.mark.slow
def test_foci(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    nuclei = blobs(SHAPE, 70, noise=0)
    foci = sum(spot(SHAPE, *place, 1.5) for place in rng.uniform((0, 0), SHAPE, (800, 2)))
    gh2ax = rng.poisson(100 + 900 * np.clip(3 * nuclei, 0, 1) + 400 * foci)
    planes = np.stack([1000 * nuclei + 100, gh2ax]).astype(np.uint16)
    write_slide(tmp_path, planes, "CYX")
    blocks, whole = both_ways(
        tmp_path,
        monkeypatch,
        channels="{dna: 0, gh2ax: 1}",
        segmented="dna",
        measurements="{type: foci, channel: gh2ax, sigma_px: 1.5}",
    )
    cells = assert_same(blocks, whole, "cells.parquet", "cell_id")
    assert cells["gh2ax_foci_count"].sum() > 50
    found = assert_same(blocks, whole, "foci.parquet", ("y_um", "x_um"))
    assert found.height == cells["gh2ax_foci_count"].sum()
    assert found["x_um"].max() > 256 * 0.5
    ids = pl.read_parquet(blocks / "tables/foci.parquet")["focus_id"]
    assert ids.to_list() == list(range(1, found.height + 1))
    thresholds = [read_csv(folder / "tables/thresholds.csv") for folder in (blocks, whole)]
    assert thresholds[0] == thresholds[1]


@pytest.mark.slow
def test_spots(tmp_path, monkeypatch):
    """Also clumps and cells that blocks cut; sums over them may be rounded otherwise."""
    rng = np.random.default_rng(1)
    nuclei = blobs(SHAPE, 70, noise=0)
    crowd = rng.uniform((200, 200), (300, 330), (150, 2))
    shining = rng.uniform((0, 0), SHAPE, (40, 2))
    rna = sum(spot(SHAPE, *place, 1.3) for place in rng.uniform((0, 0), SHAPE, (500, 2)))
    rna += 3 * sum(spot(SHAPE, *place, 1.3) for place in crowd)
    shine = sum(spot(SHAPE, *place, 1.3) for place in shining)
    seen = [1000 * nuclei + 100, 100 + 200 * (rna + 2 * shine), 100 + 400 * shine]
    planes = rng.poisson(np.stack(seen)).astype(np.uint16)
    write_slide(tmp_path, planes, "CYX")
    blocks, whole = both_ways(
        tmp_path,
        monkeypatch,
        channels="{dna: 0, rna: 1, blank: 2}",
        segmented="dna",
        measurements="{type: spots, channel: rna, unused: {channel: blank}}",
    )
    rounded = [f"rna_{name}molecules" for name in ("", "nucleus_", "cytoplasm_")]
    rounded += ["rna_clustered_share", "rna_spots_integrated"]
    cells = assert_same(blocks, whole, "cells.parquet", "cell_id", rounded)
    assert cells["rna_molecules"].sum() > 200
    assert cells["rna_autofluorescent_count"].sum() > 0
    assert cells["rna_clustered_share"].max() > 0
    spots = assert_same(blocks, whole, "spots.parquet", ("y_um", "x_um"), ["molecules"])
    assert spots["molecules"].sum() > 500
    assert spots["autofluorescent"].sum() > 20
    ids = pl.read_parquet(blocks / "tables/spots.parquet")["spot_id"]
    assert ids.to_list() == list(range(1, spots.height + 1))
    for table in ("thresholds", "images"):
        [one], [other] = (read_csv(folder / f"tables/{table}.csv") for folder in (blocks, whole))
        own = [name for name in one if name.startswith(("rna", "thres", "note")) and one[name]]
        assert len(own) > 1
        for name in own:
            close = table == "images" and name.endswith(("mean", "median", "sd"))
            same = float(other[name]) if close else other[name]
            expected = pytest.approx(float(one[name]), rel=1e-12) if close else one[name]
            assert same == expected, name


@pytest.mark.slow
def test_beta_gal(tmp_path, monkeypatch):
    """In a picture whose nuclei are brighter than the light, as the network of the tests wants."""
    rng = np.random.default_rng(1)
    nuclei = blobs(SHAPE, 70, noise=0)
    y, x = np.indices(SHAPE)
    stain = 0.3 * (np.sin(x / 40) + 1) * (nuclei > 0.02)
    light = 20000 * (1 - ((y / 330 - 0.4) ** 2 + (x / 620 - 0.6) ** 2) / 3) * (1 + nuclei)
    rgb = light[..., np.newaxis] * 10 ** (-stain[..., np.newaxis] * [0.865, 0.479, 0.149])
    rgb = rng.normal(rgb, 200).astype(np.uint16)
    write_slide(tmp_path, rgb, "YXS")
    blocks, whole = both_ways(
        tmp_path,
        monkeypatch,
        channels="{bright: rgb}",
        segmented="bright",
        measurements="{type: beta_gal}",
    )
    cells = assert_same(blocks, whole, "cells.parquet", "cell_id")
    assert cells.height > 25
    assert np.ptp(cells["beta_gal_mean_od"].to_numpy()) > 0.2
    [one], [other] = (read_csv(folder / "tables/images.csv") for folder in (blocks, whole))
    own = [name for name in one if name.startswith("beta_gal_image")]
    assert len(own) == 7
    for name in own:
        assert float(one[name]) == pytest.approx(float(other[name]), rel=1e-4), name


@pytest.mark.slow
def test_transcripts(tmp_path, monkeypatch):
    """Also those that lie between cells of two blocks, as near to the one as to the other."""
    rng = np.random.default_rng(1)
    pixels = (1000 * blobs(SHAPE, 70, noise=0) + 100).astype(np.uint16)
    write_slide(tmp_path, pixels[np.newaxis], "CYX")
    places = rng.integers((-1, -1), SHAPE, (20_000, 2)) * 0.5
    names = rng.choice(["Hamp", "Cyp2f2", "Cyp2e1"], len(places))
    table = pl.DataFrame({"x": places[:, 1], "y": places[:, 0], "gene": names})
    table.write_csv(tmp_path / "slide.csv")
    blocks, whole = both_ways(
        tmp_path,
        monkeypatch,
        channels="{dna: 0}",
        segmented="dna",
        measurements="{type: transcripts, table: '{image_id}.csv', unit: um, distance_um: 4}",
    )
    cells = assert_same(blocks, whole, "cells.parquet", "cell_id")
    assert cells["transcript_count"].sum() > 5_000
    [one], [other] = (read_csv(folder / "tables/images.csv") for folder in (blocks, whole))
    own = [name for name in one if name.startswith("transcripts_")]
    assert len(own) == 4
    for name in own:
        assert one[name] == other[name], name
    assert int(one["transcripts_outside_image"]) > 0
