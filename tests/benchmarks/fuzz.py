"""Damaged images, study files and sample tables: each is read or refused in words.

    python -m tests.benchmarks.fuzz --minutes 2

Runs the property tests of tests/pipelines with examples of a new seed until the time is over.
findings_open counts tests that failed; what they failed on is printed, to be kept as an example
beside the test.
"""

import argparse
import json
import tempfile
import time
import traceback
from pathlib import Path

from hypothesis import seed

from tests.pipelines import test_images_bad, test_untrusted_study

TARGETS = (
    test_images_bad.test_any_damage_is_an_image_error_or_harmless,
    test_untrusted_study.test_any_change_of_a_study_file_is_read_or_refused,
    test_untrusted_study.test_any_sample_table_is_read_or_refused,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    start, cases, number, findings = time.monotonic(), 0, arguments.seed, {}
    while time.monotonic() - start < arguments.minutes * 60 and len(findings) < len(TARGETS):
        for target in TARGETS:
            if target.__name__ not in findings:
                done, error = run(target, number)
                cases += done
                if error:
                    findings[target.__name__] = error
                    print(error)
        number += 1
    minutes = round((time.monotonic() - start) / 60, 1)
    print(f"{cases} cases in {minutes} minutes, seeds {arguments.seed} to {number - 1}")
    print(json.dumps({"minutes": minutes, "cases": cases, "findings_open": len(findings)}))


def run(target, number: int) -> tuple[int, str]:
    """Cases of one batch, and the traceback of the smallest failure."""
    wrapped, count = target.hypothesis.inner_test, 0

    def counted(*arguments, **named):
        nonlocal count
        count += 1
        return wrapped(*arguments, **named)

    target.hypothesis.inner_test = counted
    try:
        with tempfile.TemporaryDirectory() as folder:
            seed(number)(target)(tmp_path=Path(folder))
    except Exception:  # noqa: BLE001  whatever a parser raises is a finding
        return count, traceback.format_exc()
    finally:
        target.hypothesis.inner_test = wrapped
    return count, ""


if __name__ == "__main__":
    main()
