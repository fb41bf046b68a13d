"""What a person decided about a run's cells and labels, kept beside it and applied by the next."""
