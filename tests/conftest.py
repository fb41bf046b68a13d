"""The longest files begin first, so that no process is left with one while the others are done."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a test of minutes, then files with a slow one, then the others."""
    files = {
        mark: {item.path for item in items if item.get_closest_marker(mark)}
        for mark in ("minutes", "slow")
    }
    items.sort(key=lambda item: (item.path not in files["minutes"], item.path not in files["slow"]))
