import numpy as np
import pytest

from measurements.errors import MeasurementError
from measurements.reporters import autofluorescent
from measurements.slopes import Resampling
from measurements.unmixing import (
    AUTOFLUORESCENCE,
    Unmixing,
    UnmixingSettings,
    estimate_unmixing,
    linear_range,
    unmix,
    unmixed_sd,
)

QUICK = UnmixingSettings(resampling=Resampling(n_boot=0))
CHANNELS = ("gfp", "mcherry")
# gfp shows 0.2 of mcherry, mcherry 0.1 of gfp.
LEAK = np.array([[1.0, 0.2], [0.1, 1.0]])
FLOOR = np.array([30.0, 20.0])


def known(matrix=LEAK, floor=FLOOR, channels=CHANNELS, dyes=CHANNELS):
    return Unmixing(
        channels=channels,
        dyes=dyes,
        matrix=np.asarray(matrix),
        autofluorescence=np.asarray(floor),
        intervals=np.full((*np.shape(matrix), 2), np.nan),
        n_cells=np.full(len(dyes), 100),
        condition_number=float(np.linalg.cond(matrix)),
        flag_level=np.nan,
        notes=(),
    )


def controls(rng, matrix=LEAK, floor=FLOOR, n=150, dyes=CHANNELS):
    """Cells of one dye each, log-normal about 400, and unlabelled cells; noise of SD 2."""

    def cells(light):
        channels = floor + light @ np.asarray(matrix).T
        return channels + rng.normal(0, 2, size=channels.shape)

    labelled = {}
    for number, dye in enumerate(dyes):
        light = np.zeros((n, len(dyes)))
        light[:, number] = 400 * np.exp(0.6 * rng.normal(size=n))
        labelled[dye] = cells(light)
    return labelled, cells(np.zeros((n, len(dyes))))


def test_two_dyes_by_hand():
    # GFP 100 and mCherry 50: gfp = 30 + 100 + 0.2 * 50, mcherry = 20 + 10 + 50.
    np.testing.assert_allclose(unmix([[140.0, 80.0], [30.0, 20.0]], known()), [[100, 50], [0, 0]])


def test_inverse_of_two_by_two_by_hand():
    inverse = np.array([[1.0, -0.2], [-0.1, 1.0]]) / (1 - 0.2 * 0.1)
    np.testing.assert_allclose(known().inverse, inverse)
    # Both channels have SD 3 and 4: sqrt(3² + 0.2² 4²) / 0.98 and sqrt(0.1² 3² + 4²) / 0.98.
    expected = [[np.sqrt(9.64) / 0.98, np.sqrt(16.09) / 0.98]]
    np.testing.assert_allclose(unmixed_sd([[3.0, 4.0]], known()), expected)


def test_dark_cells_lie_on_both_sides_of_zero():
    """Poisson light of 30 and 20 on 40,000 cells: mean 0 and the propagated SD, no clipping."""
    rng = np.random.default_rng(0)
    values = rng.poisson(FLOOR, size=(40_000, 2)).astype(float)
    unmixed = unmix(values, known())
    sd = unmixed_sd(np.sqrt(FLOOR)[None], known())[0]
    # 3 standard errors of a mean and of an SD.
    np.testing.assert_allclose(unmixed.mean(axis=0), 0, atol=3 * sd.max() / 200)
    np.testing.assert_allclose(unmixed.std(axis=0), sd, rtol=3 / np.sqrt(2 * 40_000))
    assert 0.4 < (unmixed < 0).mean() < 0.6


def test_the_matrix_is_found_again():
    labelled, unlabelled = controls(np.random.default_rng(1))
    found = estimate_unmixing(CHANNELS, labelled, unlabelled, QUICK)
    assert found.dyes == CHANNELS
    # Noise of 2 on 400 scatters a ratio by 0.6 %; the median of 150 by 0.06 %. The level is known
    # to 0.2, which is 0.05 % of 400. 0.3 % are over 3 of both.
    np.testing.assert_allclose(found.matrix, LEAK, atol=0.003)
    np.testing.assert_allclose(found.autofluorescence, FLOOR, atol=3 * 1.25 * 2 / np.sqrt(150))
    assert found.condition_number == pytest.approx(np.linalg.cond(LEAK), rel=0.01)


def test_intervals_hold_the_truth_and_the_own_channel_is_certain():
    labelled, unlabelled = controls(np.random.default_rng(2))
    found = estimate_unmixing(CHANNELS, labelled, unlabelled)
    # The interval knows nothing of the unlabelled cells' error of 0.2 on 400.
    low, high = found.intervals[..., 0] - 0.001, found.intervals[..., 1] + 0.001
    assert ((low <= LEAK) & (high >= LEAK)).all()
    np.testing.assert_array_equal(found.intervals[[0, 1], [0, 1]], 1)
    assert (high - low)[0, 1] < 0.02


