"""Pairs of files, and a whole training as a user starts it."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from pipelines.errors import StudyError
from pipelines.training.pairs import find_pairs

NUCLEI = Path(__file__).parents[1] / "data" / "nuclei"


def write(path: Path, side: int = 48, objects: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = np.zeros((side, side), np.uint16)
    if objects:
        labels[5:17, 5:17], labels[25:39, 20:33] = 3, 9
    image = np.random.default_rng(1).integers(0, 20, labels.shape) + 150 * (labels > 0)
    tifffile.imwrite(path, image.astype(np.uint8))
    tifffile.imwrite(path.with_name(f"{path.stem}_masks.tif"), labels)
    return path


def test_masks_beside_their_images(tmp_path):
    for name in ("a.tif", "b.tif"):
        write(tmp_path / name)
    assert [(p.image.name, p.mask.name) for p in find_pairs(tmp_path)] == [
        ("a.tif", "a_masks.tif"),
        ("b.tif", "b_masks.tif"),
    ]


def test_masks_in_a_folder_of_their_own_with_or_without_an_ending(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "images" / f"{name}.tif")
    (tmp_path / "masks").mkdir()
    (tmp_path / "images" / "a_masks.tif").rename(tmp_path / "masks" / "a.tif")
    (tmp_path / "images" / "b_masks.tif").rename(tmp_path / "masks" / "b_label.tif")
    names = [p.mask.name for p in find_pairs(tmp_path / "images", tmp_path / "masks")]
    assert names == ["a.tif", "b_label.tif"]


def test_an_image_without_a_mask_is_named(tmp_path):
    write(tmp_path / "a.tif")
    write(tmp_path / "b.tif")
    (tmp_path / "b_masks.tif").unlink()
    with pytest.raises(StudyError, match=r"1 image without a mask.*b\.tif.*_masks"):
        find_pairs(tmp_path)


def test_a_table_of_pairs(tmp_path):
    write(tmp_path / "x" / "a.tif")
    table = tmp_path / "pairs.csv"
    table.write_text("image,mask\nx/a.tif,x/a_masks.tif\n")
    assert find_pairs(table)[0].mask.name == "a_masks.tif"
    table.write_text("image,mask\nx/a.tif,x/gone.tif\n")
    with pytest.raises(StudyError, match=r"gone\.tif"):
        find_pairs(table)
    table.write_text("picture,mask\nx/a.tif,x/a_masks.tif\n")
    with pytest.raises(StudyError, match="columns image and mask"):
        find_pairs(table)


def plan(folder: Path, output: Path, **changes):
    from pipelines.training.plan import Plan
    from segmentation.training.loop import Settings

    settings = Settings(steps=3, batch=1, side_px=32, round_steps=2)
    return replace(
        Plan(find_pairs(folder), output, "compact", None, None, 0.5, settings, gpu=False), **changes
    )


def test_all_bad_pairs_are_named_before_anything_is_computed(tmp_path):
    from pipelines.training.run import run_training

    for name in "abcd":
        write(tmp_path / f"{name}.tif")
    tifffile.imwrite(tmp_path / "b_masks.tif", np.ones((20, 48), np.uint8))
    tifffile.imwrite(tmp_path / "c_masks.tif", np.full((48, 48), 0.5, np.float32))
    tifffile.imwrite(tmp_path / "d.tif", np.full((48, 48), 7, np.uint8))
    with pytest.raises(StudyError) as said:
        run_training(plan(tmp_path, tmp_path / "out"), lambda *_: None)
    for what in (r"b\.tif.*48 x 48.*20 x 48", r"c_masks\.tif.*such as 0\.5", r"d\.tif.*grey value"):
        assert re.search(what, str(said.value)), said.value


def test_masks_stored_as_float_and_masks_of_one_number(tmp_path):
    from pipelines.training.run import run_training

    for name in "ab":
        labels = tifffile.imread(write(tmp_path / f"{name}.tif").with_name(f"{name}_masks.tif"))
        tifffile.imwrite(tmp_path / f"{name}_masks.tif", (labels > 0).astype(np.float32))
    card = run_training(plan(tmp_path, tmp_path / "out", model=None), lambda *_: None)
    assert card.n_objects == 2
    [warning] = card.warnings
    assert "one number only" in warning
    assert warning in card.weights.with_suffix(".md").read_text()


def test_settings_are_those_of_the_network_and_of_few_steps(small_cellpose):
    from pipelines.training.plan import default_settings

    short = default_settings(None, steps=40, batch=4)
    assert (short.batch, short.warm_up, short.round_steps) == (4, 4, 5)
    usual = default_settings("compact")
    assert (usual.steps, usual.batch, usual.warm_up, usual.round_steps) == (400, 8, 20, 50)
    large = default_settings(str(small_cellpose))
    assert (large.learning_rate, large.weight_decay, large.batch) == (1e-5, 0.1, 1)
    with pytest.raises(StudyError, match="above 0"):
        default_settings("compact", learning_rate=0.0)
    with pytest.raises(StudyError, match="Did you mean 'compact'"):
        default_settings("compct")


@pytest.fixture
def small_cellpose(tmp_path, monkeypatch):
    """A model file of Cellpose's transformer, random and thin: the real one has 1.2 GB."""
    import torch
    from segment_anything.modeling import ImageEncoderViT

    from segmentation.engine import vit

    def thin(_):
        return SimpleNamespace(
            image_encoder=ImageEncoderViT(
                embed_dim=32,
                depth=2,
                num_heads=2,
                out_chans=16,
                use_rel_pos=True,
                global_attn_indexes=(0, 1),
            )
        )

    monkeypatch.setattr(vit, "sam_model_registry", {"vit_l": thin})
    torch.manual_seed(0)
    torch.save(vit.CPSAM().state_dict(), tmp_path / "like-cpsam")
    return tmp_path / "like-cpsam"


