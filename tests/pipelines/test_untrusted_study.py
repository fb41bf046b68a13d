"""Study files and sample tables from anyone: read, or refused in words, in a moment."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipelines.errors import StudyError
from pipelines.study.model import parse_study
from pipelines.study.samples import join_samples

ROOT = Path(__file__).parents[2]
STUDIES = [path.read_text("utf-8") for path in sorted((ROOT / "configs").glob("*.yaml"))]
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 10)}]\n" for i in range(12)
)

WORDS = ["*a", "&a ", "!!python/object/apply:os.system ['true']", "2001-99-99", "[", "{", "}",
         ": ", "- ", "\t", "\0", "\ud7ff", "1e999", ".nan", "null", "'", '"', "|", ">", "..", "/",
         "9" * 5000, "{a}", "**/", "%", "@", "<<: *a"]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "aliases"),
        ("a: &a [*a]", "aliases"),
        ("[" * 5000, "not valid YAML"),
        ("study: 2001-99-99", "not valid YAML"),
        ("study: " + "9" * 5000, "not valid YAML"),
        ("study: !!python/object/apply:os.system ['touch /tmp/x']", "not valid YAML"),
        ("study: x\n" * 200_000, "characters"),
    ],
)
def test_files_that_no_person_wrote_are_refused_at_once(text, message):
    with pytest.raises(StudyError, match=message):
        parse_study(text, "s.yaml")


def read(text: str, folder: Path) -> None:
    with contextlib.suppress(StudyError):
        join_samples(parse_study(text, "s.yaml"), folder)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    which=st.integers(0, len(STUDIES) - 1),
    changes=st.lists(
        st.tuples(
            st.floats(0, 1), st.integers(0, 20), st.sampled_from(WORDS) | st.text(max_size=8)
        ),
        min_size=1,
        max_size=4,
    ),
)
@example(which=0, changes=[(0.0, 0, "2001-99-99: ")])
def test_any_change_of_a_study_file_is_read_or_refused(tmp_path, which, changes):
    text = STUDIES[which]
    for place, length, put in changes:
        at = int(place * len(text))
        text = text[:at] + put + text[at + length :]
    read(text, tmp_path)


STUDY = """
study: s
samples: samples.csv
channels: {dna: 0}
pixel_size_um: unknown
segmentation: {nuclei: {channel: dna, diameter_px: 8}, cells: {method: nuclei}}
measurements: [{type: morphology}]
"""


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(table=st.binary(max_size=60) | st.text("image,_d;\t\n\"'.tif*?[]{}/\\ \0", max_size=60))
@example(table='image\n"' + "x" * 200_000)
@example(table="image\n\0")
@example(table="image\n[.tif\n**\n")
def test_any_sample_table_is_read_or_refused(tmp_path, table):
    path = tmp_path / "samples.csv"
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    (tmp_path / "a.tif").touch()
    samples = join_samples(parse_study(STUDY, "s.yaml"), tmp_path)
    assert samples.rows or samples.problems or samples.absent


@pytest.mark.parametrize("name", ["../../up", "/tmp/x", ".hidden", "a\\b", "x" * 300])
def test_an_image_id_never_leads_out_of_the_results(tmp_path, name):
    (tmp_path / "a.tif").touch()
    (tmp_path / "samples.csv").write_text(f"image,image_id\na.tif,{name}\n")
    samples = join_samples(parse_study(STUDY, "s.yaml"), tmp_path)
    assert not samples.rows
    assert "becomes the name of files" in samples.problems[0]


def test_a_table_outside_the_roots_is_not_read(tmp_path):
    (tmp_path / "secret.csv").write_text("user,password\n")
    (tmp_path / "study").mkdir()
    text = STUDY.replace("samples.csv", "../secret.csv")
    samples = join_samples(parse_study(text, "s.yaml"), tmp_path / "study")
    assert "outside the folders" in samples.problems[0]
    assert "password" not in samples.problems[0]
    allowed = parse_study(text + "roots: [., ..]\n", "s.yaml")
    assert "outside" not in join_samples(allowed, tmp_path / "study").problems[0]
