"""A folder that a microscope writes to: what is finished, what it is, and measuring it."""
