"""QC pictures: outlines on the image, as a biologist would look at them."""

from pipelines.overlay.picture import draw_overlay, drawn_from, save_png

__all__ = ["draw_overlay", "drawn_from", "save_png"]
