"""`senescope` whose simulated studies have a third of the images: what tutorials type, sooner.

The whole size is that of `senescope demo`, which is run for the wheel.
"""

import sys
from functools import partial
from unittest import mock

from pipelines.cli import main


def simulate_fewer() -> None:
    """Two donors or animals of a group, one clone, one unlabelled control."""
    from pipelines import simulate  # here: the other commands start without it
    from pipelines.simulate import study

    design = simulate.StudyDesign(units=2, clones=1)
    few = {k: v for k, v in study.CONTROLS.items() if not k.endswith(("unlabelled_2", "_3"))}
    mock.patch.object(simulate, "write_study", partial(study.write_study, design=design)).start()
    mock.patch.object(study, "CONTROLS", few).start()


if __name__ == "__main__":
    if sys.argv[1] == "simulate":
        simulate_fewer()
    main()
