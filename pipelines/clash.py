"""Whether the four packages that are imported are senescope's own.

senescope is an application for an environment of its own, so its packages have short names. Where
another distribution brings one of the same name, or a folder of that name lies in the way, what
follows would be an error without sense.
"""

from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

from pipelines.errors import SenescopeError

PACKAGES = ("flows", "measurements", "pipelines", "segmentation")
_REMEDY = (
    "senescope is an application for an environment of its own: install it with "
    "`uv tool install senescope`, in a virtual environment without other software, or as a "
    "container, and start it in another folder if one of that name lies in this one."
)


class ClashError(SenescopeError):
    """Something else is imported under the name of a package of senescope."""


def refuse_strangers() -> None:
    """Check that the packages lie side by side, as senescope's do; takes no import of them.

    Raises:
        ClashError: one of them is another's.
    """
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = find_spec(name)
        where = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if where != home / name:
            found = "nothing" if where is None else str(where)
            raise ClashError(f"`{name}` is imported from {found}, not from {home}. {_REMEDY}")


def explanation() -> str:
    """Which distributions bring packages of the same names; empty where none does.

    Reads the records of all that is installed, so it is asked only once an import has failed.
    """
    owners = packages_distributions()
    clashes = {
        name: sorted({other for other in owners.get(name, ()) if other != "senescope"})
        for name in PACKAGES
    }
    named = [f"`{name}` of {', '.join(others)}" for name, others in clashes.items() if others]
    return f"Installed beside senescope: {'; '.join(named)}. {_REMEDY}" if named else ""
