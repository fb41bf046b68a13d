"""From pixels to labels: models, masks, cells and their scores. Arrays only, no files."""
