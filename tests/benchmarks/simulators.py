"""Image statistics of simulated fields beside real ones: ``python -m tests.benchmarks.simulators``.

The real fields are a γH2AX and Hoechst pair (CellProfiler's ExampleSpeckles) and fluorescent nuclei
of the 2018 Data Science Bowl (BBBC038). Nuclei are found by Otsu's threshold and focus candidates
as local maxima of a difference of Gaussians, on real and simulated fields alike: this measures
images, it does not judge a detector. The last line is one JSON object.
"""

import argparse
import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage, stats
from skimage import feature, filters, io, measure

from pipelines.simulate.camera import Camera
from pipelines.simulate.foci import FociSettings, simulate_foci
from pipelines.simulate.nuclei import NucleiSettings
from pipelines.simulate.optics import Optics
from pipelines.simulate.scene import Field
from pipelines.simulate.spots import FocusSettings

Image = NDArray[np.float64]
DEFAULT_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
CORRELATION_LAGS = np.arange(1, 16)
KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6.0


def find_nuclei(dna: Image, min_area_px: int) -> NDArray[np.int64]:
    """Label nuclei by Otsu's threshold on a slightly smoothed image."""
    smooth = ndimage.gaussian_filter(dna, 2)
    labels = measure.label(ndimage.binary_fill_holes(smooth > filters.threshold_otsu(smooth)))
    small = np.flatnonzero(np.bincount(labels.ravel()) < min_area_px)
    labels[np.isin(labels, small)] = 0
    return labels


def noise_sd(image: Image, where: NDArray[np.bool_]) -> float:
    """Noise by the median absolute second difference (Immerkær 1996, robust variant)."""
    return float(1.4826 * np.median(np.abs(ndimage.convolve(image, KERNEL)[where])))


def correlation_width(image: Image, labels: NDArray[np.int64], half: int) -> float:
    """Lag in px at which the high-passed texture inside nuclei is half correlated."""
    curves = []
    for region in measure.regionprops(labels):
        y, x = map(int, region.centroid)
        patch = image[y - half : y + half, x - half : x + half]
        inside = labels[y - half : y + half, x - half : x + half] > 0
        if patch.shape == (2 * half, 2 * half) and inside.all():
            high = patch - ndimage.gaussian_filter(patch, half / 2.5)
            power = (high * high).mean()
            curves.append([(high[:, :-k] * high[:, k:]).mean() / power for k in CORRELATION_LAGS])
    if not curves:
        return float("nan")
    mean = np.mean(curves, axis=0)
    return float(np.interp(-0.5, -mean, CORRELATION_LAGS))


def power_slope(image: Image, low: float, high: float) -> float:
    """Slope of the radial power spectrum in log-log between two frequencies, cycles/px."""
    windowed = (image - image.mean()) * np.outer(*(np.hanning(n) for n in image.shape))
    power = np.abs(np.fft.fft2(windowed)) ** 2
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in image.shape), indexing="ij"))
    edges = np.geomspace(low, high, 15)
    bins = np.digitize(radius.ravel(), edges)
    sums = np.bincount(bins, power.ravel(), edges.size + 1)[1:-1]
    means = sums / np.maximum(np.bincount(bins, minlength=edges.size + 1)[1:-1], 1)
    middle = np.sqrt(edges[1:] * edges[:-1])
    return float(np.polyfit(np.log(middle), np.log(means), 1)[0])


def focus_statistics(marker: Image, labels: NDArray[np.int64]) -> dict[str, float]:
    """Number a nucleus, height over noise and texture, and width of candidate foci."""
    inside = ndimage.binary_erosion(labels > 0, iterations=5)
    band = ndimage.gaussian_filter(marker, 1.5) - ndimage.gaussian_filter(marker, 4)
    spread = 1.4826 * np.median(np.abs(band[inside] - np.median(band[inside])))
    peaks = feature.peak_local_max(band, 3, threshold_abs=6 * spread, labels=inside.astype(int))
    ratios, widths = [], []
    for y, x in peaks:
        patch = marker[y - 14 : y + 15, x - 14 : x + 15]
        if patch.shape == (29, 29):
            background = np.median(patch)
            texture = 1.4826 * np.median(np.abs(patch - background))
            ratios.append((marker[y - 1 : y + 2, x - 1 : x + 2].mean() - background) / texture)
            widths.append(_half_width(patch - background))
    per_nucleus = len(peaks) / max(len(np.unique(labels)) - 1, 1)
    named = {"candidate_foci_per_nucleus": per_nucleus}
    for name, values in (("candidate_snr", ratios), ("candidate_fwhm_px", widths)):
        for q in (25, 50, 75):
            named[f"{name}_p{q}"] = float(np.percentile(values, q)) if values else float("nan")
    return named


def _half_width(patch: Image) -> float:
    """Diameter of the disc with the area of the blob above half of the centre's height."""
    middle = patch.shape[0] // 2
    blob = measure.label(patch > patch[middle, middle] / 2)
    return float(2 * np.sqrt((blob == blob[middle, middle]).sum() / np.pi))


