"""The documentation as a folder of HTML pages that open without a network.

    uv run python docs/build.py site

Pages are the Markdown files of this folder; the reference is generated from the study model, the
commands and the definitions of the columns. markdown-it-py, which rich brings, turns them to HTML.
"""

import argparse
import importlib
import inspect
import pkgutil
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markdown_it import MarkdownIt

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

SECTIONS = ("", "tutorials", "how-to", "explanations", "reference")


def build(target: Path) -> list[Path]:
    """Write the site, in place of an older one.

    Args:
        target: its folder.

    Returns:
        The pages that were written.
    """
    pages = {p.relative_to(HERE).as_posix(): p.read_text("utf-8") for p in HERE.rglob("*.md")}
    pages |= reference()
    menu = _menu(pages)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copy(HERE / "style.css", target)
    shutil.copytree(HERE / "pictures", target / "pictures")
    return [_write(target, name, text, menu) for name, text in sorted(pages.items())]


def _write(target: Path, name: str, text: str, menu: dict[str, list[tuple[str, str]]]) -> Path:
    path = target / _html(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    body = MarkdownIt("commonmark").enable("table").render(text)
    body = _without_links_out(body, (HERE / name).parent)
    body = re.sub(r'href="(?!\w+:)([^"#]+)\.md(#[^"]*)?"', r'href="\1.html\2"', body)
    page = Environment(autoescape=False).from_string((HERE / "page.html.j2").read_text("utf-8"))
    up = "../" * name.count("/")
    path.write_text(page.render(title=_title(text), up=up, menu=menu, body=body), "utf-8")
    return path


def _without_links_out(body: str, folder: Path) -> str:
    """The page with links to files of the repository, which the site does not have, as text."""

    def shown(link: re.Match[str]) -> str:
        target = (folder / link[1]).resolve()
        generated = target.is_relative_to(HERE / "reference")
        inside = target.is_relative_to(HERE) and target.exists()
        return link[0] if generated or inside else link[2]

    return re.sub(r'<a href="(?!\w+:)([^"#]+)(?:#[^"]*)?">(.*?)</a>', shown, body)


def _menu(pages: dict[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Links of every section: the start page first, then by title."""
    menu: dict[str, list[tuple[str, str]]] = {section: [] for section in SECTIONS}
    for name, text in pages.items():
        section = name.rpartition("/")[0]
        menu[section].append((_html(name), _title(text).replace("`", "")))
    for links in menu.values():
        links.sort(key=lambda link: (link[0] != "index.html", link[1]))
    return menu


def _html(name: str) -> str:
    return name.removesuffix(".md") + ".html"


def _title(text: str) -> str:
    return text.lstrip().splitlines()[0].lstrip("# ")


def reference() -> dict[str, str]:
    """The pages that are generated, by name."""
    return {
        "reference/study.md": _study(),
        "reference/commands.md": _commands(),
        "reference/columns.md": _columns(),
    }


def _study() -> str:
    from pipelines.study.model import Study

    schema = Study.model_json_schema()
    lines = ["# The study file", "", "Every key of the YAML file. Unknown keys are refused.", ""]
    models = {"the study itself": schema, **dict(sorted(schema["$defs"].items()))}
    for name, model in models.items():
        if "properties" not in model:
            continue
        lines += [f"## {name}", "", model.get("description", ""), ""]
        lines += ["| key | kind | default | meaning |", "|---|---|---|---|"]
        needed = model.get("required", ())
        lines += [_row(key, about, key in needed) for key, about in model["properties"].items()]
        lines.append("")
    return "\n".join(lines)


def _row(key: str, about: dict[str, Any], needed: bool) -> str:
    given = about.get("default")
    default = "**needed**" if needed else "" if given in (None, "") else f"`{given}`"
    return f"| `{key}` | {_kind(about)} | {default} | {_cell(about.get('description', ''))} |"


def _kind(about: dict[str, Any]) -> str:
    if "$ref" in about:
        return about["$ref"].rpartition("/")[2]
    options = about.get("anyOf") or about.get("oneOf")
    if options:
        return " or ".join(dict.fromkeys(_kind(option) for option in options))
    if "enum" in about:
        return ", ".join(f"`{value}`" for value in about["enum"])
    if "const" in about:
        return f"`{about['const']}`"
    kind = str(about.get("type", "any"))
    return f"list of {_kind(about['items'])}" if isinstance(about.get("items"), dict) else kind


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _commands() -> str:
    import typer

    from flows.cli import app

    lines = ["# Commands", "", "`senescope COMMAND --help` says the same in the terminal.", ""]
    for name, command in sorted(typer.main.get_command(app).commands.items()):
        lines += [f"## senescope {name}", "", inspect.cleandoc(command.help or ""), ""]
        lines += ["| argument or option | meaning |", "|---|---|"]
        for one in command.params:
            called = (
                ", ".join(one.opts)
                if one.opts[0].startswith("-")
                else (one.metavar or one.name.upper())
            )
            lines.append(f"| `{called}` | {_cell(getattr(one, 'help', None) or '')} |")
        lines.append("")
    return "\n".join(lines)


def _columns() -> str:
    lines = [
        "# Columns",
        "",
        "What the tables may hold; `{channel}` stands for a channel of your study. The columns of "
        "a run, with its units, are in its `tables/columns.csv`.",
        "",
        "| column | unit | meaning | source |",
        "|---|---|---|---|",
    ]
    found = {column.name: column for column in _defined_columns()}
    lines += [
        f"| `{c.name}` | {c.unit} | {_cell(c.meaning)} | {_cell(c.source)} |"
        for _, c in sorted(found.items())
    ]
    return "\n".join(lines)


def _defined_columns() -> Iterator[Any]:
    """Every Column that a module of measurements holds, alone or in a collection."""
    import measurements
    from measurements.columns import Column

    for info in pkgutil.walk_packages(measurements.__path__, "measurements."):
        for value in vars(importlib.import_module(info.name)).values():
            inside = value.values() if isinstance(value, dict) else value
            group = inside if isinstance(inside, Iterable) and not isinstance(inside, str) else ()
            members = [value] if isinstance(value, Column) else group
            if isinstance(members, list | tuple) or isinstance(value, dict):
                yield from (one for one in members if isinstance(one, Column))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Build the documentation.")
    arguments.add_argument("folder", type=Path)
    sys.stdout.write(f"{len(build(arguments.parse_args().folder))} pages\n")
