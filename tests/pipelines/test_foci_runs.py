"""Foci through whole runs with known nuclei: thresholds of batches, controls, z-stacks."""

import json
import re

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from pipelines.errors import StudyError
from pipelines.field import Labels, overlay, read_pixels
from pipelines.report.data import read_run
from pipelines.report.flags import cell_flags_table
from pipelines.run.layout import Layout
from pipelines.study.check import check_study, open_row
from tests.measurements.label_images import disc, spot
from tests.studies import read_csv, run_here, write_samples

SHAPE = (190, 250)
CENTRES = [(y, x) for y in (35, 95, 155) for x in (35, 95, 155, 215)]
NUCLEI = sum(disc(SHAPE, y, x, 25) * (i + 1) for i, (y, x) in enumerate(CENTRES)).astype(np.uint32)
STUDY = """
study: foci
samples: samples.csv
channels: {{dna: 0, gh2ax: {channel}}}
pixel_size_um: 0.2
segmentation: {{nuclei: {{channel: dna, diameter_px: 50}}}}
measurements:
  - {{type: foci, channel: gh2ax, sigma_px: 1.5{more}}}
"""


@pytest.fixture(autouse=True)
def known_nuclei(monkeypatch):
    """What is tested here begins after segmentation."""
    labels = Labels(NUCLEI, NUCLEI, None)
    monkeypatch.setattr("pipelines.run.image.segment_field", lambda *_: labels)


def places(n, seed):
    """Foci at least 5 px apart, n in each nucleus."""
    rng = np.random.default_rng(seed)
    found = []
    for y, x in CENTRES:
        own = []
        while len(own) < n:
            place = rng.uniform(-16, 16, 2)
            if np.hypot(*place) < 20 and all(np.hypot(*(place - p)) > 7 for p in own):
                own.append(place)
        found += [(y + dy, x + dx) for dy, dx in own]
    return found


def gh2ax(n_foci, seed, height=260.0, level=400.0, shape=SHAPE):
    """Nuclei with a texture as wide as foci, foci on it, and the noise of the camera."""
    rng = np.random.default_rng(seed)
    texture = ndimage.gaussian_filter(rng.standard_normal(shape), (0,) * (len(shape) - 2) + (2, 2))
    picture = 100 + level * (NUCLEI > 0) * (1 + 0.08 * texture / texture.std())
    for y, x in places(n_foci, seed):
        picture = picture + height * spot(SHAPE, y, x, 1.5)
    return rng.poisson(picture).astype(np.uint16)


def write_study(folder, images, more="", statistics="", channel=1, dna=500 * (NUCLEI > 0)):
    """A study of pairs of a γH2AX picture and what its sample row says."""
    folder.mkdir(exist_ok=True)
    dna = np.random.default_rng(0).poisson(100 + dna).astype(np.uint16)
    rows = []
    for i, (picture, sample) in enumerate(images):
        tifffile.imwrite(folder / f"f{i}.tif", np.stack([dna, picture]))
        rows.append({"image": f"f{i}.tif", **sample})
    write_samples(folder, rows)
    path = folder / "study.yaml"
    path.write_text(STUDY.format(more=more, channel=channel) + statistics, encoding="utf-8")
    return path


def counts(layout, image_id):
    cells = pl.read_parquet(layout.cells).filter(pl.col("image_id") == image_id)
    return cells["gh2ax_foci_count"]


def test_an_image_without_foci_beside_one_with_many(tmp_path):
    images = [(gh2ax(n, seed), {"dox": d}) for seed, (n, d) in enumerate([(0, "no"), (8, "yes")])]
    layout = Layout(tmp_path / "out")
    run_here(write_study(tmp_path, images), layout.root)
    assert counts(layout, "f0").mean() < 0.3
    assert counts(layout, "f1").mean() == pytest.approx(8, rel=0.05)
    rows = read_csv(layout.table("thresholds"))
    assert [(r["name"], r["of"], r["rule"], r["by"], r["batch"]) for r in rows] == [
        ("gh2ax_foci", "height", "parting", "image_id", "f0"),
        ("gh2ax_foci", "height", "parting", "image_id", "f1"),
    ]
    assert {r["n_cells"] for r in rows} == {"24"}
    expected = [float(re.search(r"([0-9.]+) false foci a nucleus", r["note"])[1]) for r in rows]
    assert all(0 <= e < 0.3 for e in expected)
    foci = pl.read_parquet(layout.foci)
    for row in rows:
        own = foci.filter(pl.col("image_id") == row["batch"])
        assert (own["height"] > float(row["threshold"])).all()
        assert own["focus_id"].to_list() == list(range(1, own.height + 1))


