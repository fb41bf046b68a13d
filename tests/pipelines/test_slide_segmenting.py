"""A slide on disk segmented in blocks: the same bytes however it is cut or interrupted."""

import errno

import numpy as np
import pytest
import zarr

from pipelines.errors import ImageError
from pipelines.slide import tasks
from pipelines.slide.cluster import here
from pipelines.slide.segmenting import plan_slide, segment_slide, small_labels, small_picture
from segmentation.cells import expand_nuclei
from tests.pipelines.slides import content, settings, slide_field, use_fake_network


@pytest.fixture(autouse=True)
def _fake(monkeypatch):
    use_fake_network(monkeypatch)


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    return slide_field(tmp_path_factory.mktemp("slide"))


@pytest.fixture(scope="module")
def undisturbed(field, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        use_fake_network(patch)
        job = plan_slide(field, settings(reach_px=6), tmp_path_factory.mktemp("work") / "w", "")
        return job, segment_slide(job, here)


def labels(job, name="nuclei"):
    return np.asarray(zarr.open_array(job.store / "labels" / name / "0", mode="r"))


def test_one_block_or_many(field, undisturbed, tmp_path):
    job, n = undisturbed
    one = plan_slide(field, settings(reach_px=6, block_px=1024), tmp_path / "w", "")
    assert segment_slide(one, here) == n > 40
    assert np.array_equal(labels(one), labels(job))
    assert np.array_equal(labels(one, "cells"), labels(job, "cells"))


def test_cells_are_the_nuclei_expanded(undisturbed):
    job, n = undisturbed
    nuclei = labels(job)
    assert np.array_equal(np.unique(nuclei), np.arange(n + 1))
    assert np.array_equal(labels(job, "cells"), expand_nuclei(nuclei, 6).cell)


def test_the_store_is_ome_zarr(undisturbed):
    from ome_zarr_models import open_ome_zarr

    job, _ = undisturbed
    for name in ("nuclei", "cells"):
        group = open_ome_zarr(zarr.open_group(job.store / "labels" / name, mode="r"))
        assert group.ome_zarr_version == "0.5"
        scales = [
            d.coordinateTransformations[0].scale
            for d in group.attributes.ome.multiscales[0].datasets
        ]
        assert scales == [[0.5, 0.5], [1.0, 1.0]]
    array = zarr.open_array(job.store / "labels/nuclei/0", mode="r")
    assert array.shards == (256, 256)
    half = zarr.open_array(job.store / "labels/nuclei/1", mode="r")
    assert np.array_equal(np.asarray(half), labels(job)[::2, ::2])


def test_the_small_picture_and_its_labels(undisturbed, field, monkeypatch):
    job, _ = undisturbed
    assert np.array_equal(small_picture(job), field.plane("dna"))
    assert np.array_equal(small_labels(job.store, "cells", 1), labels(job, "cells"))


@pytest.mark.parametrize("stop", ["segment_one", "write_one", "write_level"])
def test_a_stopped_run_goes_on_to_the_same_bytes(field, undisturbed, tmp_path, monkeypatch, stop):
    work, calls = getattr(tasks, stop), []

    def stopping(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return work(*arguments)

    job = plan_slide(field, settings(reach_px=6), tmp_path / "w", "")
    with monkeypatch.context() as patch:
        patch.setattr(f"pipelines.slide.segmenting.{stop}", stopping)
        with pytest.raises(KeyboardInterrupt):
            segment_slide(job, here)
    before = {path: path.stat().st_mtime_ns for path in (job.work / "blocks").glob("*.npz")}
    assert before
    segment_slide(job, here)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert content(job.store) == content(undisturbed[0].store)


def test_other_settings_start_anew(field, tmp_path):
    first = plan_slide(field, settings(), tmp_path / "w", "")
    (first.work / "blocks").mkdir()
    (first.work / "blocks" / "000000.npz").touch()
    plan_slide(field, settings(), tmp_path / "w", "")
    assert (first.work / "blocks" / "000000.npz").exists()
    plan_slide(field, settings(diameter_px=31), tmp_path / "w", "")
    assert not (first.work / "blocks").exists()
    (first.work / "blocks").mkdir()
    plan_slide(field, settings(diameter_px=31), tmp_path / "w", "another file")
    assert not (first.work / "blocks").exists()


def test_a_full_disk_is_said_and_damages_nothing(field, undisturbed, tmp_path, monkeypatch):
    savez, calls = np.savez_compressed, []

    def full(file, **arrays):
        calls.append(file)
        if len(calls) > 3:
            file.write(b"half a file")
            raise OSError(errno.ENOSPC, "No space left on device")
        savez(file, **arrays)

    job = plan_slide(field, settings(reach_px=6), tmp_path / "w", "")
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez_compressed", full)
        with pytest.raises(ImageError, match=r"No space left.*GiB are free.*goes on from there"):
            segment_slide(job, here)
    assert len(list((job.work / "blocks").iterdir())) == 3
    segment_slide(job, here)
    assert content(job.store) == content(undisturbed[0].store)


def test_a_constant_slide_has_no_objects(tmp_path, monkeypatch):
    field = slide_field(tmp_path, (300, 300), 0)
    monkeypatch.setattr("pipelines.slide.segmenting.grey_range", lambda *_: None)
    job = plan_slide(field, settings(), tmp_path / "w", "")
    assert segment_slide(job, here) == 0
    assert not labels(job).any()