def test_autofluorescence_must_not_read_as_bleed_through():
    """Without its level, 30 in gfp on an mcherry of 420 would be 7 % more bleed-through."""
    labelled, unlabelled = controls(np.random.default_rng(3))
    level = estimate_unmixing(CHANNELS, labelled, unlabelled, QUICK)
    ignored = estimate_unmixing(CHANNELS, labelled, unlabelled - FLOOR, QUICK)
    assert level.matrix[0, 1] == pytest.approx(0.2, abs=0.003)
    assert ignored.matrix[0, 1] > 0.23


def test_without_unlabelled_cells_slopes_hold_and_the_notes_say_so():
    labelled, _ = controls(np.random.default_rng(4))
    found = estimate_unmixing(CHANNELS, labelled, None)
    np.testing.assert_allclose(found.matrix, LEAK, atol=0.005)
    np.testing.assert_array_equal(found.autofluorescence, 0)
    assert any("no unlabelled cells" in note for note in found.notes)


def test_saturated_cells_would_tilt_the_slope():
    """A camera that stops at 500 bends the line of every brighter cell."""
    rng = np.random.default_rng(5)
    labelled, unlabelled = controls(rng)
    clipped = {dye: np.minimum(cells, 500) for dye, cells in labelled.items()}
    share = {dye: (cells > 500).astype(float) for dye, cells in labelled.items()}
    linear = {dye: linear_range(clipped[dye], share[dye]) for dye in labelled}
    kept = estimate_unmixing(CHANNELS, linear, unlabelled, QUICK)
    tilted = estimate_unmixing(CHANNELS, clipped, unlabelled, QUICK)
    np.testing.assert_allclose(kept.matrix, LEAK, atol=0.004)
    assert tilted.matrix[0, 1] > 0.206
    assert (kept.n_cells < 150).all()


def test_linear_range_by_hand():
    values = np.array([[1, 2], [3, 4], [5, 6]])
    share = np.array([[0.0, 0.0], [0.0, 0.02], [np.nan, 0.0]])
    np.testing.assert_array_equal(linear_range(values, share), [[1, 2], [np.nan, np.nan], [5, 6]])
    np.testing.assert_array_equal(linear_range(values, share, allowed=0.05), values)
    with pytest.raises(MeasurementError, match="expected both"):
        linear_range(values, share[:, :1])


def test_a_cell_without_one_channel_has_no_unmixed_value():
    unmixed = unmix([[np.nan, 80.0], [140.0, 80.0]], known())
    assert np.isnan(unmixed[0]).all()
    assert np.isfinite(unmixed[1]).all()


def test_inputs_of_any_type_are_left_as_they_are():
    rng = np.random.default_rng(6)
    labelled, unlabelled = controls(rng)
    coarse = {
        dye: np.rint(cells).clip(0, 65535).astype(np.uint16) for dye, cells in labelled.items()
    }
    before = {dye: cells.copy() for dye, cells in coarse.items()}
    dark = np.rint(unlabelled).astype(np.uint8)
    found = estimate_unmixing(CHANNELS, coarse, dark, QUICK)
    np.testing.assert_allclose(found.matrix, LEAK, atol=0.004)
    for dye in coarse:
        np.testing.assert_array_equal(coarse[dye], before[dye])
    # 8 bit below the autofluorescence must not wrap.
    assert unmix(np.array([[10, 5]], dtype=np.uint8), found).max() < 0
    assert unmix(np.zeros((0, 2)), found).shape == (0, 2)


def spectral(rng, bright=0.05, n=400):
    """Two dyes in three channels, and unlabelled cells of which some are full of lipofuscin."""
    matrix = np.array([[1.0, 0.15], [0.15, 1.0], [0.1, 0.0]])
    spectrum = np.array([1.0, 0.8, 0.9])
    lit = 300.0 * (rng.random(n) < bright)
    amount = rng.normal(0, 3, size=n) + lit
    unlabelled = 20 + amount[:, None] * spectrum + rng.normal(0, 1, size=(n, 3))
    channels = ("gfp", "mcherry", "dapi")
    labelled = {}
    for number, dye in enumerate(CHANNELS):
        light = 400 * np.exp(0.5 * rng.normal(size=200))
        noise = rng.normal(0, 1, size=(200, 3))
        labelled[dye] = 20 + light[:, None] * matrix[:, number] + noise
    found = estimate_unmixing(channels, labelled, unlabelled, QUICK)
    return found, matrix, spectrum, (unlabelled, lit > 0)


