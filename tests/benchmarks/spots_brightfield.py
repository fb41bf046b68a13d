"""Chromogenic RNA dots on simulated fields: ``python -m tests.benchmarks.spots_brightfield``.

Simulation only: no annotated bright field of chromogenic RNA in situ was at hand. Fields come from
`pipelines.simulate.rna_brightfield`: DAB or fast red on haematoxylin, stains 3 degrees (SD) off
their usual colours, an uneven lamp, stray light, at 0.25 µm a pixel, kept as they are or as JPEG of
quality 85. The signal-to-noise ratio of a dot is its density over the SD, within 1.5 µm, of the
chromogen's haze and of the camera's noise in the unmixed density, before JPEG. A detection is right
when it lies within 2 px of a dot, one to one. Dots vary by 40 % in density, lie up to 0.5 µm out of
focus and as near to each other as chance puts them. `blob_log` of scikit-image looks at the DAB of
its `rgb2hed`, with the threshold that is best on another seed and the same kind of file. Clusters
have 2 to 20 dots within 0.5 µm (SD); what lies within 10 px of their middle is compared. The last
line is one JSON object.
"""

import argparse
import json
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2hed
from skimage.data import immunohistochemistry
from skimage.feature import blob_log

from measurements.spots.detection import Spots, find_spots, is_autofluorescent
from measurements.spots.molecules import count_molecules, single_intensity
from measurements.spots.settings import SpotSettings, UnusedChannel
from measurements.stains import KNOWN_STAINS, stain_plane, stain_weights
from pipelines.field.pixels import rgb_to_grey
from pipelines.simulate.rna_brightfield import (
    DAB,
    FAST_RED,
    RnaBrightfieldSettings,
    dot_sigma_px,
    simulate_rna_brightfield,
)
from pipelines.simulate.scene import Simulated
from tests.benchmarks.foci_fields import matches

Places = NDArray[np.float64]
BASE = RnaBrightfieldSettings()
SETTINGS = SpotSettings(sigma=dot_sigma_px(BASE))
REACH, AROUND = 2.0, 10.0
RATIOS = (10.0, 20.0, 40.0, 80.0)
PIGMENT_RULE = UnusedChannel(ratio=0.5, height=2.0)
SIZES = (2, 3, 5, 10, 20)
FILES: dict[str, int | None] = {"TIFF": None, "JPEG 85": 85}
CHROMOGENS = {"dab": DAB, "fast_red": FAST_RED}
GRID = (0.01, 0.015, 0.02, 0.03, 0.045, 0.07, 0.1)
REAL_DIAMETER_PX = 18.0
TUNING_SEED, TEST_SEED = 0, 200


def field(
    seed: int,
    snr: float,
    file: str,
    pigment: float = 0.0,
    chromogen: str = "dab",
    **molecules: object,
) -> Simulated:
    settings = replace(
        BASE,
        molecules=replace(BASE.molecules, snr=snr, **molecules),
        pigment=replace(BASE.pigment, count_mean=pigment),
        camera=replace(BASE.camera, jpeg_quality=FILES[file]),
        chromogen=CHROMOGENS[chromogen],
    )
    return simulate_rna_brightfield(settings, seed)


def truth(simulated: Simulated, table: str = "molecules") -> Places:
    return np.column_stack([simulated.truth[table][c] for c in "yx"]).astype(float)


def plane(simulated: Simulated, name: str, *others: str) -> NDArray[np.float32]:
    weights = stain_weights(KNOWN_STAINS[name], *(KNOWN_STAINS[other] for other in others))
    return stain_plane(simulated.channels["rgb"], weights)


def spots_of(simulated: Simulated, chromogen: str = "dab") -> Spots:
    return find_spots(plane(simulated, chromogen, "haematoxylin"), SETTINGS)


def f1(pairs: list[tuple[Places, Places]]) -> float:
    right = sum(matches(true, found, REACH) for true, found in pairs)
    return 2 * right / max(sum(len(true) + len(found) for true, found in pairs), 1)


