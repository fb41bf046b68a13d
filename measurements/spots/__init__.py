"""RNA spots: found, told from autofluorescence, counted as molecules, given to cells."""
