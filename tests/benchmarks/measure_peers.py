"""Time nyxus and cp_measure on the field that `tests.benchmarks.measure` saved.

A script of its own, run by a Python that has them: it imports nothing of senescope.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np

NYXUS_SHAPE = [
    "AREA_PIXELS_COUNT",
    "PERIMETER",
    "DIAMETER_EQUAL_AREA",
    "MAJOR_AXIS_LENGTH",
    "MINOR_AXIS_LENGTH",
    "ECCENTRICITY",
    "ORIENTATION",
    "SOLIDITY",
    "CENTROID_X",
    "CENTROID_Y",
    "BBOX_XMIN",
    "BBOX_YMIN",
]
NYXUS_INTENSITY = ["MEAN", "MEDIAN", "STANDARD_DEVIATION", "MIN", "MAX"]
REPEATS = 3


def main() -> None:
    with np.load(sys.argv[1]) as saved:
        labels, channels = saved["labels"].astype(np.int32), saved["channels"]
    runs = {"nyxus": nyxus_run, "cp_measure": cp_measure_run}
    found = {
        name: timed(name, prepare, labels, channels) if find_spec(name) else None
        for name, prepare in runs.items()
    }
    sys.stdout.write("\n" + json.dumps(found) + "\n")


def timed(
    name: str,
    prepare: Callable[[np.ndarray, np.ndarray], Callable[[], object]],
    labels: np.ndarray,
    channels: np.ndarray,
) -> dict[str, float | str]:
    run = prepare(labels, channels)
    wall, cpu = [], []
    for _ in range(REPEATS):
        # Processor time of the children too, where a library starts any.
        started, before = time.perf_counter(), sum(os.times()[:4])
        run()
        wall.append(time.perf_counter() - started)
        cpu.append(sum(os.times()[:4]) - before)
    return {
        "version": version(name.replace("_", "-")),
        "cpu_s": round(min(cpu), 3),
        "wall_s": round(min(wall), 3),
    }


def nyxus_run(labels: np.ndarray, channels: np.ndarray) -> Callable[[], object]:
    from nyxus import Nyxus

    # Shape once, with the first channel.
    first, others = Nyxus([*NYXUS_SHAPE, *NYXUS_INTENSITY]), Nyxus(NYXUS_INTENSITY)

    def run() -> object:
        first.featurize(channels[0], labels)
        return [others.featurize(channel, labels) for channel in channels[1:]]

    return run


def cp_measure_run(labels: np.ndarray, channels: np.ndarray) -> Callable[[], object]:
    from cp_measure.bulk import get_core_measurements

    measure = get_core_measurements()
    floats = [channel.astype(np.float64) for channel in channels]

    def run() -> object:
        shape = measure["sizeshape"](labels, floats[0])
        return shape, [measure["intensity"](labels, channel) for channel in floats]

    return run


if __name__ == "__main__":
    main()