def blobs(simulated: Simulated, threshold: float) -> Places:
    sigma = SETTINGS.sigma
    found: Places = blob_log(
        rgb2hed(simulated.channels["rgb"])[..., 2],
        min_sigma=0.8 * sigma,
        max_sigma=1.4 * sigma,
        num_sigma=3,
        threshold=threshold,
    )[:, :2]
    return found


def tuned(file: str, snr: float) -> float:
    tuning = field(TUNING_SEED, snr, file, clusters_mean=0)
    return max(GRID, key=lambda t: f1([(truth(tuning), blobs(tuning, t))]))


def singles(n: int) -> dict[str, dict[str, float]]:
    """Print F1 by chromogen, file and ratio."""
    print(
        "F1 of single dots\n"
        + f"{'':20}{'ratio':>6}{'density':>9}{'senescope':>11}{'blob_log':>10}"
    )
    scores: dict[str, dict[str, float]] = {}
    for chromogen in CHROMOGENS:
        for file in FILES:
            own = scores.setdefault(f"{chromogen} {file}", {})
            for snr in RATIOS:
                fields = [
                    field(TEST_SEED + s, snr, file, chromogen=chromogen, clusters_mean=0)
                    for s in range(n)
                ]
                density = np.median(np.concatenate([f.truth["molecules"]["peak"] for f in fields]))
                own[f"{density:.2f}"] = score = round(
                    f1([(truth(f), spots_of(f, chromogen).places) for f in fields]), 3
                )
                peer = ""
                if chromogen == "dab":
                    threshold = tuned(file, snr)
                    peer = f"{f1([(truth(f), blobs(f, threshold)) for f in fields]):>10.3f}"
                print(f"{chromogen:10}{file:10}{snr:>6g}{density:>9.3f}{score:>11.3f}{peer}")
    return scores


def molecules_of(spots: Spots) -> NDArray[np.float64]:
    single = single_intensity(spots.integrated[spots.isolated])
    return count_molecules(spots.integrated, spots.clump, single)


def cells(n: int) -> dict[str, dict[str, float]]:
    """Print how many molecules true cells are given, clusters and pigment among them."""
    print("\ncounts in true cells: all counted / true, median |error| of a cell, correlation")
    bias: dict[str, dict[str, float]] = {}
    for file in FILES:
        for snr in RATIOS[1:]:
            known, found = [], []
            for seed in range(n):
                simulated = field(TEST_SEED + seed, snr, file, BASE.pigment.count_mean)
                spots = spots_of(simulated)
                own = simulated.labels["cells"][spots.pixels]
                true = simulated.truth["cells"]["count"].astype(float)
                known.append(true)
                found.append(np.bincount(own, molecules_of(spots), true.size + 1)[1:])
            true, counted = np.concatenate(known), np.concatenate(found)
            ratio = counted.sum() / true.sum()
            bias.setdefault(file, {})[f"{snr:g}"] = round(float(ratio - 1), 3)
            print(f"{file:10}{snr:>4g}{ratio:>8.3f}{np.median(np.abs(counted - true)):>8.2f}"
                  f"{np.corrcoef(counted, true)[0, 1]:>8.3f}")  # fmt: skip
    return bias


def clusters(n: int) -> dict[str, dict[str, float]]:
    """Print the relative error of the sum over all clusters of each size, at a ratio of 40."""
    print("\nclusters at a ratio of 40: size, counted / true of TIFF and of JPEG 85")
    errors: dict[str, dict[str, float]] = {file: {} for file in FILES}
    for size in SIZES:
        line = f"{size:>4}"
        for file in FILES:
            known = found = 0.0
            for seed in range(n):
                simulated = field(TEST_SEED + seed, 40, file, clusters_mean=0.5,
                                  cluster_size=(size, size))  # fmt: skip
                spots = spots_of(simulated)
                molecules, true = molecules_of(spots), truth(simulated)
                cluster = simulated.truth["molecules"]["cluster"]
                for number in np.unique(cluster[cluster >= 0]):
                    middle = true[cluster == number].mean(axis=0)
                    known += np.sum(np.hypot(*(true - middle).T) < AROUND)
                    found += molecules[np.hypot(*(spots.places - middle).T) < AROUND].sum()
            errors[file][str(size)] = round(found / known - 1, 3)
            line += f"{found / known:>8.3f}"
        print(line)
    return errors


