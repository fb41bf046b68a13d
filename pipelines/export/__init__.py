"""The cells of a run for other software: spreadsheets, cytometry, single-cell analysis."""
