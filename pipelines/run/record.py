"""provenance.json: what a run was made of, and what its report needs to know."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pipelines.run.layout import Layout
from pipelines.run.parts import Part
from pipelines.run.positivity import SEED, Gates
from pipelines.run.provenance import fingerprint, machine, seen_from, versions
from pipelines.run.reporters import Reported
from pipelines.run.task import ImageTask
from pipelines.study.check import Checked
from pipelines.study.design import group_columns, unit_columns
from pipelines.tables import write_text
from segmentation.catalogue import weights_file, weights_sha256


def write_provenance(
    checked: Checked,
    layout: Layout,
    reported: Reported,
    tasks: Sequence[ImageTask],
    references: Mapping[str, object],
    gates: Gates,
    started: float,
) -> None:
    """provenance.json: inputs, settings, versions, models and times, and what a report needs."""
    study, folder, ended = checked.study, checked.path.resolve().parent, time.time()
    text = checked.path.read_text(encoding="utf-8")
    content = {
        "study": {
            "name": study.study,
            "title": study.title or study.study,
            "text": text,
            "sha256": fingerprint(text),
            "folder": seen_from(layout.root, folder),
            "sample_columns": list(checked.samples.columns),
            "unit_columns": list(unit_columns(study, checked.samples)),
            "group_columns": list(group_columns(study)),
            "outcomes": study.statistics.model_dump(mode="json")["outcomes"]
            if study.statistics
            else [],
        },
        "settings": study.model_dump(mode="json"),
        "warnings": [*(f"{p.where}: {p.message}" for p in checked.problems), *reported.warnings],
        "keys": {
            "segmentation": tasks[0].segmentation_key,
            "measurement": tasks[0].measurement_key,
        },
        "models": [
            {"name": name, "sha256": _weights_hash(weights)}
            for name, weights in sorted(
                {(s.model, s.weights(folder)) for _, s in study.cellpose_settings()}
            )
        ],
        **references,
        "gates": {name: rule.model_dump(mode="json") for name, rule in gates.rules.items()},
        "seeds": {"gating": SEED},
        "versions": versions(),
        "machine": machine(),
        "started": _iso(started),
        "finished": _iso(ended),
        "seconds": round(ended - started, 1),
        "images": _inputs(reported.parts),
        **({"control_images": _inputs(reported.controls)} if reported.controls else {}),
    }
    write_text(layout.provenance, json.dumps(content, indent=1, ensure_ascii=False))


def _inputs(parts: Sequence[Part]) -> list[dict[str, object]]:
    return [{"image_id": part.image_id, "files": part.marker["files"]} for part in parts]


def _weights_hash(weights: str) -> str | None:
    path = weights_file(weights)
    return weights_sha256(path) if path is not None else None


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
