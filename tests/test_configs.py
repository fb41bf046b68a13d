"""The example studies fit the model, and the schema beside them is the model's own."""

from pathlib import Path

import pytest

from pipelines.study.model import load_study
from pipelines.study.schema import SCHEMA_FILE, study_schema

CONFIGS = Path(__file__).parent.parent / "configs"


def test_the_schema_is_up_to_date():
    written = SCHEMA_FILE.read_text(encoding="utf-8")
    assert written == study_schema(), "run python -m pipelines.study.schema"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.name)
def test_every_example_is_a_valid_study(path):
    assert load_study(path).study
