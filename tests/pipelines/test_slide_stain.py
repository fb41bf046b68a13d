"""SA-β-Gal measured by blocks, beside the same picture measured in one piece."""

import io
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import pytest
from PIL import Image

from measurements.columns import in_physical_units
from measurements.regions import Regions
from pipelines.errors import ImageError
from pipelines.field.beta_gal import measure_stain
from pipelines.field.labels import Labels
from pipelines.field.pixels import Pixels, rgb_to_grey
from pipelines.field.place import Surroundings, whole_image
from pipelines.slide.measuring import add_levels, block_levels, measure_block, slide_levels
from pipelines.slide.stain import (
    block_colours,
    block_stain,
    picture_light,
    slide_columns,
    slide_stain_settings,
    whole_picture,
)
from pipelines.study import Study
from pipelines.study.beta_gal import beta_gal_of
from segmentation.cells import expand_nuclei
from tests.measurements.label_images import disc
from tests.pipelines.test_slide_measuring import InMemory, grid

SHAPE = (330, 470)
STEP = 173


@pytest.fixture(autouse=True)
def _thinned(monkeypatch):
    """Light is told from every second row and column, JPEG from every so-manieth pixel."""
    monkeypatch.setattr("measurements.optical_density.MAX_SAMPLE", 20_000)
    monkeypatch.setattr("measurements.jpeg.SAMPLE", 20_000)


@dataclass(frozen=True)
class Picture(InMemory):
    """A slide in colour."""

    colours: np.ndarray = None

    def rgb(self, box):
        return self.colours[box.top : box.bottom, box.left : box.right]


def picture(kind):
    """Cells with stain around their nuclei, under light that falls off and is yellowish."""
    rng = np.random.default_rng(0)
    nuclei = np.zeros(SHAPE, dtype=np.uint32)
    for number in rng.permutation(np.arange(5, 100, 2)):
        nuclei[disc(SHAPE, *rng.uniform((0, 0), SHAPE), rng.uniform(8, 12))] = number
    parts = expand_nuclei(nuclei, 12)
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    light = 1 - ((y / SHAPE[0] - 0.4) ** 2 + (x / SHAPE[1] - 0.6) ** 2) / 2
    stain = rng.uniform(0, 0.4, 101)[parts.cell] * (parts.cell > 0)
    density = stain[..., np.newaxis] * [0.865, 0.479, 0.149] + 0.1 * (nuclei > 0)[..., np.newaxis]
    rgb = (light[..., np.newaxis] * [210, 200, 170]) * 10**-density + rng.normal(0, 2, (*SHAPE, 3))
    rgb[10::40, 10::40] = 255
    pixels = np.clip(rgb, 0, 255).round().astype(np.uint8)
    if kind == "jpeg":
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "jpeg", quality=75)
        pixels = np.asarray(Image.open(file))
    planes = {"bright": rgb_to_grey(pixels)}
    return Picture(parts.nucleus, parts.cell, planes, colours=pixels)


def study(**more):
    return Study.model_validate(
        {
            "study": "slide",
            "samples": "samples.csv",
            "channels": {"bright": "rgb"},
            "segmentation": {
                "nuclei": {"channel": "bright", "model": "compact", "diameter_px": 20},
                "cells": {"method": "expand", "distance_px": 12},
                "cytoplasm": {"gap_px": 1, "width_px": 4},
            },
            "measurements": [{"type": "beta_gal", **more}],
        }
    )


def in_one_piece(slide, settings):
    ids = np.unique(slide.cells[slide.cells > 0])
    labels = Labels(slide.nuclei, slide.cells, slide.n_nuclei(ids))
    pixels = Pixels("", slide.planes, slide.colours, slide.pixel_size_um, ())
    place = whole_image(labels)
    around = Surroundings.of(pixels, labels, settings, place)
    cells = Regions.of(labels.cells, place.ids)
    stain = measure_stain(beta_gal_of(settings), pixels, cells, None, around)
    return named(stain.cells, slide), named(stain.image, slide)


def by_blocks(slide, settings, step=STEP):
    boxes, size = grid(step, SHAPE), slide.pixel_size_um
    colours = ((own, block_colours(slide, own, settings)) for own in boxes)
    light = picture_light(colours, SHAPE, settings, size)
    total = reduce(add, [block_stain(slide, own, settings, light) for own in boxes])
    chosen = slide_stain_settings(settings, slide.colours.dtype, size)
    whole = whole_picture(total, light, chosen)
    grey = reduce(add_levels, [block_levels(slide, own, settings) for own in boxes])
    levels = slide_levels(grey, settings, size)
    tables = [measure_block(slide, own, settings, levels, whole) for own in boxes]
    columns = {c.name: np.concatenate([t[c] for t in tables]) for c in tables[0]}
    order = np.argsort(columns["cell_id"])
    cells = {name: values[order] for name, values in columns.items()}
    return cells, named(slide_columns(total, whole, chosen), slide)


def named(columns, slide):
    found = in_physical_units(columns, slide.pixel_size_um)
    return {column.name: values for column, values in found.items()}


@pytest.mark.parametrize(
    ("kind", "background"), [("plain", "field"), ("plain", "local"), ("jpeg", "field")]
)
def test_blocks_give_the_stain_of_the_whole(kind, background):
    slide, settings = picture(kind), study(background=background)
    whole, image = in_one_piece(slide, settings)
    cells, of_slide = by_blocks(slide, settings)
    for name, values in whole.items():
        np.testing.assert_array_equal(cells[name], values, err_msg=name)
    assert set(image) == set(of_slide)
    for name, values in image.items():
        # Sums over blocks are rounded otherwise, and stained pixels told by histogram.
        np.testing.assert_allclose(of_slide[name], values, rtol=1e-4, atol=1e-9, err_msg=name)
    assert image["beta_gal_image_jpeg"] == (kind == "jpeg")
    assert np.ptp(whole["beta_gal_mean_od"]) > 0.3
    # Single clipped pixels do not outlive JPEG.
    clipped = np.nanmax(whole["beta_gal_surroundings_clipped_fraction"])
    assert (clipped > 0) == (kind == "plain")
    assert "beta_gal_ring_mean_od" in cells


def test_a_slide_full_of_cells_needs_a_level():
    slide = picture("plain")
    full = Picture(slide.nuclei, slide.cells + np.uint32(1), slide.planes, colours=slide.colours)
    with pytest.raises(ImageError, match="stained_od"):
        by_blocks(full, study())
    assert by_blocks(full, study(stained_od=0.1))[1]["beta_gal_image_stained_fraction"] > 0


def test_a_grey_slide_is_refused():
    slide = picture("plain")
    grey = np.stack([slide.colours[..., 1]] * 3, axis=-1)
    with pytest.raises(ImageError, match="equal in every pixel"):
        by_blocks(Picture(slide.nuclei, slide.cells, slide.planes, colours=grey), study())