def nuclear_statistics(dna: Image, min_area_px: int, half: int) -> dict[str, float]:
    """Area, shape and texture of nuclei, and noise and histogram of the whole field."""
    labels = find_nuclei(dna, min_area_px)
    regions = [r for r in measure.regionprops(labels, dna) if r.area >= min_area_px]
    floor = np.percentile(dna, 1)
    inner = ndimage.binary_erosion(labels > 0, iterations=max(half // 6, 2))
    dark = ~ndimage.binary_dilation(labels > 0, iterations=half)
    inner_cv = [
        dna[(labels == r.label) & inner].std() / (dna[(labels == r.label) & inner].mean() - floor)
        for r in regions
        if ((labels == r.label) & inner).sum() > 50
    ]
    grey = dna - floor
    return {
        "nuclei": float(len(regions)),
        "covered": float((labels > 0).mean()),
        "area_px": float(np.median([r.area for r in regions])),
        "eccentricity": float(np.median([r.eccentricity for r in regions])),
        "solidity": float(np.median([r.solidity for r in regions])),
        "inner_cv": float(np.median(inner_cv)),
        "correlation_px": correlation_width(dna, labels, half),
        "noise_over_signal": noise_sd(dna, inner) / float(grey[inner].mean()),
        "dark_over_signal": float(np.median(grey[dark]) / grey[inner].mean()),
        "skewness": float(stats.skew(grey.ravel())),
        "kurtosis": float(stats.kurtosis(grey.ravel())),
        "power_slope": power_slope(dna, 0.01, 0.1),
    }


def field_statistics(dna: Image, marker: Image) -> dict[str, float]:
    """Statistics of a field with DNA and γH2AX."""
    labels = find_nuclei(dna, 3000)
    inner = ndimage.binary_erosion(labels > 0, iterations=6)
    floor = np.percentile(marker, 1)
    named = {f"dna_{k}": v for k, v in nuclear_statistics(dna, 3000, 35).items()}
    named |= focus_statistics(marker, labels)
    named["marker_correlation_px"] = correlation_width(marker, labels, 35)
    named["marker_noise_over_nucleus"] = noise_sd(marker, inner) / (
        float(np.median(marker[inner])) - floor
    )
    named["marker_skewness_in_nuclei"] = float(stats.skew(marker[inner]))
    named["marker_power_slope"] = power_slope(marker, 0.01, 0.1)
    return named


def simulated_foci_field(seed: int) -> dict[str, float]:
    """Statistics of a simulated field at the default settings, made to look like the real one."""
    made = simulate_foci(FociSettings(), seed)
    dna, marker = (made.channels[c].astype(np.float64) for c in ("dapi", "gh2ax"))
    return field_statistics(dna, marker)


def simulated_nuclei_field(seed: int) -> dict[str, float]:
    """Statistics of simulated nuclei at 20x, like the 360x360 fields of the Data Science Bowl."""
    settings = FociSettings(
        scene=Field(height=360, width=360, pixel_size_um=0.33, debris_per_mm2=100.0),
        nuclei=NucleiSettings(count=22),
        foci=FocusSettings(exact_count=0),
        optics=Optics(numerical_aperture=0.75, refractive_index=1.0),
        camera=Camera(),
        dapi_e=900.0,
    )
    return nuclear_statistics(simulate_foci(settings, seed).channels["dapi"].astype(float), 300, 9)


def real_nuclei_fields(folder: Path, limit: int) -> list[dict[str, float]]:
    """Statistics of 360x360 fluorescence fields of the Data Science Bowl."""
    with (folder / "index.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["modality"] == "fluorescence"]
    chosen = [r["id"] for r in rows if r["height"] == "360"][:limit]
    images = (np.asarray(io.imread(folder / "images" / f"{i}.png"), dtype=float) for i in chosen)
    grey = (image if image.ndim == 2 else image[..., 0] for image in images)
    return [nuclear_statistics(image, 300, 9) for image in grey]


def mean_of(tables: list[dict[str, float]]) -> dict[str, float]:
    """Average each statistic over fields, leaving out the missing."""
    return {key: round(float(np.nanmean([t[key] for t in tables])), 4) for key in tables[0]}


def report(title: str, real: dict[str, float], simulated: dict[str, float]) -> None:
    """Print real and simulated side by side."""
    print(f"\n{title}\n{'':32s}{'real':>12s}{'simulated':>12s}")
    for key, value in real.items():
        print(f"{key:32s}{value:12.4g}{simulated[key]:12.4g}")


def over_seeds(make: Callable[[int], dict[str, float]], n: int) -> dict[str, float]:
    """Average the statistics of n simulated fields."""
    return mean_of([make(seed) for seed in range(n)])


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--fields", type=int, default=4, help="fields of each kind")
    arguments = parser.parse_args()
    speckles = arguments.data / "h2ax_speckles"
    marker, dna = (
        tifffile.imread(speckles / f"1-162hr{name}.tif").astype(np.float64)
        for name in ("h2ax2", "hoe2")
    )
    result = {
        "foci_real": mean_of([field_statistics(dna, marker)]),
        "foci_simulated": over_seeds(simulated_foci_field, arguments.fields),
        "nuclei_real": mean_of(
            real_nuclei_fields(arguments.data / "nuclei_dsb2018", 4 * arguments.fields)
        ),
        "nuclei_simulated": over_seeds(simulated_nuclei_field, 2 * arguments.fields),
    }
    report("γH2AX at 0.107 µm/px", result["foci_real"], result["foci_simulated"])
    report(
        "Nuclei at 0.33 µm/px (simulated; unknown in the real ones)",
        result["nuclei_real"],
        result["nuclei_simulated"],
    )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
