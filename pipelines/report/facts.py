"""Where a run's numbers come from, as names and values for people."""

import json
from collections.abc import Mapping
from typing import Any

from pipelines.report.tables import format_number

_SHOWN_APART = {
    "study",
    "settings",
    "gates",
    "warnings",
    "versions",
    "model",
    "models",
    "machine",
    "images",
    "inputs",
}


def facts_of(provenance: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Provenance as named lists of names and values; long lists of files only by their number."""
    run = [(key, _value(key, v)) for key, v in provenance.items() if key not in _SHOWN_APART]
    run += [
        (key, f"{len(provenance[key]):,}, listed in provenance.json")
        for key in ("images", "inputs")
        if isinstance(provenance.get(key), list)
    ]
    study = provenance.get("study")
    if isinstance(study, dict) and study.get("sha256"):
        run.append(("study file, SHA-256", str(study["sha256"])))
    model = provenance.get("models") or provenance.get("model")
    models = model if isinstance(model, list) else [model]
    facts = [
        ("Run", run),
        *(("Model", _pairs(model)) for model in models),
        ("Machine", _pairs(provenance.get("machine"))),
        ("Versions", _pairs(provenance.get("versions"))),
    ]
    return [(name, pairs) for name, pairs in facts if pairs]


def texts_of(value: object) -> list[str]:
    """The texts of a list; none where it is none."""
    return [str(item) for item in value] if isinstance(value, list) else []


def indented(value: object) -> str:
    """Settings as JSON with a key a line; empty where there are none."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str) if value else ""


def _pairs(value: object) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [(str(key), _value(str(key), item)) for key, item in value.items()]
    return [("", _value("", value))] if value else []


def _value(key: str, value: object) -> str:
    if key == "seconds" and isinstance(value, (int, float)):
        return _duration(float(value))
    if isinstance(value, float):
        return format_number(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
