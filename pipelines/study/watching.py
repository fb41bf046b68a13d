"""How a folder is watched that images are written to while the study goes on."""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.study.base import Settings


class Watch(Settings):
    """What `senescope sweep` holds for finished, and what it does about images that are gone."""

    settle_s: Annotated[float, Field(ge=0, le=3600)] = 30
    """A new file is left alone until its size and time were the same this many seconds apart.
    Over a network folder some clients write both late: take a minute or more, or `sidecar`."""
    sidecar: Annotated[str, Field(pattern=r"^\.[A-Za-z0-9._-]+$")] | None = None
    """Ending of a file that the microscope, or a script behind it, puts beside each image when
    that is whole: with `.done`, `a.tif` is left alone until there is `a.tif.done`."""
    missing: Literal["stop", "drop"] = "stop"
    """Images that were measured and whose files are gone: `stop` leaves all tables as they were
    and says so, since a folder that is not mounted looks the same; `drop` takes them out."""