def test_a_model_of_cellpose_is_trained_further_and_segments(tmp_path, small_cellpose):
    import torch

    from pipelines.training.run import run_training
    from segmentation.models import load_model
    from segmentation.training.loop import Settings

    write(tmp_path / "in" / "a.tif")
    write(tmp_path / "in" / "b.tif")
    settings = Settings(steps=2, batch=1, round_steps=1)
    given = plan(tmp_path / "in", tmp_path / "out", model=str(small_cellpose), settings=settings)
    card = run_training(given, lambda *_: None)
    before, after = (torch.load(f, weights_only=True) for f in (small_cellpose, card.weights))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "out.weight" in changed
    assert "W2" not in changed  # what Cellpose holds fixed
    assert not load_model(str(card.weights), gpu=False).any_tile
    assert len(card.after) == 1


def test_masks_without_objects(tmp_path):
    from pipelines.training.run import run_training

    write(tmp_path / "a.tif", objects=False)
    write(tmp_path / "b.tif", objects=False)
    with pytest.raises(StudyError, match="nothing to learn"):
        run_training(plan(tmp_path, tmp_path / "out"), lambda *_: None)


def test_a_stopped_training_goes_on_to_the_same_weights_and_has_a_card(tmp_path):
    import torch

    from pipelines.training.run import run_training
    from segmentation.models import load_model

    write(tmp_path / "in" / "a.tif")
    write(tmp_path / "in" / "b.tif")
    whole = run_training(plan(tmp_path / "in", tmp_path / "whole"), lambda *_: None)

    def stop(stage, done, *_):
        said.append(done)
        if stage == "steps":
            raise KeyboardInterrupt

    said = []
    stopped = plan(tmp_path / "in", tmp_path / "again", keep_every_s=0)
    for _ in range(2):  # after the first step, within a round, and after the second
        with pytest.raises(KeyboardInterrupt):
            run_training(stopped, stop)
    assert said == [1, 1, 1, 2]  # flows and step
    again = run_training(stopped, lambda *_: None)
    first, second = (torch.load(c.weights, weights_only=True) for c in (whole, again))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert again.rounds == whole.rounds
    card = json.loads((tmp_path / "whole" / "model.json").read_text())
    assert card["sha256"] == whole.sha256 == load_model(str(whole.weights), gpu=False).sha256
    assert len(card["held_out"]) == len(card["after"]) == len(card["before"]) == 1
    assert "Where it fails" in (tmp_path / "whole" / "model.md").read_text()
    other = plan(tmp_path / "in", tmp_path / "whole", diameter_px=9.0)
    with pytest.raises(StudyError, match="--restart"):
        run_training(other, lambda *_: None)
    further = plan(tmp_path / "in", tmp_path / "whole", model=str(whole.weights))
    with pytest.raises(StudyError, match="another --output"):
        run_training(further, lambda *_: None)
    (tmp_path / "whole" / "checkpoint.pt").write_bytes(b"PK half a file")
    with pytest.raises(StudyError, match=r"cannot be read.*--restart"):
        run_training(plan(tmp_path / "in", tmp_path / "whole"), lambda *_: None)


def test_train_says_what_is_wrong(tmp_path):
    command = [sys.executable, "-m", "pipelines", "train", str(tmp_path), "-o", str(tmp_path / "o")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "no images" in done.stderr
