"""What `senescope check` finds in a study with reporters."""

import pytest
import tifffile

from pipelines.errors import StudyError
from pipelines.study.check import check_study
from tests.reporter_studies import image, mixed, write_reporter_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images and tables that no test changes; each test writes a study file of its own."""
    place = tmp_path_factory.mktemp("study")
    write_reporter_study(place)
    return place


def problems(path, level="error"):
    return [f"{p.where}: {p.message}" for p in check_study(path).problems if p.level == level]


def changed(folder, name, *changes):
    """A study file with texts replaced."""
    text = (folder / "study.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def controls(folder, name, *lines):
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return changed(folder, name, ("controls.csv", f"{name}.csv"))


SOUND = ("image,stained", "unlabelled0.tif,dapi", "only_gfp.tif,gfp", "only_mcherry.tif,mcherry")


def test_a_sound_study(folder):
    checked = check_study(folder / "study.yaml")
    assert [p for p in checked.problems if p.level == "error"] == []
    assert len(checked.controls.rows) == 6
    assert len(checked.rows) == 14


def test_the_nuclear_stain_alone_is_unlabelled(folder):
    checked = check_study(controls(folder, "dapi", *SOUND))
    assert [p for p in checked.problems if p.level == "error"] == []
    assert checked.controls.rows[0].sample["stained"] == "unlabelled"


def test_no_control_table(folder):
    path = changed(folder, "none", ("controls.csv", "gone.csv"))
    (problem,) = problems(path)
    assert "bleed_through: there is no file" in problem
    assert "gone.csv" in problem


def test_no_column_stained(folder):
    (problem,) = problems(controls(folder, "column", "image,dye", "only_gfp.tif,gfp"))
    assert "no column 'stained'" in problem
    assert "found: dye" in problem


def test_a_missing_image_of_a_control(folder):
    (problem,) = problems(controls(folder, "lost", *SOUND, "gone.tif,gfp"))
    assert "there is no file gone.tif" in problem


def test_unknown_stained_names(folder):
    path = controls(folder, "unknown", *SOUND, "unlabelled1.tif,mchery", "unlabelled2.tif,")
    found = "\n".join(problems(path))
    assert "'mchery' is unknown; did you mean 'mcherry'?" in found
    assert "'(empty)' is unknown" in found


def test_a_channel_that_is_no_reporter_is_not_stained(folder):
    path = controls(folder, "other", *SOUND, "unlabelled1.tif,p21")
    path.write_text(path.read_text().replace("mcherry: 2", "mcherry: 2, p21: 1"))
    assert any("none of the reporters" in problem for problem in problems(path))


def test_a_reporter_without_a_control(folder):
    (problem,) = problems(controls(folder, "single", *SOUND[:3]))
    assert "no image is stained mcherry" in problem


def test_no_unlabelled_control(folder):
    path = controls(folder, "bare", SOUND[0], *SOUND[2:])
    assert problems(path) == []
    assert any("no image is unlabelled" in text for text in problems(path, "warning"))


def test_gates_by_unlabelled_images_need_some(folder):
    path = controls(folder, "gate", SOUND[0], *SOUND[2:])
    path.write_text(path.read_text().replace("controls: {dox: 'no'}, ", ""))
    assert sum("no unlabelled image" in problem for problem in problems(path)) == 2


def test_gates_by_unlabelled_images_are_warned_of(folder):
    path = changed(folder, "dark", ("controls: {dox: 'no'}, ", ""))
    assert problems(path) == []
    assert sum("do not express it are brighter" in t for t in problems(path, "warning")) == 2


def test_batches_without_an_unlabelled_image(folder):
    rows = ["image,stained,dox", *(f"{line},yes" for line in SOUND[1:])]
    path = controls(folder, "batch", *rows)
    text = path.read_text().replace("controls: {dox: 'no'}", "by: dox")
    path.write_text(text)
    assert any("dox no has no unlabelled image" in problem for problem in problems(path))
    path.write_text(text.replace("batch.csv", "controls.csv"))
    assert any("control images have no column 'dox'" in problem for problem in problems(path))


def test_gates_with_unknown_controls(folder):
    path = changed(folder, "dose", ("controls: {dox: 'no'}", "controls: {dose: 0}"))
    assert sum("no sample column 'dose'" in problem for problem in problems(path)) == 2


def test_an_image_that_is_a_sample_too(folder):
    (problem,) = problems(controls(folder, "both", *SOUND, "dox1.tif,gfp"))
    assert "dox1 is an image of the samples too" in problem


def test_a_control_of_the_same_name_gets_its_folder(folder):
    (folder / "controls").mkdir(exist_ok=True)
    planes = image(mixed(0), 1)
    path = folder / "controls" / "dox1.tif"
    tifffile.imwrite(path, planes, photometric="minisblack", metadata={"axes": "CYX"})
    checked = check_study(controls(folder, "named", *SOUND, "controls/dox1.tif,gfp"))
    assert checked.controls.rows[-1].image_id == "controls__dox1"


def test_haze_without_outlines_and_expanded_nuclei(folder):
    path = changed(folder, "haze", ("bleed_through:", "haze: true\n    bleed_through:"))
    (problem,) = problems(path)
    assert "haze needs outlines of whole cells" in problem
    assert any("expand: " in text for text in problems(path, "warning"))
    model = "{method: cellpose, channel: gfp, diameter_px: 22}"
    path.write_text(path.read_text().replace("{method: expand, distance_px: 6}", model))
    assert problems(path) == []
    assert not any("expand" in text for text in problems(path, "warning"))


def test_unknown_channels(folder):
    path = changed(folder, "channel", ("gfp: 1, mcherry: 2", "gfp: 1, tdtomato: 2"))
    assert any("no channel 'mcherry'" in problem for problem in problems(path))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("      double: [mcherry+, gfp+]\n", "", r"mcherry\+ gfp\+ have no class"),
        ("primary: [mcherry+, gfp-]", "primary: [mcherry+]", "fit primary and double"),
        ("secondary:", "Secondary:", "lower-case"),
        ("gates: {mcherry:", "gates: {mchery:", "did you mean 'mcherry'"),
        ("channels: [mcherry, gfp]", "channels: [mcherry, mcherry]", "mcherry stands there twice"),
        ("percentile: 99", "percentile: 99, rule: otsu", "not of otsu"),
        ("  - {type: morphology}", "  - {type: reporters, channels: [gfp], gates: "
         "{gfp: {rule: otsu}}}", "in one measurement"),
    ],
)  # fmt: skip
def test_what_the_file_alone_shows(folder, old, new, message):
    path = changed(folder, "file", (old, new))
    with pytest.raises(StudyError, match=message):
        check_study(path)


def test_a_reporter_is_gated_once(folder):
    path = changed(
        folder, "twice", ("measurements:", "positivity: {gfp: {of: x, rule: otsu}}\nmeasurements:")
    )
    with pytest.raises(StudyError, match="gfp is one of the reporters"):
        check_study(path)


def test_nothing_unmixed_needs_no_control_images(folder):
    path = changed(folder, "raw", ("bleed_through: controls.csv", "bleed_through: null"))
    assert problems(path) == []
    assert check_study(path).controls.rows == ()


def test_two_reporters_without_control_images_are_warned_of(folder):
    path = changed(folder, "unmixed", ("controls.csv", "null"))
    assert any("nothing is unmixed" in text for text in problems(path, "warning"))
    one = changed(
        folder,
        "one",
        ("controls.csv", "null"),
        ("[mcherry, gfp]", "[mcherry]"),
        (", gfp: {controls: {dox: 'no'}, percentile: 99}", ""),
        ("primary: [mcherry+, gfp-]", "primary: [mcherry+]"),
        ("secondary: [mcherry-, gfp+]", "negative: [mcherry-]"),
        ("      double: [mcherry+, gfp+]\n      negative: [mcherry-, gfp-]\n", ""),
    )
    assert not any("nothing is unmixed" in text for text in problems(one, "warning"))


def test_no_controls_at_all_need_another_rule(folder):
    path = changed(
        folder,
        "rule",
        ("bleed_through: controls.csv", "bleed_through: null"),
        ("controls: {dox: 'no'}, ", ""),
    )
    with pytest.raises(StudyError, match="a percentile needs control cells"):
        check_study(path)
