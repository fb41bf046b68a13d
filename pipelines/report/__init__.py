"""The report of one or several runs: one HTML file that needs no network."""

from pipelines.report.page import build_report

__all__ = ["build_report"]
