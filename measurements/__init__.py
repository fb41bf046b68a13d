"""From labels and pixels to one row a cell. Arrays only, no files."""
