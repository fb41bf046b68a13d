"""Transcripts of a real section given to its cells: ``python -m tests.benchmarks.transcripts``.

iss_mouse_ca1 (MIT): 72,336 decoded transcripts of mouse hippocampus CA1 and 3,481 cells on 5471 x
7602 px (github.com/acycliq/pciSeq). Counts by gene are compared with a lookup of each transcript in
the label image, one by one. The last line is one JSON object.
"""

import argparse
import csv
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
from scipy import sparse

from measurements.transcripts import Transcripts, count_genes, on_image, owners

DEFAULT_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
DISTANCES = (0.0, 5.0, 15.0)


def run(folder: Path) -> dict[str, float]:
    """Print counts by gene; return how they compare with the lookup."""
    labels = sparse.load_npz(folder / "segmentation" / "label_image.coo.npz").toarray()
    with (folder / "iss" / "spots.csv").open(newline="", encoding="utf-8") as file:
        rows = [(r["Gene"], float(r["x"]), float(r["y"])) for r in csv.DictReader(file)]
    names, x, y = (np.array(column) for column in zip(*rows, strict=True))
    genes, gene = np.unique(names, return_inverse=True)
    every = Transcripts(y, x, gene.astype(np.int64), tuple(genes.tolist()))
    start = time.perf_counter()
    inside = on_image(every, labels.shape)
    found, ids = every.take(inside), np.unique(labels)[1:].astype(np.uint32)
    counts = count_genes(owners(found, labels), found, ids)
    seconds = time.perf_counter() - start
    by_hand = Counter(
        name
        for name, column, row in rows
        if 0 <= int(row) < labels.shape[0]
        and 0 <= int(column) < labels.shape[1]
        and labels[int(row), int(column)] > 0
    )
    print(f"{len(rows):,} transcripts of {len(genes)} genes, {ids.size:,} cells, {seconds:.1f} s")
    print(f"beyond the image's edge (x or y is -1): {(~inside).sum()}")
    print(f"{'gene':16}{'in cells':>10}{'lookup':>10}{'all':>10}")
    of_gene, total = counts.sum(axis=0), Counter(names.tolist())
    for i in np.argsort(-of_gene, kind="stable"):
        print(f"{genes[i]:16}{of_gene[i]:>10,}{by_hand[genes[i]]:>10,}{total[genes[i]]:>10,}")
    different = sum(int(of_gene[i]) != by_hand[name] for i, name in enumerate(genes.tolist()))
    shares = {}
    for distance in DISTANCES:
        shares[distance] = float((owners(found, labels, distance) > 0).sum() / len(rows))
        print(f"given to a cell up to {distance:g} px away: {shares[distance]:.1%}")
    return {
        "transcripts": len(rows),
        "in_cells": int(of_gene.sum()),
        "in_cells_by_lookup": sum(by_hand.values()),
        "genes_with_other_counts": different,
        "outside_image": int((~inside).sum()),
        "share_in_cells": shares[0.0],
        "share_within_15_px": shares[15.0],
        "seconds": round(seconds, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.data / "iss_mouse_ca1")))


if __name__ == "__main__":
    main()
