"""Metrics against the libraries' own values, literal formulas, and pictures whose numbers are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy
import torch
import transformers
from PIL import Image
from torchmetrics.functional.multimodal import clip_score as library_clip_score
from torchmetrics.image.kid import KernelInceptionDistance

from mezzotint.errors import ConfigError, DataError
from mezzotint.metrics import kid, spread
from mezzotint.study.metrics import (
    METRICS,
    Context,
    Metric,
    MetricSettings,
    comparison_requests,
    get_metrics,
    measure,
    open_metrics,
)
from mezzotint.study.metrics import known as known_module
from mezzotint.study.metrics.looks import (
    clipped_share,
    color_distance,
    color_right,
    colorfulness,
    pixels,
    sharpness,
)
from mezzotint.study.metrics.plain import distance, without_guidance, without_steering
from mezzotint.study.metrics.sets import cmmd, diversity, fid
from mezzotint.study.metrics.words import named_objects, named_style
from mezzotint.study.report import findings
from support import made, tiny_pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("pair")
    return folder, tiny_pair.make_pair(folder)


@pytest.fixture(scope="module")
def context(pair: tuple[Path, Any], folder: Path) -> Context:
    return Context(MetricSettings(reference=str(folder), clip=str(pair[0]), judge=str(pair[0])))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    for i in range(12):
        made.noise(100 + i, 24).save(folder / f"{i}.png")
    return folder


def unit(n: int, d: int = 16, seed: int = 0, shift: float = 0.0) -> np.ndarray[Any, np.dtype[np.float32]]:
    x = np.random.default_rng(seed).standard_normal((n, d)) + shift
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


class Given(torch.nn.Identity):
    num_features = 16


# Against the libraries.


def test_kid_is_the_librarys() -> None:
    x, y = spread(unit(40)), spread(unit(40, seed=1, shift=0.3))
    with pytest.warns(UserWarning, match="memory footprint"):
        library = KernelInceptionDistance(feature=Given(), subsets=1, subset_size=40, normalize=True)
    library.update(torch.from_numpy(y), real=True)
    library.update(torch.from_numpy(x), real=False)
    assert kid(x, y) == pytest.approx(float(library.compute()[0]), abs=1e-9) != 0


def test_fid_is_the_formula() -> None:
    """torchmetrics computes ours; here is Heusel's formula, by the matrix root of scipy."""
    x, y = spread(unit(60)), spread(unit(50, seed=1, shift=0.3))
    c1, c2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(c1 @ c2).real
    wanted = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(c1 + c2 - 2 * root)
    assert fid(x, y) == pytest.approx(wanted, abs=1e-6) and wanted > 1
    assert fid(x, x) == pytest.approx(0, abs=1e-6)


def test_cmmd_is_the_published_formula() -> None:
    x, y = unit(30).astype(np.float64), unit(20, seed=1, shift=0.3).astype(np.float64)

    def mean(a: Any, b: Any) -> float:
        return float(np.mean([[math.exp(-((p - q) ** 2).sum() / 200) for q in b] for p in a]))

    wanted = 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))
    assert cmmd(x, y) == pytest.approx(wanted, abs=1e-9) and wanted > 0.1
    assert cmmd(x, y, rows=7) == pytest.approx(wanted, abs=1e-9)


