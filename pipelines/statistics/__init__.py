"""Tests on the right n: the means of units first, models of the cells beside them."""

from pipelines.statistics.power_table import POWER_COLUMNS, power_rows
from pipelines.statistics.table import STATISTICS_COLUMNS, statistics_rows

__all__ = ["POWER_COLUMNS", "STATISTICS_COLUMNS", "power_rows", "statistics_rows"]
