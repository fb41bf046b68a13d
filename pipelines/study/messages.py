"""Turn what a validator found into sentences for the person who wrote the study file."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError


def nearest(given: str, known: Iterable[str]) -> str:
    """A hint that names the nearest of `known`, or lists them all where none is near."""
    options = sorted(known)
    close = difflib.get_close_matches(given, options, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(options)}"


def explain(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One sentence for each problem that pydantic found, in the order of the file.

    Args:
        error: what pydantic raised for `model`.
        model: the outermost model, needed to name the keys known at each place.
    """
    items = error.errors(include_url=False)
    return [_sentence(item, model) for item in items if not _follows_from_another(item, items)]


def _follows_from_another(item: Any, items: Iterable[Any]) -> bool:  # noqa: ANN401  ErrorDetails
    """True for a list that is too short only because its own items did not validate."""
    place = item["loc"]
    return item["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in items
    )


def _sentence(item: Any, model: type[BaseModel]) -> str:  # noqa: ANN401  pydantic's ErrorDetails
    location: Sequence[str | int] = item["loc"]
    place = ".".join(str(part) for part in location) or "the file"
    if item["type"] == "extra_forbidden":
        known = _keys_at(location[:-1], model)
        return f"{place}: unknown key '{location[-1]}'; {nearest(str(location[-1]), known)}"
    if item["type"] == "missing":
        return f"{place}: missing; it is required"
    if item["type"] == "union_tag_invalid":
        context = item["ctx"]
        known = {tag.strip().strip("'") for tag in context["expected_tags"].split(",")}
        return (
            f"{place}: unknown {context['discriminator']} '{context['tag']}'; "
            f"{nearest(context['tag'], known)}"
        )
    if item["type"] == "value_error":
        return f"{place}: {item['ctx']['error']}"
    return f"{place}: {item['msg']}; found {item['input']!r}"


def _keys_at(location: Sequence[str | int], model: type[BaseModel]) -> set[str]:
    """Keys of the model (or of every model of a union) that `location` leads to."""
    current: set[type[BaseModel]] = {model}
    for part in location:
        if isinstance(part, int):
            continue
        fields = [m.model_fields[part].annotation for m in current if part in m.model_fields]
        if fields:
            current = {found for annotation in fields for found in _models_in(annotation)}
        else:  # a union's tag: keep the members that carry it
            current = {m for m in current if part in _tags(m)} or current
    return {key for m in current for key in m.model_fields}


def _models_in(annotation: Any) -> set[type[BaseModel]]:  # noqa: ANN401  any type annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {found for argument in get_args(annotation) for found in _models_in(argument)}


def _tags(model: type[BaseModel]) -> set[Any]:
    annotations = [
        model.model_fields[k].annotation for k in ("type", "method") if k in model.model_fields
    ]
    return {tag for annotation in annotations for tag in get_args(annotation)}
