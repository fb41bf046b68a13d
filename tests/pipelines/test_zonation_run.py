"""Zonation in a study: sections of known zones from images to tables, tests and the report."""

import numpy as np
import polars as pl
import pytest
import tifffile

from pipelines.errors import StudyError
from pipelines.field import Labels
from pipelines.run.layout import Layout
from pipelines.run.task import settings_keys
from pipelines.study.check import check_study
from pipelines.study.model import parse_study
from tests.studies import read_csv, run_here, write_samples

SIDE, STEP = 16, 12
STUDY = """
study: zones
samples: samples.csv
channels: {dapi: 0, pc: 1, mid: 2, pp: 3}
pixel_size_um: 1.0
segmentation: {nuclei: {channel: dapi, diameter_px: 8}, cells: {method: nuclei}}
measurements:
  - {type: morphology}
  - {type: intensity, channel: pc, compartments: [nucleus], background: none}
  - {type: intensity, channel: mid, compartments: [nucleus], background: none}
  - {type: intensity, channel: pp, compartments: [nucleus], background: none}
  - type: zonation
    zones: {central: [pc_nucleus_mean], middle: [mid_nucleus_mean], portal: [pp_nucleus_mean]}
    values: intensity
    reference: {arm: healthy}
    width_um: 14
    landmarks: veins.csv
statistics:
  unit: animal
  factors: [arm]
  reference: {arm: healthy}
  outcomes: [zone_central, zone_order, zone_log2_expression]
  adjust: none
"""


def labels():
    image = np.zeros((SIDE * STEP,) * 2, np.uint32)
    for number in range(SIDE**2):
        y, x = (STEP * k + 2 for k in divmod(number, SIDE))
        image[y : y + 8, x : x + 8] = number + 1
    return Labels(image, image, None)


def section(arm, seed):
    """Planes whose genes follow the column of the cell: mixed, or dimmed to a half."""
    rng = np.random.default_rng(seed)
    place = np.arange(SIDE**2) % SIDE / (SIDE - 1)
    if arm == "mixed":
        swapped = rng.random(place.size) < 0.5
        place[swapped] = rng.permutation(place)[swapped]
    levels = np.column_stack(
        [
            np.exp(-((place / 0.4) ** 2)),
            np.exp(-(((place - 0.5) / 0.2) ** 2)),
            np.exp(-(((1 - place) / 0.4) ** 2)),
        ]
    )
    levels = (0.04 + 0.96 * levels) * rng.lognormal(0, 0.3, levels.shape)
    levels *= rng.lognormal(0, 0.05) * (2000 if arm == "dimmed" else 4000)
    found = labels().nuclei
    planes = [500.0 * (found > 0), *(np.append(0, level)[found] for level in levels.T)]
    return np.stack(planes).astype(np.uint16)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.run.image.segment_field", lambda *_: labels())
    rows, veins = [], ["image,y_um,x_um,zone"]
    for group, arm in enumerate(("healthy", "mixed", "dimmed")):
        for number in range(3):
            name = f"{arm}{number}"
            path = tmp_path / f"{name}.tif"
            picture = section(arm, 10 * group + number)
            tifffile.imwrite(path, picture, photometric="minisblack", metadata={"axes": "CYX"})
            rows.append({"image": path.name, "animal": f"A{name}", "arm": arm})
            for y in range(0, SIDE * STEP, 20):
                veins += [f"{name},{y},0,central", f"{name},{y},{SIDE * STEP},portal"]
    write_samples(tmp_path, rows)
    (tmp_path / "veins.csv").write_text("\n".join(veins))
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


