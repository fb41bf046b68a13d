"""Training on a user's files: images and masks in, weights and a model card out."""
