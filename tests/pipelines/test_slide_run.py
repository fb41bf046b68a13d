"""A study whose image is large goes through blocks by itself, to the tables of a study."""

from contextlib import nullcontext

import numpy as np
import polars as pl
import pytest
import tifffile
import zarr

from pipelines.errors import StudyError
from pipelines.images import open_field
from pipelines.run.image import process_image
from pipelines.run.slide import process_slide
from pipelines.run.steps import finish, prepare
from pipelines.segment_files import segment_file
from pipelines.slide.cluster import here
from pipelines.study.check import check_study
from tests import reporter_studies as fields
from tests.pipelines.slides import content, use_fake_network, write_tiled
from tests.segmentation.slides.fake import blobs
from tests.studies import read_csv, without_report, write_samples

STUDY = """
study: slide
samples: samples.csv
channels: {{dna: 0}}
pixel_size_um: {size}
segmentation:
  nuclei: {{channel: dna, diameter_px: 30}}
  cells: {cells}
measurements: [{measurements}]
compute: {{slide_above_px: 60000, block_px: {block}}}
"""
ALL = "{type: morphology}, {type: intensity, channel: dna, compartments: [nucleus, cytoplasm]}"


@pytest.fixture(autouse=True)
def _fake(monkeypatch):
    use_fake_network(monkeypatch)


def study(
    folder, *, block=256, cells="{method: expand, distance_px: 5}", measurements=ALL, size=0.5
):
    folder.mkdir(exist_ok=True)
    if not (folder / "slide.ome.tif").exists():
        image = (1000 * np.clip(blobs((330, 520), 60) + 0.1, 0, 2)).astype(np.uint16)
        write_tiled(folder / "slide.ome.tif", image)
        write_samples(folder, [{"image": "slide.ome.tif", "donor": "D1"}])
    text = STUDY.format(block=block, cells=cells, measurements=measurements, size=size)
    (folder / "study.yaml").write_text(text)
    return folder / "study.yaml"


def run(path, output, each=here, *, report=False):
    plan = prepare(path, output)
    assert all(task.is_slide for task in plan.tasks)
    with nullcontext() if report else without_report():
        return finish(plan, [process_slide(task, each) for task in plan.tasks])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        use_fake_network(patch)
        summary = run(study(folder), folder / "out", report=True)
    assert summary.n_failed == 0
    return folder


def test_the_tables_of_a_study(undisturbed):
    out = undisturbed / "out"
    cells = pl.read_parquet(out / "tables/cells.parquet")
    assert cells.height > 25
    assert sorted(cells["cell_id"]) == list(range(1, cells.height + 1))
    assert {"donor", "nucleus_area_um2", "dna_nucleus_mean", "touches_border"} <= set(cells.columns)
    [image] = read_csv(out / "tables/images.csv")
    assert (image["height_px"], image["width_px"], image["n_cells"]) == (
        "330",
        "520",
        str(cells.height),
    )
    assert (out / "qc/slide.png").is_file()
    assert (out / "report.html").is_file()
    assert not (out / "parts/slide/work").exists()


def test_blocks_of_another_size_give_the_same_cells(undisturbed, tmp_path):
    run(study(tmp_path, block=512), tmp_path / "out")
    one, other = (
        pl.read_parquet(folder / "out/tables/cells.parquet").sort("cell_id")
        for folder in (undisturbed, tmp_path)
    )
    assert one.equals(other)


def test_again_it_is_untouched_and_other_measurements_keep_the_labels(undisturbed, tmp_path):
    import shutil

    shutil.copytree(undisturbed, tmp_path / "copy")
    path = tmp_path / "copy" / "study.yaml"
    assert run(path, path.parent / "out").kept == 1
    labels = content(path.parent / "out/labels")
    times = [p.stat().st_mtime_ns for p in (path.parent / "out/labels").rglob("c/*")]
    study(path.parent, measurements="{type: morphology}")
    summary = run(path, path.parent / "out")
    assert (summary.kept, summary.n_failed) == (0, 0)
    assert content(path.parent / "out/labels") == labels
    assert [p.stat().st_mtime_ns for p in (path.parent / "out/labels").rglob("c/*")] == times
    assert "dna_nucleus_mean" not in pl.read_parquet_schema(
        path.parent / "out/tables/cells.parquet"
    )


@pytest.mark.parametrize("after", [1, 5, 9])
def test_stopped_anywhere_it_goes_on_to_the_same_tables(undisturbed, tmp_path, after):
    path = study(tmp_path)

    def stopping(work, items):
        for item in items:
            stopping.calls += 1
            if stopping.calls > after:
                raise KeyboardInterrupt
            yield work(item)

    stopping.calls = 0
    with pytest.raises(KeyboardInterrupt):
        run(path, tmp_path / "out", stopping)
    run(path, tmp_path / "out")
    for part in ("tables", "labels", "qc"):
        assert content(tmp_path / "out" / part) == content(undisturbed / "out" / part)


def test_nuclei_as_cells(tmp_path):
    summary = run(study(tmp_path, cells="{method: nuclei}"), tmp_path / "out")
    assert (summary.n_failed, summary.n_cells > 25) == (0, True)


