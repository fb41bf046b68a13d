"""A slide that is never held whole: read, measured and summed up block by block."""