def nothing(n: int) -> dict[str, float]:
    """Print dots that are found in cells without any."""
    false = {}
    for file in FILES:
        counts = [
            (len(spots_of(each).places), each.labels["cells"].max())
            for each in (
                field(TEST_SEED + s, 40, file, count_mean=0, clusters_mean=0, stray_per_mm2=0)
                for s in range(n)
            )
        ]
        dots, of = np.sum(counts, axis=0)
        false[file] = round(float(dots / of), 3)
        print(f"\nwithout dots, {file}: {false[file]} a cell")
    return false


def pigment(n: int) -> dict[str, float]:
    """Print the share of pigment that counts as dots, and of dots that are missed beside it.

    Also with lipofuscin named beside the stains, and as the unused channel.
    """
    print("\npigment (lipofuscin) that counts as dots, and dots that are missed")
    shares = {}
    for file in FILES:
        for name in CHROMOGENS:
            for told in (False, True):
                pairs = [
                    (each, _beside_pigment(each, name, told=told))
                    for each in (
                        field(TEST_SEED + s, 40, file, 2.0, name, clusters_mean=0) for s in range(n)
                    )
                ]
                grains = [(truth(each, "pigment"), found) for each, found in pairs]
                dots = [(truth(each), found) for each, found in pairs]
                counted, right = (
                    sum(matches(*pair, REACH) for pair in both) / sum(len(t) for t, _ in both)
                    for both in (grains, dots)
                )
                label = f"{name} {file}" + (", pigment told" if told else "")
                shares[label] = round(counted, 3)
                print(f"{label:34}{counted:>7.3f}{1 - right:>7.3f}")
    return shares


def _beside_pigment(simulated: Simulated, chromogen: str, *, told: bool) -> Places:
    """Dots where pigment is named beside the stains, and what it shows is rejected; or is not."""
    spots = spots_of(simulated, chromogen)
    if not told:
        return spots.places
    pigment = plane(simulated, "lipofuscin", chromogen)
    rejected = is_autofluorescent(spots, pigment, SETTINGS, PIGMENT_RULE)
    return spots.places[~rejected]


def nuclei(n: int) -> dict[str, float]:
    """AP at 0.5 of `compact` on haematoxylin, and on the picture's grey."""
    from segmentation.masks import segment
    from segmentation.models import load_model
    from segmentation.scores import score

    model, found = load_model("compact"), {}
    diameter = 2 * np.sqrt(BASE.nuclei.area_um2 / np.pi) / BASE.scene.pixel_size_um
    fields = [field(TEST_SEED + seed, 40, "JPEG 85") for seed in range(n)]
    for name in ("haematoxylin", "picture"):
        scores = []
        for each in fields:
            grey = rgb_to_grey(each.channels["rgb"])
            shown = grey if name == "picture" else plane(each, name, "dab")
            labels = segment(shown, model, float(diameter))
            scores.append(score(each.labels["nuclei"], labels, (0.5,))[0].average_precision)
        found[name] = round(float(np.mean(scores)), 3)
    print(f"\nnuclei by compact, AP at 0.5: {found}")
    real = immunohistochemistry()
    weights = stain_weights(KNOWN_STAINS["haematoxylin"], KNOWN_STAINS["dab"])
    for name, shown in (
        ("haematoxylin", stain_plane(real, weights)),
        ("picture", rgb_to_grey(real)),
    ):
        n_found = segment(shown, model, REAL_DIAMETER_PX).max()
        print(f"real colon, DAB on haematoxylin (scikit-image, no truth), {name}: {n_found} nuclei")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, default=2)
    n = parser.parse_args().fields
    result = {
        "f1": singles(n),
        "count_error": cells(n),
        "cluster_error": clusters(n),
        "false_a_cell": nothing(n),
        "pigment_counted": pigment(n),
        "nuclei_ap50": nuclei(n),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
