"""Training of segmentation networks on images and masks: arrays in, weights out, no files."""
