"""In situ sequencing decoded: rounds aligned, dots called round by round, words looked up."""