def test_nuclei_with_5_foci_or_more_are_counted_in_every_table(tmp_path):
    images = [(gh2ax(n, seed), {"dox": n}) for seed, n in enumerate((1, 8))]
    layout = Layout(tmp_path / "out")
    run_here(write_study(tmp_path, images), layout.root, report=True)
    low, high = read_csv(layout.table("images"))
    assert [float(low[f"gh2ax_foci_ge{n}_fraction"]) for n in (3, 5, 10)] == [0, 0, 0]
    assert [float(high[f"gh2ax_foci_ge{n}_fraction"]) for n in (3, 5, 10)] == [1, 1, 0]
    defined = {r["column"]: r["meaning"] for r in read_csv(layout.table("columns"))}
    assert "z: max" in defined["gh2ax_foci_count"]


def test_controls_set_one_threshold_for_each_batch(tmp_path):
    images = [
        (gh2ax(n, seed), {"plate": plate, "dox": dox})
        for seed, (n, plate, dox) in enumerate(
            [(0, "A", "no"), (6, "A", "yes"), (0, "B", "no"), (1, "B", "no"), (6, "B", "yes")]
        )
    ]
    more = ", threshold: {by: plate, controls: {dox: no}}"  # which YAML reads as false
    layout = Layout(tmp_path / "out")
    run_here(write_study(tmp_path, images, more), layout.root)
    rows = read_csv(layout.table("thresholds"))
    assert [(r["rule"], r["controls"], r["by"], r["batch"], r["n_cells"]) for r in rows] == [
        ("control_texture", "dox False", "plate", "A", "12"),
        ("control_texture", "dox False", "plate", "B", "24"),
    ]
    assert all("control nuclei exceed it" in r["note"] for r in rows)
    heights = pl.read_parquet(layout.foci).group_by("plate").agg(pl.col("height").min())
    for row in rows:
        lowest = heights.filter(pl.col("plate") == row["batch"])["height"].item()
        assert lowest > float(row["threshold"])
    assert counts(layout, "f0").mean() < 1
    for image_id in ("f1", "f4"):
        assert counts(layout, image_id).mean() == pytest.approx(6, rel=0.1)


def test_another_rule_for_the_threshold_measures_nothing_again(tmp_path):
    images = [
        (gh2ax(n, seed, height=120), {"dox": d}) for seed, n, d in ((0, 0, "no"), (1, 8, "y"))
    ]
    layout = Layout(tmp_path / "out")
    run_here(write_study(tmp_path, images), layout.root)
    first = counts(layout, "f1").sum()
    picture = layout.qc("f1").read_bytes()
    study = write_study(tmp_path, images, ", threshold: {controls: {dox: no}, false_foci: 0.01}")
    assert run_here(study, layout.root).kept == 2
    assert counts(layout, "f1").sum() < first
    assert layout.qc("f1").read_bytes() != picture
    run_here(write_study(tmp_path, images), layout.root)
    assert counts(layout, "f1").sum() == first
    assert layout.qc("f1").read_bytes() == picture


def test_a_batch_whose_controls_fail_has_no_counts(tmp_path):
    images = [(gh2ax(n, seed), {"dox": d}) for seed, (n, d) in enumerate([(0, "no"), (5, "yes")])]
    study = write_study(tmp_path, images, ", threshold: {controls: {dox: no}}")
    (tmp_path / "f0.tif").write_bytes((tmp_path / "f0.tif").read_bytes()[:3000])
    layout = Layout(tmp_path / "out")
    assert run_here(study, layout.root).n_failed == 1
    assert counts(layout, "f1").null_count() == len(CENTRES)
    row = read_csv(layout.table("thresholds"))[0]
    assert row["threshold"] == ""
    assert "no control nucleus" in row["note"]


def test_nuclei_stained_all_over_have_no_count_and_no_foci(tmp_path):
    """Even where they are most of an image: a usual nucleus is one of the batch."""
    few = gh2ax(4, 1)
    most = few.copy()
    bright = (NUCLEI > 0) & (NUCLEI <= 8)
    most[bright] = np.random.default_rng(5).poisson(3000, bright.sum())
    layout = Layout(tmp_path / "out")
    images = [(gh2ax(4, 2), {"a": 0}), (gh2ax(4, 3), {"a": 0}), (most, {"a": 1})]
    run_here(write_study(tmp_path, images), layout.root)
    cells = pl.read_parquet(layout.cells).filter(pl.col("image_id") == "f2")
    assert cells["gh2ax_pan_nuclear"].to_list() == [True] * 8 + [False] * 4
    assert cells["gh2ax_foci_count"].is_null().to_list() == [True] * 8 + [False] * 4
    assert cells["gh2ax_foci_ge3"].to_list() == [None] * 8 + [True] * 4
    image = read_csv(layout.table("images"))[2]
    assert float(image["gh2ax_foci_count_mean"]) == pytest.approx(4, abs=0.5)
    assert float(image["gh2ax_foci_ge3_fraction"]) == 1
    assert float(image["gh2ax_pan_nuclear_fraction"]) == pytest.approx(8 / 12)
    foci = pl.read_parquet(layout.foci).filter(pl.col("image_id") == "f2")
    assert foci["cell_id"].min() == 9


