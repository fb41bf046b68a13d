"""SA-β-Gal settings of a study, from the file to the numbers; labels are given, not segmented."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from measurements.stains import X_GAL, unit
from pipelines.errors import ImageError, StudyError
from pipelines.field import Labels, measure_field, read_pixels
from pipelines.field.beta_gal import COVERED, GREY_JPEG, JPEG, OVEREXPOSED
from pipelines.run.steps import prepare
from pipelines.study.check import open_row
from tests.measurements.label_images import disc

SHAPE = (200, 240)
STAIN = np.array(unit((0.80, 0.52, 0.30)))
PLACES = {1: (60, 60), 2: (60, 170), 3: (140, 110)}
STUDY = """
study: s
samples: samples.csv
channels: {{rgb: rgb}}
pixel_size_um: 0.5
segmentation: {{cells: {{method: cellpose, channel: rgb, model: compact, diameter_px: 60}}}}
measurements: [{{type: beta_gal{settings}}}]
"""


def labels():
    image = np.zeros(SHAPE, dtype=np.uint32)
    for label, (y, x) in PLACES.items():
        image[disc(SHAPE, y, x, 30)] = label
    return image


def picture(amounts=(0.0, 0.1, 0.4), light=(215.0, 205.0, 180.0), stain=STAIN, seed=1):
    rng = np.random.default_rng(seed)
    amount = np.append(0.0, amounts)[labels()] * rng.gamma(4, 0.25, SHAPE)
    grey = np.asarray(light) * 10 ** -(amount[..., None] * stain)
    noisy = grey * (1 + 0.008 * rng.standard_normal((*SHAPE, 3)))
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def write(folder: Path, settings="", *, pictures=None, ending="tif") -> Path:
    pictures = pictures or {"a": picture(), "b": picture(seed=2)}
    lines = ["image,batch"]
    for number, (name, rgb) in enumerate(pictures.items()):
        if ending == "tif":
            tifffile.imwrite(folder / f"{name}.tif", rgb, photometric="rgb")
        else:
            Image.fromarray(rgb).save(folder / f"{name}.{ending}", quality=75)
        lines.append(f"{name}.{ending},{number}")
    (folder / "samples.csv").write_text("\n".join(lines) + "\n")
    path = folder / "study.yaml"
    path.write_text(STUDY.format(settings=settings and f", {settings}"))
    return path


def measured(task, cells=None):
    """What one image of a plan gives, with the cells that are known."""
    pixels = read_pixels(open_row(task.study, task.row), task.study)
    cells = labels() if cells is None else cells
    return measure_field(
        pixels, Labels(np.zeros_like(cells), cells, np.zeros(3, np.int64)), task.study, None
    )


def od(task):
    cells = measured(task).cells
    return next(v for c, v in cells.items() if c.name == "beta_gal_mean_od")


def tasks(path: Path):
    return prepare(path, path.parent / "out").tasks


def test_the_image_has_columns_of_its_own(tmp_path):
    summary = measured(tasks(write(tmp_path))[0]).summary
    area = 0.25 * SHAPE[0] * SHAPE[1]
    assert summary["beta_gal_image_integrated_od_um2"] == pytest.approx(
        summary["beta_gal_image_mean_od"] * area
    )
    assert summary["beta_gal_stain_red"] == pytest.approx(X_GAL[0])
    assert summary["warnings"] == ""
    json.dumps(dict(summary))


def test_overexposed_and_compressed_pictures_carry_a_warning(tmp_path):
    bright = {"a": picture(light=(280.0, 280.0, 280.0))}
    (task,) = tasks(write(tmp_path, pictures=bright))
    assert measured(task).summary["warnings"] == OVEREXPOSED
    folder = tmp_path / "jpeg"
    folder.mkdir()
    (task,) = tasks(write(folder, pictures={"a": picture()}, ending="jpg"))
    assert JPEG in measured(task).summary["warnings"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_picture_saved_as_colour_is_refused(tmp_path, dtype):
    grey = picture().astype(dtype).mean(axis=-1).astype(dtype)
    (task,) = tasks(write(tmp_path, pictures={"a": np.stack([grey] * 3, axis=-1)}))
    with pytest.raises(ImageError, match="equal in every pixel"):
        measured(task)


def test_an_unstained_picture_whose_colour_jpeg_took_is_measured_with_a_warning(tmp_path):
    """Refusing it would leave out unstained pictures only."""
    rgb = picture((0.0, 0.0, 0.0), light=(180.0, 180.0, 180.0))
    (task,) = tasks(write(tmp_path, pictures={"a": rgb}, ending="jpg"))
    found = measured(task)
    assert GREY_JPEG in found.summary["warnings"]
    assert next(v for c, v in found.cells.items() if c.name == "beta_gal_mean_od") == (
        pytest.approx([0, 0, 0], abs=0.002)
    )


def test_a_picture_full_of_cells_says_that_its_light_is_theirs(tmp_path):
    full = np.where(labels() == 0, np.uint32(4), labels())
    for folder, settings, warned in ((tmp_path, "", True), (tmp_path / "b", "blank: blank.tif", 0)):
        folder.mkdir(exist_ok=True)
        blank = picture((0.0, 0.0, 0.0), seed=3)
        tifffile.imwrite(folder / "blank.tif", blank, photometric="rgb")
        (task,) = tasks(write(folder, settings, pictures={"a": picture()}))
        summary = measured(task, full).summary
        assert summary["beta_gal_image_background_fraction"] == 0
        assert (COVERED in summary["warnings"]) == bool(warned)
        assert COVERED not in measured(task).summary["warnings"]


def test_a_given_stain_a_dark_level_and_gamma(tmp_path):
    stain = ", ".join(f"{density:.3f}" for density in STAIN)
    (task, _) = tasks(write(tmp_path, f"stain: [{stain}]"))
    assert od(task) == pytest.approx([0, 0.1, 0.4], abs=0.006)
    lifted = {"a": picture(light=(180.0, 180.0, 180.0)) + np.uint8(30)}
    (task,) = tasks(write(tmp_path, f"stain: [{stain}], dark: 30", pictures=lifted))
    assert od(task) == pytest.approx([0, 0.1, 0.4], abs=0.01)
    encoded = {"a": np.rint(255 * (picture() / 255) ** (1 / 2.2)).astype(np.uint8)}
    (task,) = tasks(write(tmp_path, f"stain: [{stain}], gamma: 2.2", pictures=encoded))
    assert od(task) == pytest.approx([0, 0.1, 0.4], abs=0.01)


def test_the_stain_is_estimated_once_for_all_images(tmp_path):
    plan = prepare(write(tmp_path, "stain: {controls: {batch: 0}}"), tmp_path / "out")
    (estimate,) = plan.references.inputs["stain_estimates"]
    assert np.degrees(np.arccos(np.dot(unit(estimate["vector"]), STAIN))) < 2
    assert (estimate["n_images"], estimate["batch"]) == (1, None)
    json.dumps(plan.references.inputs)
    for task in plan.tasks:
        assert od(task) == pytest.approx([0, 0.1, 0.4], abs=0.01)
        assert measured(task).summary["beta_gal_stain_blue"] == pytest.approx(0.3, abs=0.03)


def test_a_stain_for_every_batch(tmp_path):
    other = np.array(unit((0.92, 0.38, 0.05)))
    pictures = {"a": picture(), "b": picture(stain=other)}
    path = write(tmp_path, "stain: {controls: {batch: 0}, by: batch}", pictures=pictures)
    with pytest.raises(StudyError, match="batch 1 has no stained control"):
        prepare(path, tmp_path / "out")
    path = write(tmp_path, "stain: {controls: {kind: s}, by: batch}", pictures=pictures)
    table = (tmp_path / "samples.csv").read_text().splitlines()
    rows = [table[0] + ",kind", *(line + ",s" for line in table[1:])]
    (tmp_path / "samples.csv").write_text("\n".join(rows))
    for task in tasks(path):
        assert od(task) == pytest.approx([0, 0.1, 0.4], abs=0.01)


def test_controls_without_stain_stop_the_run(tmp_path):
    bare = {"a": picture(amounts=(0, 0, 0))}
    with pytest.raises(StudyError, match=r"1 stained control images.*stained pixels"):
        tasks(write(tmp_path, "stain: {controls: {batch: 0}}", pictures=bare))


def test_a_blank_field_gives_the_light_and_its_content_enters_the_key(tmp_path):
    """All of the field is covered by cells but the blank one: its own background would be stain."""
    stain = ", ".join(f"{density:.3f}" for density in STAIN)
    haze = {"a": np.rint(picture() * 10 ** (-0.2 * STAIN)).astype(np.uint8)}
    blank = tmp_path / "blank.tif"
    tifffile.imwrite(blank, picture(amounts=(0, 0, 0), seed=5), photometric="rgb")
    settings = f"stain: [{stain}], background: none, blank: blank.tif"
    plan = prepare(write(tmp_path, settings, pictures=haze), tmp_path / "out")
    assert od(plan.tasks[0]) == pytest.approx([0.2, 0.3, 0.6], abs=0.01)
    assert list(plan.references.inputs["blank_fields"]) == ["blank.tif"]
    tifffile.imwrite(blank, picture(amounts=(0, 0, 0), seed=6), photometric="rgb")
    (again,) = tasks(tmp_path / "study.yaml")
    assert again.measurement_key != plan.tasks[0].measurement_key
    assert again.segmentation_key == plan.tasks[0].segmentation_key