class Library:
    """The model as torchmetrics expects it: plain tensors, as transformers gave before its version 5."""

    def __init__(self, model: Any):
        self.config, self._model = model.config, model

    def to(self, device: object) -> Library:
        return self

    def get_image_features(self, pixels: torch.Tensor) -> torch.Tensor:
        return self._model.get_image_features(pixel_values=pixels).pooler_output  # type: ignore[no-any-return]

    def get_text_features(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self._model.get_text_features(input_ids=ids, attention_mask=mask).pooler_output  # type: ignore[no-any-return]


def test_clip_score_is_the_librarys(pair: tuple[Path, Any], context: Context) -> None:
    """With transformers' own preprocessing, on pictures of the pair's size, which nobody then resizes."""
    folder, model = pair
    processor = transformers.CLIPProcessor(
        transformers.CLIPImageProcessorPil(
            do_resize=False, do_center_crop=False, image_mean=tiny_pair.MEAN, image_std=tiny_pair.STD
        ),
        transformers.CLIPTokenizer.from_pretrained(folder),
    )
    prompts = ["the cat on the moon", "cat", "a moon in the cat that is going on and on"]
    pictures = [made.picture(i, prompts[i % 3]) for i in range(24)]
    found = measure(get_metrics(["clip_score", "judge_score"]), pictures, context).each
    assert found["judge_score"] == found["clip_score"]
    alike = 0
    for picture, cosine in zip(pictures, found["clip_score"], strict=True):
        shown = torch.from_numpy(np.array(picture.image)).permute(2, 0, 1)
        library = float(
            library_clip_score(shown, picture.request.prompt, lambda: (Library(model), processor))
        )
        assert max(cosine, 0) == pytest.approx(library / 100, abs=1e-5)  # the library cuts at 0
        alike += library > 0
    assert alike >= 6


# Pictures whose numbers are known.


def flat(color: str | tuple[int, int, int], side: int = 8) -> Image.Image:
    return Image.new("RGB", (side, side), color)


def test_sharpness_is_the_laplacian_of_scipy() -> None:
    image = made.noise(1)
    luma = pixels(image) @ [0.299, 0.587, 0.114]
    assert sharpness(image) == pytest.approx(scipy.ndimage.laplace(luma, mode="mirror").var())
    assert sharpness(flat("teal")) == pytest.approx(0)


def test_colorfulness_of_known_pictures() -> None:
    assert colorfulness(flat("gray")) == 0
    assert colorfulness(flat("#ff0000")) == pytest.approx(0.3 * math.hypot(255, 127.5))
    half = flat("#ff0000")
    half.paste("#00ff00", (0, 0, 4, 8))  # red-green 255 and -255, yellow-blue 127.5 everywhere
    assert colorfulness(half) == pytest.approx(255 + 0.3 * 127.5)


def test_clipped_counts_channel_values() -> None:
    assert clipped_share(flat((0, 255, 7))) == pytest.approx(2 / 3) and clipped_share(flat((1, 254, 7))) == 0


def test_colors_by_prompt_and_by_term() -> None:
    assert color_right(made.picture(flat((140, 204, 246)), "a cat on a sky blue background")) == 1
    assert color_right(made.picture(flat("red"), "a cat on a sky blue background")) == 0
    assert math.isnan(color_right(made.picture(flat("red"), "a cat")))
    assert color_distance(flat("#19e680"), "#19e680") == pytest.approx(0, abs=1e-9)
    assert color_distance(flat("white"), "black") == pytest.approx(100, abs=0.1)
    steered = made.picture(flat("white"), guidance='cfg(2) + color("#000000")')
    told = [
        Context().wanted_color(steered.request),
        Context(MetricSettings(color="red")).wanted_color(steered.request),
    ]
    assert told == ["#000000", "red"]
    plain = measure(get_metrics(["color_distance"]), [made.picture(flat("red"))], Context()).each[
        "color_distance"
    ]
    assert math.isnan(plain[0])


OBJECTS = (
    "apple",
    "red apple",
    "cat",
    "cat face",
    "dog",
    "dog face",
    "poodle",
    "guide dog",
    "racing car",
    "key",
)


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("a red apple on a white background", [{"red apple"}]),
        ("a RED APPLE, flat style", [{"red apple"}]),
        ("two cats and a key", [{"cat"}, {"key"}]),
        ("a monkey and a category", []),
        ("a puppy", [{"dog", "dog face", "poodle", "guide dog"}]),
        ("a beautiful picture of a sport car in Tokyo", [{"racing car"}]),
        ("a cat on the moon", [{"cat"}]),
    ],
)
def test_objects_of_a_prompt(prompt: str, wanted: list[set[str]]) -> None:
    assert named_objects(prompt, OBJECTS) == wanted


def test_styles_of_a_prompt() -> None:
    styles = ("fluent-3d", "fluent-flat", "twemoji", "noto-v1")
    assert named_style("a cat, simple flat style", styles) == "twemoji"
    assert named_style("a flat cat", styles) == "fluent-flat"
    assert named_style("a 3D render of a cat", styles) == "fluent-3d"
    assert named_style("an inflated cat", styles) == ""
    assert named_style("a cat, pixel art", (*styles, "pixel-art")) == "pixel-art"
    assert named_style("a cat, pixel art", styles) == ""


class Told(Context):
    """A judge that sees what a picture's color stands for."""

    AXES = (*OBJECTS, "red", "green", "blue")

    class _Pair:
        def embed_texts(self, texts: Sequence[str]) -> Any:
            return np.array([[float(text == axis) for axis in Told.AXES] for text in texts], np.float32)

    def pair(self, which: str) -> Any:
        return self._Pair()

    @property
    def facts(self) -> dict[str, Any]:  # type: ignore[override]
        return {"objects": list(OBJECTS)}

    def features(self, pictures: Sequence[Any], which: str) -> Any:
        rows = np.zeros((len(pictures), len(self.AXES)), np.float32)
        for row, picture in zip(
            rows, pictures, strict=True
        ):  # the red of a picture is the axis that comes first
            first, many = picture.image.getpixel((0, 0))[0], len(OBJECTS)
            row[(first + np.arange(many)) % many] = np.arange(many, 0, -1)  # then the next, never a tie
            row[first] = many
        return rows


