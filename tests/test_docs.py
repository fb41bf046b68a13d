"""The documentation builds without a network and its links hold."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs") / "site"
    subprocess.run([sys.executable, DOCS / "build.py", folder], check=True, cwd=folder.parent)
    return folder


def test_every_link_leads_to_a_page_and_nothing_is_fetched(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        text = page.read_text("utf-8")
        for link in re.findall(r'(?:href|src)="([^"#]+)', text):
            assert link.startswith("https://") or (page.parent / link).exists(), (page, link)
        assert not re.search(r'(?:src|<link[^>]*href)="https?:', text)


def test_the_reference_is_that_of_the_program(site):
    study = (site / "reference" / "study.html").read_text("utf-8")
    assert "<code>pixel_size_um</code>" in study
    assert "senescope inspect" in (site / "reference" / "commands.html").read_text("utf-8")
    columns = (site / "reference" / "columns.html").read_text("utf-8")
    assert "{channel}_foci_count" in columns
    assert columns.count("<tr>") > 100
