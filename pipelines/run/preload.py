"""What every worker needs, imported once: importing this module is its whole effect."""

import gc

# Imports make a million objects that stay: searching them for garbage takes a tenth of the time.
gc.disable()

import pipelines.run.image  # noqa: E402, F401
import segmentation.masks  # noqa: E402, F401

gc.enable()
gc.freeze()  # what was imported is shared by all workers forked from here; leave it untouched
