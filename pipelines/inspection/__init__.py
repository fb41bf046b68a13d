"""What a file holds, for a person who is about to write a study."""
