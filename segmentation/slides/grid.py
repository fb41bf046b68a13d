"""Boxes and blocks: how a slide is cut."""

from dataclasses import dataclass

Shape = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels, half-open.

    Attributes:
        top: first row.
        left: first column.
        bottom: row after the last.
        right: column after the last.
    """

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> Shape:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an array of the frame that it is given in."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grown(self, margin: int, frame: Shape) -> "Box":
        """The box with a margin around it, cut at the edges of a frame of this shape."""
        wider = Box(
            self.top - margin, self.left - margin, self.bottom + margin, self.right + margin
        )
        return wider.within(frame)

    def within(self, frame: Shape) -> "Box":
        """The part of the box that lies in a frame of this shape."""
        return self.shared_with(Box(0, 0, *frame))

    def shared_with(self, other: "Box") -> "Box":
        """The part of the box that lies in another; of negative shape where there is none."""
        return Box(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )

    def seen_from(self, other: "Box") -> "Box":
        """The same box in the frame that starts at the corner of `other`."""
        return Box(
            self.top - other.top,
            self.left - other.left,
            self.bottom - other.top,
            self.right - other.left,
        )


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the slide that one task computes.

    Attributes:
        index: place in the raster order of the blocks.
        core: pixels whose labels this block writes; the cores of all blocks tile the slide.
        window: the core with its halo, cut at the slide's edge: pixels whose labels it computes.
    """

    index: int
    core: Box
    window: Box


def blocks(shape: Shape, side: int, halo: int) -> tuple[Block, ...]:
    """Cut a slide into blocks, row by row.

    Args:
        shape: rows and columns of the slide.
        side: rows and columns of a core, px; those at the far edges are what is left.
        halo: how far a window reaches beyond its core, px.

    Raises:
        ValueError: the side is not positive, the halo negative, or the slide empty.
    """
    if side < 1 or halo < 0 or min(shape) < 1:
        raise ValueError(
            f"Blocks need a slide of at least 1 x 1 px, a side of 1 px or more and a halo of 0 px "
            f"or more, not {shape}, {side} and {halo}."
        )
    cores = [
        Box(top, left, min(top + side, shape[0]), min(left + side, shape[1]))
        for top in range(0, shape[0], side)
        for left in range(0, shape[1], side)
    ]
    return tuple(Block(i, core, core.grown(halo, shape)) for i, core in enumerate(cores))
