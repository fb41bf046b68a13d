"""Bad nights: what each loses, doubles and costs.

    python -m tests.benchmarks.faults --images 1000

Small simulated images, segmented by a threshold; all else is the real run. Each fault disturbs a
run, what was wrong is mended, and the same command runs again until every image is in the tables.
lost and doubled count cells against an undisturbed run; `same` says whether all tables are the
same bytes.
"""

import argparse
import json
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.cheap import run_cheap, write_cheap_study
from tests.faults import FAULTS, suffer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    images = parser.parse_args().images
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        study = write_cheap_study(folder / "study", images)
        start = time.perf_counter()
        run_cheap(study, folder / "alone")
        print(f"undisturbed: {images} images in {time.perf_counter() - start:.0f} s")
        for fault in FAULTS:
            copy = folder / fault.__name__
            shutil.copytree(study.parent, copy)
            row = suffer(fault, copy / "study.yaml", folder / "alone", folder / "out")
            print(f"{row.name}: {row.seen}; tries {row.tries}, same {row.same}")
            rows.append(asdict(row))
            shutil.rmtree(folder / "out")
            shutil.rmtree(copy)
    print(json.dumps({"images": images, "faults": rows}))


if __name__ == "__main__":
    main()