@pytest.mark.slow
def test_mixing_and_dimming_are_told_apart_in_the_tables(study, tmp_path):
    run_here(study, tmp_path / "out", report=True)
    layout = Layout(tmp_path / "out")
    cells = pl.read_parquet(layout.cells)
    true = np.minimum(np.arange(SIDE**2) % SIDE * 3 // SIDE, 2)
    names = np.array(["central", "middle", "portal"])
    healthy = cells.filter(pl.col("arm") == "healthy")
    assert (healthy["zone"].to_numpy() == np.tile(names[true], 3)).mean() > 0.85
    rows = {
        (r["outcome"], r["contrast"].split(" ")[1]): r
        for r in read_csv(layout.table("statistics"))
        if r["role"] == "primary"
    }
    order, level = rows["zone_order", "mixed"], rows["zone_log2_expression", "dimmed"]
    assert float(order["p"]) < 0.05
    assert float(order["estimate"]) < -0.2
    assert float(level["p"]) < 0.01
    assert float(level["estimate"]) == pytest.approx(-1, abs=0.25)
    assert abs(float(rows["zone_order", "dimmed"]["estimate"])) < 0.1
    assert abs(float(rows["zone_central", "dimmed"]["estimate"])) < 0.05
    assert {r["note"] for r in rows.values()} == {""}
    zonation = read_csv(layout.table("zonation"))
    units = {r["animal"]: r for r in zonation if r["level"] == "unit"}
    assert len(units) == 9
    assert float(units["Ahealthy0"]["zone_steepness"]) > 1.5
    sources = {r["reference"] for r in zonation if r["arm"] == "healthy" and r["image_id"]}
    assert sources == {"the other reference units"}
    shares = [float(units["Adimmed1"][f"{n}_fraction"]) for n in (*names, "unassigned")]
    assert sum(shares) == pytest.approx(1)
    samples = {r["animal"]: r for r in read_csv(layout.table("samples"))}
    assert float(samples["Adimmed1"]["zone_central_fraction"]) == pytest.approx(shares[0])
    defined = {r["column"] for r in read_csv(layout.table("columns")) if r["table"] == "zonation"}
    assert defined == set(zonation[0])
    page = layout.report.read_text(encoding="utf-8")
    assert "Maps of zones" in page
    assert "zone log2 expression" in page
    plans = {r["outcome"] for r in read_csv(layout.table("power"))}
    assert "zone_order" in plans


def test_another_width_measures_nothing_anew(study):
    before, after = (
        settings_keys(parse_study(text, "study.yaml"), "1", {}, {})
        for text in (STUDY, STUDY.replace("width_um: 14", "width_um: 20"))
    )
    assert before == after


@pytest.mark.slow
def test_two_zones_have_a_zone_between_and_unknown_genes_are_named(study, tmp_path):
    three = "central: [pc_nucleus_mean], middle: [mid_nucleus_mean], portal"
    text = STUDY.replace(three, "a: [pc_nucleus_mean], b").replace("zone_central", "zone_between")
    study.write_text(text.replace("    landmarks: veins.csv\n", ""))
    run_here(study, tmp_path / "out", only="healthy*")
    zones = pl.read_parquet(Layout(tmp_path / "out").cells, columns=["zone"])["zone"]
    assert set(zones) == {"a", "between", "b"}
    study.write_text(STUDY.replace("[mid_nucleus_mean]", "[hamp_count]"))
    with pytest.raises(StudyError, match=r"hamp_count.*What was measured is kept"):
        run_here(study, tmp_path / "out", only="healthy0")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("  - {type: morphology}\n", ""), "morphology"),
        (("arm: healthy}\n    width", "arm: healty}\n    width"), "no image has arm healty"),
        (("landmarks: veins.csv", "landmarks: none.csv"), "none.csv cannot be read"),
        (("middle: [mid", "middle: [pc"), "stands in two zones"),
        (("portal: [pp", "order: [pp"), "a name that senescope uses"),
        (("central: [pc", "portal_end: [pc"), "neither portal_end nor portal"),
    ],
)
def test_the_check_says_what_is_wrong(study, change, said):
    study.write_text(STUDY.replace(*change))
    with pytest.raises(StudyError, match=said):
        check_study(study).raise_errors()
