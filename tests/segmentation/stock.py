"""Cellpose as it would be if it read flows where its walkers are.

Its dynamics scale places so that -1 and 1 are the centres of the outermost pixels, and interpolate
with ``align_corners=False``, for which they are the outer edges: it reads up to half a pixel
beside a walker, the further from the image's middle the more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch


@contextmanager
def reading_at_the_place() -> Iterator[None]:
    """Inside, torch interpolates as places scaled by Cellpose need it."""
    read = torch.nn.functional.grid_sample

    def aligned(field: torch.Tensor, places: torch.Tensor, *, align_corners: bool) -> torch.Tensor:
        assert not align_corners
        return read(field, places, align_corners=True)

    with patch("torch.nn.functional.grid_sample", aligned):
        yield
