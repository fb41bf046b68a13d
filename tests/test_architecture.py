"""The dependency rule: flows -> pipelines -> segmentation, measurements; no arrow runs back."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "flows": {"flows", "pipelines"},
    "pipelines": {"pipelines", "segmentation", "measurements"},
    "segmentation": {"segmentation"},
    "measurements": {"measurements"},
}
MODULES = [path for package in ALLOWED for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """First names of all that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_arrow_runs_back(path):
    package = path.relative_to(ROOT).parts[0]
    foreign = (imported(path) & (set(ALLOWED) | {"tests"})) - ALLOWED[package]
    assert not foreign


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_only_flows_knows_prefect(path):
    if path.relative_to(ROOT).parts[0] != "flows":
        assert "prefect" not in imported(path)


def test_arrays_only_below_the_pipelines():
    """Segmentation and measurements read no tables, images or settings."""
    outside = {"pydantic", "yaml", "polars", "pyarrow", "tifffile", "zarr", "imageio", "typer"}
    for path in MODULES:
        if path.relative_to(ROOT).parts[0] in {"segmentation", "measurements"}:
            assert not imported(path) & outside, path
