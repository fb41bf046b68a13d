"""Slides of any size, segmented block by block, with the labels that one run over all would give.

The invariant: what is known of a pixel does not depend on the block that computes it. The
network's tiles lie on one lattice over the whole slide (`lattice`), grey values are scaled by one
range for the whole slide (`grey`), resampling is sampling at slide-wide positions (`resample`), and
the dynamics know no frame (`segmentation.dynamics`). So two blocks that see an object whole see
the same pixels of it, and nothing is stitched: an object belongs to the block whose core holds the
centre of its bounding box, and is numbered by its first pixel (`objects`).

Pixels come through a function that reads a box, so that a block needs no more memory than itself.
"""
