"""JSON schema of the study file, for editors; `python -m pipelines.study.schema` writes it."""

import json
from pathlib import Path

from pipelines.study.model import Study
from pipelines.tables import write_text

SCHEMA_FILE = Path(__file__).parents[2] / "configs" / "study.schema.json"


def study_schema() -> str:
    """The schema as text."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Study.model_json_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write_text(SCHEMA_FILE, study_schema())