def test_foci_are_compared_in_g1_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("measurements.ploidy.MIN_CELLS", 20)
    cells = [(donor, dox) for dox in ("no", "yes") for donor in ("a", "b")]
    images = [
        (gh2ax(6 if dox == "yes" else 1, seed), {"donor": f"{donor}{dox}", "dox": dox})
        for seed, (donor, dox) in enumerate(cells)
    ]
    design = (
        "  - {type: chromatin, channel: dna}\nstatistics:\n  unit: donor\n  factors: [dox]\n"
        "  outcomes: [gh2ax_foci_count, {of: gh2ax_foci_count, within: {dna_in_g1: true}}]\n"
    )
    in_g2 = NUCLEI % 3 == 0
    study = write_study(tmp_path, images, "", design, dna=500 * (NUCLEI > 0) * (1 + in_g2))
    layout = Layout(tmp_path / "out")
    run_here(study, layout.root)
    found = pl.read_parquet(layout.cells)
    assert (found["dna_in_g1"] == (found["cell_id"] % 3 != 0)).all()
    rows = read_csv(layout.table("statistics"))
    counted = {row["within"]: row["n_cells"] for row in rows}
    assert counted == {"": "24", "dna_in_g1 True": "16"}
    flags = cell_flags_table(read_run(layout.root))
    assert flags is not None
    named = {row[0] for row in flags.rows}
    assert "gh2ax pan nuclear" in named
    assert not any(word in name for name in named for word in ("g1", "foci"))


def test_every_focus_of_the_table_is_ringed(tmp_path):
    layout = Layout(tmp_path / "out")
    study = write_study(tmp_path, [(gh2ax(5, 0), {"a": 0})])
    run_here(study, layout.root)
    ringed = np.asarray(Image.open(layout.qc("f0"))).astype(int)
    checked = check_study(study)
    pixels = read_pixels(open_row(checked.study, checked.samples.rows[0]), checked.study)
    plain = overlay(pixels, Labels(NUCLEI, NUCLEI, None), checked.study, {}, {}).astype(int)
    foci = pl.read_parquet(layout.foci)
    scale = 3  # of a picture this small
    height = scale * SHAPE[0]  # above the legend, which counts them
    changed, _ = ndimage.label((plain[:height] != ringed[:height]).any(axis=-1), np.ones((3, 3)))
    at = np.rint((foci.select("y_um", "x_um").to_numpy() / 0.2 + 0.5) * scale).astype(int)
    near = ndimage.maximum_filter(changed, 2 * 9 + 1)
    assert (near[tuple(at.T)] > 0).all()
    assert changed.max() <= foci.height


DEPTHS = (3.5, 8.5)


def stack_of(n_planes=13, sigma=1.5):
    """Two foci of each nucleus above each other, which a projection cannot tell apart."""
    z = np.arange(n_planes)[:, None, None]
    rng = np.random.default_rng(0)
    picture = 100 + 400.0 * (NUCLEI > 0)[None] + np.zeros((n_planes, 1, 1))
    for y, x in CENTRES:
        for depth, dx in zip(DEPTHS, (0.0, 1.0), strict=True):
            bell = np.exp(-(((z - depth) / sigma) ** 2) / 2)
            picture = picture + 300 * bell * spot(SHAPE, y, x + dx, 1.5)[None]
    return rng.poisson(picture).astype(np.uint16)


def write_stack_study(folder, stack, more, *, z_step=0.5):
    folder.mkdir(exist_ok=True)
    dna = np.random.default_rng(0).poisson(100 + 500 * (NUCLEI > 0)).astype(np.uint16)
    tifffile.imwrite(folder / "dna.tif", dna)
    metadata = {"axes": "ZYX"[-stack.ndim :]}
    if z_step:
        metadata |= {"PhysicalSizeZ": z_step, "PhysicalSizeZUnit": "µm"}
    tifffile.imwrite(folder / "gh2ax.ome.tif", stack, ome=True, metadata=metadata)
    write_samples(folder, [{"image_dna": "dna.tif", "image_gh2ax": "gh2ax.ome.tif"}])
    path = folder / "study.yaml"
    path.write_text(STUDY.format(more=more, channel=0), encoding="utf-8")
    return path


