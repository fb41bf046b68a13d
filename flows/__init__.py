"""The Prefect side: the same functions as `senescope run` and `senescope sweep`, scheduled.

Importing this package, before Prefect, turns off what Prefect tells its makers about its use; who
wants that sets the variables beforehand.
"""

import os

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
