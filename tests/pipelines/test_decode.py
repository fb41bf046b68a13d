"""Rounds as files, decoded by the command, and the tables taken by a study."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import tifffile
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.decode import DecodeSettings, read_codebook, read_rounds
from pipelines.errors import StudyError
from pipelines.field import Labels
from pipelines.simulate.rounds import RoundsSettings, dot_sigma_px, simulate_rounds
from tests.studies import read_csv, run_here, write_samples

BASE = RoundsSettings()
SMALL = replace(
    BASE,
    scene=replace(BASE.scene, height=200, width=220),
    nuclei=replace(BASE.nuclei, count=8),
    shift_px=5.0,
)
STUDY = """
study: sequenced
samples: samples.csv
channels: {nuclei: 0}
pixel_size_um: 0.1625
segmentation: {nuclei: {channel: nuclei, diameter_um: 7}}
measurements:
  - {type: transcripts, table: "decoded/{image_id}.csv", unit: px, distance_um: 3}
"""


def write_rounds(folder):
    """Two fields of six rounds, one of them with a round of another field."""
    rows = []
    for name, bad in (("good", None), ("bad", 4)):
        made = simulate_rounds(replace(SMALL, bad_round=bad), 5)
        for number, (nuclei, dots) in enumerate(zip(made.nuclei, made.dots, strict=True)):
            file = f"{name}_{number + 1}.tif"
            stack = np.concatenate([nuclei[None], dots])
            tifffile.imwrite(folder / file, stack, photometric="minisblack")
            rows.append({"image_id": name, "round": number + 1, "image": file})
    pl.DataFrame(rows).write_csv(folder / "rounds.csv")
    columns = {f"round{r + 1}": made.words[:, r] for r in range(SMALL.n_rounds)}
    pl.DataFrame({"gene": made.genes, **columns}).write_csv(folder / "codebook.csv")
    return simulate_rounds(SMALL, 5)


@pytest.mark.slow
def test_a_decoded_field_goes_into_a_study_and_a_bad_round_is_refused(tmp_path, monkeypatch):
    truth = write_rounds(tmp_path)
    command = [
        "decode", str(tmp_path / "rounds.csv"), "--codebook", str(tmp_path / "codebook.csv"),
        "--output", str(tmp_path / "decoded"), "--nuclei", "0", "--dots", "1,2,3,4",
        "--sigma", f"{dot_sigma_px(SMALL):.3f}",
    ]  # fmt: skip
    ended = CliRunner().invoke(app, command)
    assert ended.exit_code == 1  # one image failed
    good, bad = read_csv(tmp_path / "decoded" / "decoding.csv")
    assert "round 5 (residual" in bad["error"]
    assert not (tmp_path / "decoded" / "bad.csv").exists()
    assert float(good["largest_residual_px"]) < 0.3
    found = pl.read_csv(tmp_path / "decoded" / "good.csv")
    assert len(found) == int(good["transcripts"]) > 0.8 * truth.transcripts["y"].size
    assert not found["gene"].str.starts_with("empty").any()

    labels = Labels(truth.labels, truth.labels, None)
    monkeypatch.setattr("pipelines.run.image.segment_field", lambda *_: labels)
    (tmp_path / "good_1.tif").rename(tmp_path / "good.tif")
    write_samples(tmp_path, [{"image": "good.tif"}])
    (tmp_path / "study.yaml").write_text(STUDY)
    run_here(tmp_path / "study.yaml", tmp_path / "out")
    cells = pl.read_parquet(tmp_path / "out" / "tables" / "cells.parquet")
    assert cells["transcript_count"].sum() > 0
    assert any(name.startswith("gene_") and name.endswith("_transcripts") for name in cells.columns)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gene,r1\nA,9\n", "no channel '9'"),
        ("gen,r1\nA,0\n", "no column 'gene'"),
        ("gene,r1\nA,0\nB,0\n", "same word"),
        ("gene,r1\n", "no rows"),
    ],
)
def test_a_codebook_that_cannot_be_used_is_refused_in_words(tmp_path, text, words):
    path = tmp_path / "codebook.csv"
    path.write_text(text)
    with pytest.raises(StudyError, match=words):
        read_codebook(path, DecodeSettings("0", ("1", "2")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image_id,round,image\na,1,none.tif\n", "there is no file"),
        ("image_id,round,image\na,one,x.tif\n", "is no number"),
        ("image_id,round,image\na,1,x.tif\na,1,x.tif\n", "twice"),
        ("image_id,round,image\na,1,x.tif\nb,2,x.tif\n", "differ in their rounds"),
    ],
)
def test_rounds_that_do_not_fit_are_refused_in_words(tmp_path, text, words):
    (tmp_path / "x.tif").touch()
    path = tmp_path / "rounds.csv"
    path.write_text(text)
    with pytest.raises(StudyError, match=words):
        read_rounds(path)
