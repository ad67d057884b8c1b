"""Samplers and guidance terms of another package: the one that docs/how-to/samplers-and-terms.md describes, installed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mezzotint.errors import ConfigError, RequestError
from mezzotint.guidance import LossQuery, parse
from mezzotint.guidance.expression import TERMS
from mezzotint.planning import plan
from mezzotint.plugins import PluginTable
from mezzotint.request import Request
from mezzotint.samplers import SAMPLERS
from mezzotint.schedule import Schedule

PAGE = Path(__file__).parents[1] / "docs/how-to/samplers-and-terms.md"
SD = Schedule.from_config({"beta_schedule": "scaled_linear", "prediction_type": "epsilon"})


def install(folder: Path, points: str, module: str) -> None:
    """A package as pip leaves it: a module, and its metadata beside it."""
    (folder / "my_package.py").write_text(module)
    about = folder / "my_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(points)


def forget(table: PluginTable[Any], own: list[str]) -> None:
    table._points = None
    for name in set(table) - set(own):
        del table[name]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a package can be installed; the tables search again, and forget it afterwards."""
    own = [(table, list(table)) for table in (SAMPLERS, TERMS)]
    monkeypatch.syspath_prepend(str(tmp_path))
    for table, names in own:
        forget(table, names)
    yield tmp_path
    for table, names in own:
        forget(table, names)
    sys.modules.pop("my_package", None)
    parse.__globals__["_parse"].cache_clear()


@pytest.fixture
def described(package: Path) -> Path:
    """The package of the page, installed."""
    text = PAGE.read_text()
    points = re.sub(
        r'\[project\.entry-points\."(.*?)"\]', r"[\1]", re.findall(r"```toml\n(.*?)```", text, re.S)[0]
    )
    install(package, points.replace('"', ""), "\n".join(re.findall(r"```python\n(.*?)```", text, re.S)))
    return package


def test_a_sampler_of_another_package_is_planned_as_its_formula_says(described: Path) -> None:
    ours, theirs = (plan(Request(sampler=name, steps=7), SD) for name in ("euler", "my-euler"))
    assert np.array_equal(ours.update, theirs.update) and np.array_equal(ours.timestep, theirs.timestep)
    assert "my-euler" in SAMPLERS.names()


def test_a_name_that_nobody_brings_is_refused_with_the_nearest(described: Path) -> None:
    with pytest.raises(RequestError, match="did you mean 'my-euler'"):
        Request(sampler="my-eular")
    with pytest.raises(RequestError, match="did you mean 'bright'"):
        parse("brigt()")


def test_our_own_names_stay_ours(package: Path) -> None:
    install(package, "[mezzotint.samplers]\neuler = my_package:broken\n", "broken = 1")
    SAMPLERS.load()
    assert plan(Request(sampler="euler", steps=3), SD).evaluations == 3


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("raise OSError('no disk')", "does not load: OSError: no disk"),
        ("odd = 1", "must be a Sampler, got a int"),
    ],
)
def test_a_record_that_is_wrong_is_one_line_for_who_asks_for_it(
    package: Path, module: str, message: str
) -> None:
    install(package, "[mezzotint.samplers]\nodd = my_package:odd\n", module)
    assert Request(sampler="euler").sampler == "euler"
    with pytest.raises(ConfigError, match=message):
        plan(Request(sampler="odd"), SD)


def test_a_term_of_another_package_reads_and_writes_itself(described: Path) -> None:
    guidance = parse("cfg(5) + bright(0.5, stop=0.5)")
    assert str(guidance) == "cfg(5) + bright(scale=0.5, stop=0.5)"
    assert parse(str(guidance)) == guidance
    assert str(parse("bright()")) == "bright(effect=0.05)"


def test_the_gradient_of_a_loss_of_another_package_is_that_of_its_formula(described: Path) -> None:
    torch = pytest.importorskip("torch")
    from mezzotint.models.steering.loss_decoders import PixelLossDecoder
    from mezzotint.models.steering.loss_evaluator import LossEvaluator

    [term] = parse("bright(1)").steers
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3, 8, 8)).astype(np.float32)
    queries = [LossQuery(term, one, np.random.default_rng(0)) for one in x]
    found = LossEvaluator(PixelLossDecoder(3), torch.device("cpu"), graphs=True).loss_gradients(
        queries, False
    )
    for one, result in zip(x, found, strict=True):
        assert result.loss == pytest.approx(np.square(1 - one).mean(), rel=1e-5)
        assert np.allclose(result.gradient, 2 * (1 - one) / one.size, atol=1e-7)


def test_a_loss_of_many_numbers_is_refused(package: Path) -> None:
    torch = pytest.importorskip("torch")
    from mezzotint.errors import ModelError
    from mezzotint.guidance import Color
    from mezzotint.models.steering.loss_evaluator import _own_loss

    class Odd(Color):
        def loss(self, pictures: Any) -> Any:
            return pictures

    with pytest.raises(ModelError, match=r"the loss of odd is \[1, 3, 4, 4\]; it should be one number"):
        _own_loss([Odd("red")], torch.zeros(1, 3, 4, 4))
