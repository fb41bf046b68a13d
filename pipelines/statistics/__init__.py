"""Tests on the right n: the means of units first, models of the cells beside them."""

from pipelines.statistics.table import STATISTICS_COLUMNS, statistics_rows

__all__ = ["STATISTICS_COLUMNS", "statistics_rows"]
