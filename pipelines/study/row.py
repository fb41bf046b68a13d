"""One image field of a study."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.study.csv_table import Value


@dataclass(frozen=True)
class ImageRow:
    """One image field of the study.

    Attributes:
        image_id: unique name, used for files and as key of the tables.
        files: channel name -> the file that holds it.
        truth: label image of annotated nuclei to score the segmentation with, if any.
        sample: the row's sample columns, typed (int, float or str; None where empty).
        scene: which scene of the files, counted from 0; None where they hold one image.
        time: which time point, counted from 0; None where there is one.
    """

    image_id: str
    files: Mapping[str, Path]
    truth: Path | None
    sample: Mapping[str, Value]
    scene: int | None = None
    time: int | None = None

    @property
    def place(self) -> str:
        """Where in its files the image is, in words; empty where they hold nothing else."""
        found = (("scene", self.scene), ("time point", self.time))
        return ", ".join(f"{what} {number}" for what, number in found if number is not None)
