"""What senescope is built on: no copyleft in the core, and a lock that pins every byte."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
# AGPL included; LGPL, which asks nothing of those who import it, is another licence.
COPYLEFT = re.compile(
    r"(?<!L)GPL|(?<!Lesser )General Public|Affero|non-?commercial|CC.BY.NC", re.IGNORECASE
)
# Under the Artistic License or the GPL, as its user likes.
AT_CHOICE = {"text-unidecode"}


def core() -> dict[str, str]:
    """Packages that a plain installation brings, each with what it says of its licence."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting, found = list(about["dependencies"]), {}
    while waiting:
        needed = Requirement(waiting.pop())
        if needed.name in found or (needed.marker and not needed.marker.evaluate({"extra": ""})):
            continue
        try:
            there = distribution(needed.name)
        except PackageNotFoundError:  # of another system
            continue
        found[needed.name] = " | ".join(_licences(there.metadata))
        waiting += there.requires or []
    return found


def _licences(metadata) -> Iterator[str]:
    yield metadata.get("License-Expression") or ""
    # Some packages put the whole text here, which names other licences in passing.
    yield (metadata.get("License") or "").partition("\n")[0]
    yield from (c for c in metadata.get_all("Classifier") or () if c.startswith("License ::"))


def test_no_copyleft_in_the_core():
    found = core()
    assert {"cellpose", "zarr", "prefect", "numpy"} <= set(found)
    bad = {name: said for name, said in found.items() if COPYLEFT.search(said)}
    assert not {name: said for name, said in bad.items() if name not in AT_CHOICE}


def test_copyleft_is_recognised():
    for said in ("GPL-3.0-or-later", "AGPLv3", "GNU General Public License v2", "CC-BY-NC-4.0"):
        assert COPYLEFT.search(said), said
    for said in ("LGPL-2.1", "GNU Lesser General Public License", "BSD-3-Clause", "MPL-2.0"):
        assert not COPYLEFT.search(said), said


def test_the_lock_pins_every_file_by_its_hash():
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    for package in lock["package"]:
        files = [*package.get("wheels", ()), *filter(None, [package.get("sdist")])]
        local = "editable" in package["source"]
        assert local or (files and all(f["hash"].startswith("sha256:") for f in files)), package
