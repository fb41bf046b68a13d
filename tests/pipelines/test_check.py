from pathlib import Path

import numpy as np
import pytest
import tifffile

from pipelines.errors import StudyError
from pipelines.study.check import check_study

STUDY = """
study: s
samples: samples.csv
channels: {{dapi: {dapi}, p21: 1}}
{pixel_size}
segmentation: {{nuclei: {{channel: dapi, diameter_px: 20}}}}
measurements: [{{type: intensity, channel: p21}}]
{more}
"""
ROWS = [("a", "WS1", "WS", "none"), ("b", "H1", "healthy", "none"), ("c", "H2", "healthy", "drug")]


def study(folder: Path, *, dapi="0", pixel_size="pixel_size_um: unknown", more="", rows=ROWS):
    for name, *_ in rows:
        tifffile.imwrite(
            folder / f"{name}.tif", np.ones((2, 8, 8), np.uint8), metadata={"axes": "CYX"}
        )
    lines = ["image,donor,genotype,treatment"]
    lines += [f"{name}.tif,{','.join(rest)}" for name, *rest in rows]
    (folder / "samples.csv").write_text("\n".join(lines) + "\n")
    path = folder / "study.yaml"
    path.write_text(STUDY.format(dapi=dapi, pixel_size=pixel_size, more=more))
    return path


def problems(path: Path, level: str = "error") -> list[str]:
    found = check_study(path).problems
    return [f"{p.where}: {p.message}" for p in found if p.level == level]


def test_a_sound_study_has_no_problems(tmp_path):
    assert check_study(study(tmp_path)).problems == ()


def test_no_pixel_is_read(tmp_path):
    """Damaged pixels behind a sound header pass the check: they are found when their turn comes."""
    path = study(tmp_path)
    file = tmp_path / "a.tif"
    size = file.stat().st_size
    info = tifffile.TiffFile(file).pages[0]
    with file.open("r+b") as handle:
        handle.seek(info.dataoffsets[0])
        handle.write(b"\0" * 8)
    assert file.stat().st_size == size
    assert check_study(path).problems == ()


def test_a_channel_that_no_image_has_is_the_studys_fault(tmp_path):
    found = problems(study(tmp_path, dapi="7"))
    assert len(found) == 3
    assert "2 channels" in found[0]


def test_no_pixel_size_says_what_to_write(tmp_path):
    found = problems(study(tmp_path, pixel_size=""))
    assert "pixel_size_um: unknown" in found[0]


def test_one_image_that_does_not_fit_is_a_warning(tmp_path):
    path = study(tmp_path)
    tifffile.imwrite(tmp_path / "b.tif", np.ones((8, 8), np.uint8))
    assert problems(path) == []
    assert "failures.csv" in problems(path, "warning")[0]


def test_one_corrupt_image_is_a_warning(tmp_path):
    path = study(tmp_path)
    (tmp_path / "c.tif").write_bytes(b"no image")
    assert problems(path) == []
    assert len(problems(path, "warning")) == 1


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("statistics: {unit: animal, factors: [genotype]}", "no sample column 'animal'"),
        ("statistics: {unit: donor, factors: [genotyp]}", "did you mean 'genotype'?"),
        (
            "statistics: {unit: donor, factors: [genotype], reference: {genotype: helthy}}",
            "did you mean 'healthy'?",
        ),
        (
            "statistics: {unit: donor, factors: [genotype], reference: {treatment: none}}",
            "not one of the factors",
        ),
        ("positivity: {p: {of: p21_nucleus_mean, controls: {dox: no}}}", "no sample column 'dox'"),
        (
            "positivity: {p: {of: p21_nucleus_mean, controls: {treatment: dmso}}}",
            "no image has treatment dmso",
        ),
        (
            "positivity: {p: {of: p21_nucleus_mean, controls: {donor: H1}, by: donor}}",
            "donor WS1 has no control image",
        ),
    ],
)
def test_a_design_that_does_not_fit_the_samples(tmp_path, more, expected):
    assert any(expected in problem for problem in problems(study(tmp_path, more=more)))


def test_controls_that_are_an_experimental_arm_are_warned_of(tmp_path):
    more = (
        "statistics: {unit: donor, factors: [treatment], reference: {treatment: none}}\n"
        "positivity: {p: {of: p21_nucleus_mean, controls: {genotype: healthy}}}"
    )
    found = problems(study(tmp_path, more=more), "warning")
    assert any("treatment drug, a level under test" in problem for problem in found)


def test_controls_within_the_reference_are_fine(tmp_path):
    more = (
        "statistics: {unit: donor, factors: [treatment], reference: {treatment: none}}\n"
        "positivity: {p: {of: p21_nucleus_mean, controls: {treatment: none}}}"
    )
    found = problems(study(tmp_path, more=more), "warning")
    assert not any("under test" in problem for problem in found)


def test_um_settings_with_an_unknown_pixel_size(tmp_path):
    path = study(tmp_path)
    path.write_text(path.read_text().replace("diameter_px", "diameter_um"))
    assert "give diameter_px" in problems(path)[0]


def test_unknown_channel_and_model(tmp_path):
    path = study(tmp_path)
    text = path.read_text().replace("channel: p21", "channel: p12")
    path.write_text(text.replace("channel: dapi,", "channel: dapi, model: compct,"))
    found = problems(path)
    assert any("did you mean 'p21'?" in p for p in found)
    assert any("did you mean 'compact'?" in p for p in found)


def test_everything_wrong_is_said_at_once(tmp_path):
    more = "statistics: {unit: animal, factors: [age]}"
    path = study(tmp_path, more=more)
    with (tmp_path / "samples.csv").open("a") as table:
        table.write("gone.tif,a,b,c\na.tif,a,b,c\n")
    text = path.read_text().replace("channel: p21", "channel: p12")
    path.write_text(text)
    found = "\n".join(problems(path))
    for part in ("gone.tif", "more than one row", "animal", "age", "p12"):
        assert part in found
    with pytest.raises(StudyError, match=r"gone\.tif"):
        check_study(path).raise_errors()


@pytest.mark.parametrize(
    ("contrast", "expected"),
    [
        ("{compare: {genotyp: [WS, healthy]}}", "did you mean 'genotype'"),
        ("{compare: {genotype: [WSS, healthy]}}", "no image has genotype WSS"),
        ("{within: {treatment: vehicle}, compare: {genotype: [WS, healthy]}}", "'treatment'"),
    ],
)
def test_a_contrast_that_does_not_fit_the_samples(tmp_path, contrast, expected):
    more = f"statistics: {{unit: donor, factors: [genotype], contrasts: [{contrast}]}}"
    (found,) = problems(study(tmp_path, more=more))
    assert found.startswith("statistics.contrasts.0")
    assert expected in found


def test_a_unit_under_two_levels_wants_to_be_a_block(tmp_path):
    rows = [("a", "D1", "WS", "none"), ("b", "D1", "WS", "drug")]
    more = "statistics: {unit: donor, factors: [treatment]%s}"
    found = problems(study(tmp_path, more=more % "", rows=rows), "warning")
    assert any("'blocks: donor' compares within each" in text for text in found)
    found = problems(study(tmp_path, more=more % ", blocks: donor", rows=rows), "warning")
    assert not any("blocks" in text for text in found)
