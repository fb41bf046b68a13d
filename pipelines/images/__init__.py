"""Microscope images: from any file to a lazy field of named channels, and back to OME-TIFF.

`inspect` reads a header and no pixel, `scene_names` and `scene_number` say which images a file
holds, `open_field` gives the channels of one image as lazy arrays, `write_image` writes one.
Anything that is wrong with a file is a `pipelines.errors.ImageError`.
"""

from pipelines.images.field import Field, open_field
from pipelines.images.header import inspect, scene_names, scene_number
from pipelines.images.info import ImageInfo
from pipelines.images.lazy import Projection
from pipelines.images.writer import write_image

__all__ = [
    "Field",
    "ImageInfo",
    "Projection",
    "inspect",
    "open_field",
    "scene_names",
    "scene_number",
    "write_image",
]