def test_a_field_in_blocks_is_the_field_in_one_piece(tmp_path, monkeypatch):
    """The real model: labels and columns of the block path against those of the whole image."""
    monkeypatch.undo()
    image = tifffile.imread("tests/data/nuclei/stardist.tif")
    write_tiled(tmp_path / "slide.ome.tif", image)
    write_samples(tmp_path, [{"image": "slide.ome.tif", "donor": "D1"}])
    path = study(tmp_path)
    text = path.read_text().replace("diameter_px: 30", "diameter_px: 23")
    path.write_text(text)
    run(path, tmp_path / "blocks")
    path.write_text(text.replace("60000", "6000000"))
    plan = prepare(path, tmp_path / "whole")
    with without_report():
        finish(plan, [process_image(task) for task in plan.tasks])
    blocks, whole = (
        pl.read_parquet(tmp_path / name / "tables/cells.parquet") for name in ("blocks", "whole")
    )
    assert abs(blocks.height - whole.height) <= 1
    assert list(blocks.columns) == list(whole.columns)
    assert blocks["nucleus_area_um2"].mean() == pytest.approx(
        whole["nucleus_area_um2"].mean(), rel=0.02
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {
                "measurements": "{type: reporters, channels: [dna], haze: true, "
                "gates: {dna: {rule: gmm}}}"
            },
            "leave haze out",
        ),
        ({"cells": "{method: cellpose, channel: dna, diameter_px: 40}"}, "not cellpose"),
    ],
)
def test_what_slides_do_not_have_is_refused_by_the_check(tmp_path, change, message):
    checked = check_study(study(tmp_path, **change))
    assert checked.slides == {"slide"}
    with pytest.raises(StudyError, match=message):
        checked.raise_errors()


def stained_slide(folder, like):
    """A slide of blobs of which each quarter is of one class, in the colours of `like`'s fields.

    The left half has gfp and the upper half has mcherry.
    """
    blob = blobs((330, 520), 60, noise=0)
    y, x = np.indices(blob.shape)
    amounts = np.stack([1000 * (x < 260), 1300 * (y < 165)]) * (blob > 0.01)
    light = np.tensordot(like.BLEED, amounts, 1) + 20 * (blob > 0.01)
    light[0] += 1500 * blob
    noise = np.random.default_rng(0).normal(100, 3, light.shape)
    planes = (light + noise).round().astype(np.uint16)
    tifffile.imwrite(
        folder / "slide.ome.tif", planes, tile=(128, 128), ome=True, metadata={"axes": "CYX"}
    )
    write_samples(folder, [{"image": "slide.ome.tif", "donor": "D1"}])


def test_reporters_of_a_slide_are_unmixed_by_fields(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.run.image.segment_field", lambda *_: fields.grid_labels())
    more = "compute: {slide_above_px: 60000, block_px: 256}"
    path, _ = fields.write_reporter_study(tmp_path, gate="percentile: 99", more=more)
    path.write_text(path.read_text().replace("diameter_px: 10", "diameter_px: 30"))
    stained_slide(tmp_path, fields)
    plan = prepare(path, tmp_path / "out")
    work = [process_slide(t, here) if t.is_slide else process_image(t) for t in plan.tasks]
    assert [task.row.image_id for task in plan.tasks if task.is_slide] == ["slide"]
    assert finish(plan, work).n_failed == 0
    cells = pl.read_parquet(tmp_path / "out/tables/cells.parquet")
    y, x = (pl.col(f"nucleus_{axis}_um") / 0.5 for axis in "yx")
    cells = cells.filter((y - 165).abs() > 25, (x - 260).abs() > 25)
    left, upper = (cells.select(side).to_series() for side in (x < 260, y < 165))
    names = {signs: name for name, signs in fields.SIGNS.items()}
    true = [names[signs] for signs in zip(left, upper, strict=True)]
    assert len(true) > 20
    assert cells["reporter_class"].to_list() == true
    assert set(true) == set(names.values())


def test_the_picture_shows_positive_cells_without_reading_the_slide(undisturbed, tmp_path):
    import shutil

    shutil.copytree(undisturbed, tmp_path / "copy")
    path, out = tmp_path / "copy" / "study.yaml", tmp_path / "copy" / "out"
    plain, text = (out / "qc/slide.png").read_bytes(), path.read_text()
    path.write_text(text + "positivity: {big: {of: nucleus_area_um2, rule: fixed, value: 150}}\n")
    assert run(path, out).lost_pictures == ()
    assert (out / "qc/slide.png").read_bytes() != plain
    path.write_text(text)
    assert run(path, out).kept == 1
    assert (out / "qc/slide.png").read_bytes() == plain


def test_segment_without_a_study(tmp_path, monkeypatch):
    study(tmp_path)
    monkeypatch.setattr("pipelines.segment_files.SLIDE_ABOVE_PX", 60000)
    done = segment_file(tmp_path / "slide.ome.tif", 30, tmp_path / "out", "compact")
    assert done.error is None
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["slide_labels.ome.zarr"]
    labels = zarr.open_array(done.labels / "labels/nuclei/0", mode="r")
    assert np.array_equal(np.unique(labels[...]), np.arange(done.n_objects + 1))
    assert done.n_objects > 25


def test_a_pyramid_of_tiles_is_read_by_tiles(tmp_path):
    """SVS-like: a tiled TIFF with smaller copies below; a box gives the full resolution."""
    image = (1000 * np.clip(blobs((512, 640), 60) + 0.1, 0, 2)).astype(np.uint16)
    with tifffile.TiffWriter(tmp_path / "p.ome.tif", ome=True) as file:
        file.write(image, tile=(128, 128), subifds=1, metadata={"axes": "YX"})
        file.write(image[::2, ::2], tile=(128, 128), subfiletype=1)
    field = open_field("p", {"d": tmp_path / "p.ome.tif"}, {"d": 0}, pixel_size_um=0.5, z="none")
    assert field.shape == (512, 640)
    box = (slice(100, 300), slice(250, 517))
    assert np.array_equal(field.plane("d", box), image[box])