def test_foci_above_each_other_are_told_apart_in_the_stack(tmp_path):
    study = write_stack_study(tmp_path, stack_of(), ", stack: {sigma_z_um: 0.75}")
    layout = Layout(tmp_path / "deep")
    run_here(study, layout.root, report=True)
    cells, foci = pl.read_parquet(layout.cells), pl.read_parquet(layout.foci)
    assert cells["gh2ax_foci_count"].median() == 2
    assert abs(cells["gh2ax_foci_count"].sum() - 2 * len(CENTRES)) <= 1
    for depth in DEPTHS:
        assert ((foci["plane"] - depth).abs() < 0.4).sum() >= len(CENTRES)
    np.testing.assert_allclose(foci["z_um"], foci["plane"] * 0.5)
    count = pq.read_schema(layout.cells).field("gh2ax_foci_count")
    assert "in the z-stack" in count.metadata[b"meaning"].decode()
    settings = json.loads(layout.provenance.read_text())["settings"]["measurements"][0]
    assert settings["stack"]["sigma_z_um"] == 0.75
    write_stack_study(tmp_path, stack_of(), "")
    flat = Layout(tmp_path / "flat")
    run_here(study, flat.root)
    merged = pl.read_parquet(flat.cells)["gh2ax_foci_count"]
    assert abs(merged.sum() - len(CENTRES)) <= 1
    assert "plane" not in pl.read_parquet(flat.foci).columns


def test_planes_do_where_their_distance_is_unknown(tmp_path):
    study = write_stack_study(tmp_path, stack_of(), ", stack: {sigma_z_planes: 1.5}", z_step=None)
    layout = Layout(tmp_path / "out")
    run_here(study, layout.root)
    foci = pl.read_parquet(layout.foci)
    assert abs(foci.height - 2 * len(CENTRES)) <= 1
    assert foci["z_um"].is_nan().all()


def test_the_study_can_give_the_distance_of_planes(tmp_path):
    more = ", stack: {sigma_z_um: 0.75, z_step_um: 0.5}"
    study = write_stack_study(tmp_path, stack_of(), more, z_step=None)
    layout = Layout(tmp_path / "out")
    run_here(study, layout.root)
    foci = pl.read_parquet(layout.foci)
    np.testing.assert_allclose(foci["z_um"], foci["plane"] * 0.5)
    assert foci.filter(pl.col("plane") > 6)["z_um"].median() == pytest.approx(4.25, abs=0.1)


@pytest.mark.parametrize(
    ("stack", "more", "message"),
    [
        (stack_of(), ", stack: {sigma_z_um: 0.75}", "distance of the planes"),
        (stack_of()[0], ", stack: {sigma_z_planes: 1.5}", "one plane"),
        (stack_of(), ", stack: {}", "sigma_z_um or sigma_z_planes"),
    ],
)
def test_what_is_missing_for_a_stack_stops_the_study(tmp_path, stack, more, message):
    study = write_stack_study(tmp_path, stack, more, z_step=None)
    with pytest.raises(StudyError, match=message):
        run_here(study, tmp_path / "out")


def test_one_channel_has_foci_once(tmp_path):
    study = write_study(tmp_path, [(gh2ax(1, 0), {"a": 0})])
    again = "  - {type: foci, channel: gh2ax, sigma_px: 3}\n"
    study.write_text(study.read_text() + again, encoding="utf-8")
    with pytest.raises(StudyError, match="measured twice"):
        run_here(study, tmp_path / "out")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{by: plaet}", "no sample column 'plaet'; did you mean 'plate'?"),
        ("{controls: {dox: maybe}}", "no image has dox maybe"),
        ("{by: plate, controls: {dox: no}}", "plate B has no control image"),
        ("{control: {dox: no}}", "did you mean 'controls'?"),
    ],
)
def test_wrong_thresholds_are_found_before_computing(tmp_path, rule, message):
    images = [(gh2ax(0, 0), {"plate": p, "dox": d}) for p, d in (("A", "no"), ("B", "yes"))]
    study = write_study(tmp_path, images, f", threshold: {rule}")
    with pytest.raises(StudyError) as caught:
        run_here(study, tmp_path / "out")
    assert message in str(caught.value)
