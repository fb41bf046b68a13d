"""The diameter that `senescope inspect` proposes, beside that of annotated nuclei.

The median diameter of the masks of a whole image is the truth; fluorescence of the Data Science
Bowl 2018 with ten nuclei or more, most of which compact was trained on, but never at other scales
than its own.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from pipelines.labels_store import read_label_image
from pipelines.segment_files import grey_image
from segmentation.diameter import propose_diameter
from segmentation.models import load_model


def main() -> None:
    """Measure, compare and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parents[2].parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--images", type=int, default=24)
    arguments = parser.parse_args()
    folder = arguments.data / "nuclei_dsb2018"
    with (folder / "index.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["modality"] == "fluorescence"]
    rows = [r for r in rows if int(r["n_nuclei"]) >= 10]
    model = load_model("compact")
    errors, inside, missing = [], [], 0
    for i in np.random.default_rng(0).choice(len(rows), arguments.images, replace=False):
        image, masks = (next((folder / f).glob(rows[i]["id"] + "*")) for f in ("images", "masks"))
        areas = np.bincount(read_label_image(masks).ravel())[1:]
        truth = float(np.median(np.sqrt(4 / np.pi * areas[areas > 0])))
        found = propose_diameter(grey_image(image, None), model)
        if found is None:
            missing += 1
            continue
        errors.append(abs(found.px / truth - 1))
        inside.append(found.low_px <= truth <= found.high_px)
        print(f"{rows[i]['id'][:8]}: {truth:.1f} px, proposed {found.px:.1f} px")
    figures = {
        "median_relative_error": round(float(np.median(errors)), 3),
        "within_20_percent": round(float(np.mean(np.array(errors) <= 0.2)), 3),
        "truth_in_interval": round(float(np.mean(inside)), 3),
        "no_proposal": missing,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
