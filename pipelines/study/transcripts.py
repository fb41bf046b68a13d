"""Settings of decoded transcripts that come as tables, and what is wrong with them."""

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from pipelines.study.base import Lengths, NonNegative

if TYPE_CHECKING:
    from pipelines.study.row import ImageRow

NAMES = re.compile(r"\{([^{}]*)\}")
IMAGE_ID = "image_id"


class Transcripts(Lengths):
    """Decoded transcripts (in situ sequencing, MERFISH) from a table for each image: x, y, gene.

    Counted in every cell, gene by gene.
    """

    type: Literal["transcripts"]
    table: str
    """The table of an image, relative to the study file: CSV (also semicolons or tabs) or Parquet,
    one row a transcript. {names} in it are sample columns, or `image_id`, such as
    `transcripts/{image_id}.csv`."""
    unit: Literal["px", "um"]
    """Unit of x and y, which are 0 at the centre of the image's first pixel, y downwards."""
    x: str = "x"
    """Its column of x."""
    y: str = "y"
    """Its column of y."""
    gene: str = "gene"
    """Its column of the gene's name."""
    genes: tuple[str, ...] = ()
    """The genes that can be there: one column GENE_transcripts each, and any other name is an
    error. Without them, all genes found in the tables of the study."""
    ignore: tuple[str, ...] = ()
    """Names that are no genes and are left out, such as `NegControl*`; * and ? stand for any
    letters."""
    distance_um: NonNegative | None = None
    """A transcript outside all cells goes to the nearest one up to this distance, in µm; 0 px where
    neither is given."""
    distance_px: NonNegative | None = None
    """The same in px."""

    @model_validator(mode="before")
    @classmethod
    def _default_distance(cls, data: object) -> object:
        if isinstance(data, dict) and not {"distance_um", "distance_px"} & data.keys():
            return {**data, "distance_px": 0.0}
        return data

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        columns = (self.x, self.y, self.gene)
        if len(set(columns)) < len(columns):
            raise ValueError(f"x, y and gene are three columns of the table; found {columns}")
        twice = sorted({name for name in self.genes if self.genes.count(name) > 1})
        if twice:
            raise ValueError(f"genes: {', '.join(twice)} stands there twice")
        return self

    def is_ignored(self, name: str) -> bool:
        """Whether a name is left out."""
        return any(fnmatchcase(name, pattern) for pattern in self.ignore)

    def table_of(self, row: "ImageRow", folder: Path) -> Path:
        """The table of one image; the names in its path are known."""
        known = {**row.sample, IMAGE_ID: row.image_id}
        return folder / NAMES.sub(lambda match: str(known[match[1]]), self.table)
