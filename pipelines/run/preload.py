"""What every worker needs, imported once: importing this module is its whole effect."""

import pipelines.run.image  # noqa: F401
import segmentation.engine  # noqa: F401