def test_objects_as_judged() -> None:
    cat, key = OBJECTS.index("cat"), OBJECTS.index("key")
    asked = [
        (cat, "a cat"),
        (cat - 1, "a cat"),
        (cat + 1, "a cat"),
        (cat, "a cat and a dog"),
        (key, "a cat and a dog"),  # then apple, red apple, cat, cat face: one of two
    ]
    seen = [made.picture(flat((axis, 0, 0)), prompt) for axis, prompt in [*asked, (0, "fog")]]
    found = measure(get_metrics(["object_top1", "object_top5"]), seen, Told()).each
    assert found["object_top1"] == pytest.approx([1, 0, 0, 1, 0, math.nan], nan_ok=True)
    assert found["object_top5"] == pytest.approx([1, 1, 0, 1, 0.5, math.nan], nan_ok=True)


def test_styles_as_the_bundled_probe_sees_them() -> None:
    """A sheet of one flat color is in some style: the prompt that names it is right, others are not."""
    from mezzotint.data import pixel_art
    from mezzotint.data.emoji import STYLES

    context = Context()
    [style] = context.probe([made.picture(flat((90, 120, 200)), "").image])
    other = next(name for name in STYLES if name != style)
    called = {name: known.words for name, known in STYLES.items()} | {pixel_art.NAME: pixel_art.WORDS}
    prompts = [f"a cat, {called[name][0]} style" for name in (style, other)]
    seen = [made.picture(flat((90, 120, 200)), prompt) for prompt in (*prompts, "a cat")]
    found = measure(open_metrics(["style_right"], context), seen, context).each["style_right"]
    assert found == pytest.approx([1, 0, math.nan], nan_ok=True)


# Sets, and what is stored with their numbers.


def test_diversity_is_the_mean_over_pairs() -> None:
    x = unit(9)
    pairs = [1 - float(x[i] @ x[j]) for i in range(9) for j in range(i)]
    assert diversity(x) == pytest.approx(np.mean(pairs), abs=1e-6)
    assert diversity(np.repeat(x[:1], 3, 0)) == pytest.approx(0, abs=1e-6) and math.isnan(diversity(x[:1]))


def test_numbers_of_sets_say_what_they_depend_on(context: Context, folder: Path) -> None:
    pictures = [made.picture(i) for i in range(20)]
    found = measure(get_metrics(["fid", "kid", "cmmd", "diversity"]), pictures, context).sets
    assert {(one.n, one.against) for name, one in found.items() if name != "diversity"} == {(20, 12)}
    assert all(math.isfinite(one.value) for one in found.values())
    said = found["kid"]
    assert said.resize == "middle square to 16x16, Lanczos; whole to 16x16, box filter"
    assert str(folder) in said.reference and len(said.features.split()[-1]) == 12
    few = Context(MetricSettings(**{**context.settings.__dict__, "most": 5}))
    assert measure(get_metrics(["kid"]), pictures, few).sets["kid"].against == 5
    assert math.isnan(measure(get_metrics(["kid"]), pictures[:1], context).sets["kid"].value)


def test_a_set_is_nearest_to_itself(context: Context, folder: Path) -> None:
    same = [made.picture(made.noise(100 + i, 24)) for i in range(12)]
    other = [made.picture(flat((20 * i, 40, 200 - 10 * i), 24)) for i in range(12)]
    near, far = (measure(get_metrics(["fid", "kid", "cmmd"]), p, context).sets for p in (same, other))
    assert near["fid"].value == pytest.approx(0, abs=1e-5) and near["cmmd"].value == pytest.approx(
        0, abs=1e-6
    )
    assert all(near[name].value < far[name].value for name in near)