def test_a_spare_channel_parts_autofluorescence_from_doubles():
    found, matrix, spectrum, (unlabelled, lit) = spectral(np.random.default_rng(7))
    assert found.dyes == (*CHANNELS, AUTOFLUORESCENCE)
    # The median cell carries the mean of no lipofuscin; 1 % of 300 is 3 of the scatter.
    np.testing.assert_allclose(found.matrix[:, 2] / found.matrix[0, 2], spectrum, atol=0.02)
    np.testing.assert_allclose(found.matrix[:, :2], matrix, atol=0.01)
    double = 20 + matrix @ [500.0, 300.0]
    lipofuscin = 20 + 300 * spectrum
    both = 20 + matrix @ [500.0, 0.0] + 300 * spectrum
    unmixed = unmix(np.stack([double, lipofuscin, both]), found)
    np.testing.assert_allclose(unmixed, [[500, 300, 0], [0, 0, 300], [500, 0, 300]], atol=12)
    np.testing.assert_array_equal(autofluorescent(unmixed, found), [False, True, True])
    np.testing.assert_array_equal(autofluorescent(unmix(unlabelled, found), found), lit)


def test_errors_of_the_matrix_do_not_flag_the_brightest_cells():
    """A third more light in one channel: a dye of 20,000 leaves hundreds in the others."""
    found, matrix, _, _ = spectral(np.random.default_rng(8))
    bright = 20 + (matrix * [[1.0], [1.0], [1.3]]) @ [20_000.0, 0.0]
    unmixed = unmix(bright[None], found)
    assert abs(unmixed[0, 2]) > found.flag_level
    assert not autofluorescent(unmixed, found)[0]


def test_without_a_spare_channel_nothing_is_flagged_silently():
    labelled, unlabelled = controls(np.random.default_rng(9))
    found = estimate_unmixing(CHANNELS, labelled, unlabelled, QUICK)
    assert any("bright by it looks like" in note for note in found.notes)
    with pytest.raises(MeasurementError, match="one channel more than there are dyes"):
        autofluorescent(unmix(unlabelled, found), found)


def test_dyes_that_cannot_be_told_apart_are_refused():
    twins = np.array([[1.0, 0.97], [0.97, 1.0]])
    labelled, unlabelled = controls(np.random.default_rng(10), twins)
    with pytest.raises(MeasurementError, match=r"cannot be told apart.*condition number"):
        estimate_unmixing(CHANNELS, labelled, unlabelled, QUICK)
    # (1 + b) / (1 - b): 80 % gives 9.
    hard = np.array([[1.0, 0.8], [0.8, 1.0]])
    labelled, unlabelled = controls(np.random.default_rng(11), hard)
    found = estimate_unmixing(CHANNELS, labelled, unlabelled, QUICK)
    assert found.condition_number == pytest.approx(9, rel=0.05)


def test_background_taken_off_twice_is_noted():
    labelled, unlabelled = controls(np.random.default_rng(12), np.array([[1.0, -0.05], [0.1, 1.0]]))
    found = estimate_unmixing(CHANNELS, labelled, unlabelled)
    assert any("mcherry takes light off gfp" in note for note in found.notes)


def test_a_control_that_does_not_shine_is_refused():
    labelled, unlabelled = controls(np.random.default_rng(13))
    swapped = {"gfp": labelled["gfp"], "mcherry": unlabelled}
    with pytest.raises(MeasurementError, match="control for mcherry"):
        estimate_unmixing(CHANNELS, swapped, unlabelled, QUICK)


@pytest.mark.parametrize(
    ("channels", "change", "said"),
    [
        (CHANNELS, lambda c: {"tdtomato": c["gfp"]}, "each named as a channel"),
        (CHANNELS, lambda c: {}, "no dye"),
        (("gfp", "gfp"), lambda c: c, "different channels"),
        (CHANNELS, lambda c: {"gfp": c["gfp"][:, :1]}, r"expected \(cells, 2\)"),
        (CHANNELS, lambda c: {"gfp": c["gfp"][:19]}, "19 usable cells of 19"),
        (CHANNELS, lambda c: {"gfp": c["gfp"] * np.nan}, "0 usable cells of 150"),
    ],
)
def test_controls_that_do_not_fit_are_refused(channels, change, said):
    labelled, unlabelled = controls(np.random.default_rng(14))
    with pytest.raises(MeasurementError, match=said):
        estimate_unmixing(channels, change(labelled), unlabelled, QUICK)
