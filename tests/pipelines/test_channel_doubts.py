"""Channels that were not taken, or not whole: what a run says."""

from pathlib import Path

from pipelines.run.channel_doubts import channel_warnings
from pipelines.run.parts import Part
from pipelines.study import parse_study
from pipelines.study.row import ImageRow

STUDY = """
study: doubted
samples: samples.csv
channels: {dapi: 0, gfp: 1}
segmentation: {nuclei: {channel: dapi, diameter_px: 20}}
measurements: [{type: intensity, channel: gfp}]
"""


def image(name, flags):
    return Part(ImageRow(name, {}, None, {}), {"n_cells": 0, "summary": {"flags": flags}}, Path())


def test_channels_without_a_whole_picture_are_named_with_their_images():
    study = parse_study(STUDY, "study")
    parts = [
        image("a", ""),
        image("b", "dapi_saturated;gfp_constant"),
        image("c", "gfp_constant"),
        image("d", "gfp_broken_pixels"),
    ]
    constant, broken = channel_warnings(study, parts)
    assert constant.startswith("gfp: one grey value all over 2 of 4 images (b, c)")
    assert broken.startswith("gfp: pixels are NaN or infinite in 1 of 4 images (d)")
    assert not channel_warnings(study, parts[:1])