def test_each_picture_is_looked_at_once_in_batches(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, looked = Context(context.settings), []
    embed = fresh.pair("judge").embed_images
    monkeypatch.setattr(
        fresh.pair("judge"), "embed_images", lambda images: looked.append(len(images)) or embed(images)
    )
    pictures = [made.picture(i, "cat") for i in range(70)]
    measure(get_metrics(["judge_score", "diversity", "kid"]), pictures + pictures[:5], fresh)
    assert looked == [64, 6, 12]  # the last are the reference


# Compared with what guidance did not move.


def test_the_requests_to_compare_with() -> None:
    request = made.picture(
        prompt="a cat", guidance='cfg(7.5) + color("red", effect=0.1) + mix("b", 1)'
    ).request
    assert (
        without_guidance(request).guidance == "cfg(1)"
        and without_steering(request).guidance == 'cfg(7.5) + mix("b", 1)'
    )
    alone = made.picture(guidance='color("red")').request
    assert without_guidance(alone).guidance == without_steering(alone).guidance == "none"
    metrics = get_metrics(["distance_unguided", "distance_unsteered", "sharpness"])
    base = made.picture(prompt="a cat", guidance="cfg(1)").request
    assert comparison_requests(metrics, [base]) == []
    assert comparison_requests(metrics, [request, request]) == [base, without_steering(request)]


def test_distance_is_in_the_unit_of_effect() -> None:
    assert distance(flat("black"), flat("white")) == 2 and distance(flat("red"), flat("red")) == 0
    moved = made.picture(flat("white"), guidance='cfg(2) + color("red")')
    drawn = {without_guidance(moved.request).digest: "black", without_steering(moved.request).digest: "white"}
    context = Context(plain=lambda request: made.picture(flat(drawn[request.digest])))
    found = measure(get_metrics(["distance_unguided", "distance_unsteered"]), [moved], context).each
    assert found == {"distance_unguided": [2.0], "distance_unsteered": [0.0]}


def test_cost_is_from_the_provenance() -> None:
    found = measure(get_metrics(["evaluations", "seconds"]), [made.picture()], Context()).each
    assert found == {"evaluations": [25.0], "seconds": [1.5]}


# What is wrong is said before any work.


@pytest.mark.parametrize(
    ("names", "settings", "plain", "said"),
    [
        (
            ["clip_scor", "kidd"],
            {},
            True,
            "'clip_scor'; did you mean 'clip_score'\\?, 'kidd'; did you mean 'kid'",
        ),
        (["kid", "sharpness"], {}, True, "kid: no reference is given; name a folder"),
        (["kid"], {"reference": "no/such/folder/at/all"}, True, "no/such/folder"),
        (["distance_unguided"], {}, False, "not drawn here"),
        (
            ["clip_score"],
            {"clip": "clipp"},
            True,
            "clip_score: no image-text pair 'clipp'.*did you mean 'clip'",
        ),
        (["kid", "distance_unguided"], {}, False, "(?s)not drawn here.*; .*no reference"),
        (["object_top1"], {}, True, "cannot name objects"),
    ],
)
def test_bad_wishes(
    pair: tuple[Path, Any], names: list[str], settings: dict[str, str], plain: bool, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        open_metrics(names, Context(MetricSettings(**{"judge": str(pair[0]), **settings})), plain)


def test_bad_settings() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        MetricSettings(color="grene")
    with pytest.raises(ConfigError, match="two pictures"):
        MetricSettings(most=1)


def test_what_is_well_is_opened(context: Context) -> None:
    assert [m.name for m in open_metrics(["kid", "clip_score", "kid"], context)] == ["kid", "clip_score"]


def test_pictures_to_compare_with_must_be_there() -> None:
    with pytest.raises(DataError, match="as `plain`"):
        measure(get_metrics(["distance_unguided"]), [made.picture()], Context())


# Metrics of other packages.

MINE = Metric("mine", frozenset(), lambda pictures, context: [float(p.request.seed) for p in pictures])
SHORT = Metric("short", frozenset(), lambda pictures, context: [1.0])
OTHER = "not a metric"


def bring(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    points = [EntryPoint(name.lower(), f"{__name__}:{name}", known_module.GROUP) for name in names]
    monkeypatch.setattr(EntryPoint, "load", lambda self: globals()[self.value.split(":")[1]])
    monkeypatch.setattr(
        known_module, "entry_points", lambda group: points if group == known_module.GROUP else []
    )


def test_own_metrics_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    bring(monkeypatch, "MINE", "SHORT", "OTHER", "GONE")
    assert measure(get_metrics(["mine"]), [made.picture(seed=s) for s in (3, 4)], Context()).each == {
        "mine": [3, 4]
    }
    with pytest.raises(ConfigError, match="did you mean 'mine'"):
        get_metrics(["mins"])
    with pytest.raises(ConfigError, match="must be a Metric"):
        get_metrics(["other"])
    with pytest.raises(ConfigError, match="'gone' does not load: KeyError"):
        get_metrics(["gone"])
    with pytest.raises(DataError, match="'short' should give 2 floats"):
        measure(get_metrics(["short"]), [made.picture(), made.picture()], Context())


def test_a_page_says_of_an_own_metric_what_it_says_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = replace(MINE, higher=True, caution="by eye")
    monkeypatch.setitem(globals(), "MINE", mine)
    bring(monkeypatch, "MINE")
    assert findings.higher_is_better("mine") is True
    assert findings.cautions(["mine", "of another table"]) == "mine: by eye."
    assert findings.higher_is_better("of another table") is None


def test_every_metric_says_what_it_is() -> None:
    assert all(name == metric.name and metric.about for name, metric in METRICS.items())
