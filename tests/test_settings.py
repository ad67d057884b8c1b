"""Mistakes in files of settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from mezzotint.errors import ConfigError
from mezzotint.study.spec import Study


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: emoji\nmode: fst\n", "line 2: mode is 'fst'; it can be fast or exact"),
        ("name: a\n\nmetrcs: [clip]\n", "line 3: unknown setting 'metrcs'"),
        ("question: [a]\n", "line 1: question is \"['a']\"; it should be a text"),
        (
            "axes:\n  steps:\n    - 1\n    - {a: 1}\n",
            "line 4: axes.steps.1 is \"{'a': 1}\"; it should be true or false",
        ),
        ("seeds: x\n", "line 1: seeds is 'x'; it should be a whole number or a list"),
    ],
)
def test_describe_errors_names_file_line_and_setting(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        Study.read(file)
    assert str(error.value).startswith(f"{file}: ") and said in str(error.value)
    assert "\n" not in str(error.value) and "pydantic" not in str(error.value)
