"""Fine-tuning: what is asked is checked first; what comes out opens elsewhere and is what was learned."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDPMPipeline, StableDiffusionPipeline
from safetensors.torch import load_file

from mezzotint import Request, generate, open_model
from mezzotint.errors import ConfigError, DataError, MezzotintError, OutputError
from mezzotint.models.disk.source import defaults_of
from mezzotint.models.known_words import KnownWords
from mezzotint.train.finetune.config import parse_settings
from mezzotint.train.finetune.files import write_facts
from mezzotint.train.finetune.run import finetune, prepare
from mezzotint.train.finetune.task import FinetuneTask
from support import tiny, tiny_pixels
from support.pictures import COLORS, make_pictures

LITTLE = {
    "epochs": 2,
    "measured": 0,
    "baseline": True,
    "shown": 2,
    "sample_steps": 2,
    "precision": "fp32",
    "ema": 0.5,
    "save_minutes": 60,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny models and fifteen pictures."""
    folder = tmp_path_factory.mktemp("home")
    make_pictures(folder / "pictures")
    tiny_pixels.make_pixels(
        folder / "pixels", {**tiny_pixels.PLAIN, "block_out_channels": (8, 16), "sample_size": 16}
    )
    tiny.make_pipeline(folder / "text")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def settings(home: Path, out: Path, model: str = "pixels", **more: Any) -> dict[str, Any]:
    return {"model": str(home / model), "data": str(home / "pictures"), "out": out, **LITTLE, **more}


def lines(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")


def test_a_pixel_model_learns_and_opens(home: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    made = finetune(
        parse_settings(
            settings(home, run, lr=1e-3, measured=4, schedule="cosine", epochs=4, offset_noise=0.1)
        ),
        ["finetune", "--lr", "1e-3"],
    )
    assert made == run / "model"
    found = lines(run)
    measured = [line for line in found if "val_loss" in line]
    assert [line["epoch"] for line in measured] == [0, 1, 2, 3, 4]
    assert measured[-1]["val_loss"] < 0.9 * measured[0]["val_loss"]
    assert {"kid_new", "kid_old", "val_loss_t0"} <= measured[0].keys()
    assert {"loss", "lr", "grad_norm", "samples_per_s"} <= {key for line in found for key in line}
    assert {path.name for path in (run / "samples").iterdir()} == {
        f"epoch-{epoch:04d}-{kind}.png" for epoch in range(5) for kind in ("raw", "ema")
    }
    assert open_model(made, "openvino", "float32").schedule.alphas_cumprod[500] == pytest.approx(
        0.49, abs=0.03
    )
    pipeline = DDPMPipeline.from_pretrained(made)
    assert pipeline.scheduler.config.beta_schedule == "squaredcos_cap_v2"
    assert any(not torch.equal(a, weights(home / "pixels")[name]) for name, a in weights(made).items())
    page, card = (run / "report.html").read_text(), (made / "README.md").read_text()
    assert all(
        said in page for said in ("mezzotint finetune --lr 1e-3", "KID", "epoch 4", "data:image/png", "<svg")
    )
    assert "cosine" in card and "licence of the data" in card and "AdamW 0.001, batch" in card


def test_a_small_run_draws_no_samples_before_it_learns(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    finetune(parse_settings(settings(home, run, measured=None, baseline=None, shown=16, epochs=1)))
    left_out = "samples before the first step and KID; --baseline --measured 64 asks for it"
    assert f"left out, as more than a tenth of the run: {left_out}\n" in capsys.readouterr().err
    assert {path.name for path in (run / "samples").iterdir()} == {"epoch-0001-raw.png", "epoch-0001-ema.png"}
    measured = [line for line in lines(run) if "val_loss" in line]
    assert [line["epoch"] for line in measured] == [0, 1] and "kid_new" not in measured[0]
    page = (run / "report.html").read_text()
    assert page.index("samples, pictures that are learned") < page.index("samples, epoch 1")


def test_muon_learns_where_it_is_asked(home: Path, tmp_path: Path) -> None:
    """What it is by default is in the test above: AdamW on all, and nothing of Muon in the card."""
    made = finetune(parse_settings(settings(home, tmp_path / "run", lr=1e-4, muon_lr=0.01)))
    moved = {
        name: (value - weights(home / "pixels")[name]).abs().mean() for name, value in weights(made).items()
    }
    assert moved["mid_block.resnets.0.conv1.weight"] > 5 * moved["conv_in.weight"] > 0
    assert "AdamW 0.0001, Muon 0.01, batch" in (made / "README.md").read_text()


@pytest.mark.parametrize("sampler", ["", "ddim"])
def test_samples_are_what_generate_draws(home: Path, tmp_path: Path, sampler: str) -> None:
    """Of the same seed, whatever company it has; the default sampler adds noise, of each seed alone."""
    config = parse_settings(
        settings(home, tmp_path / "run", sample_steps=4, **({"sampler": sampler} if sampler else {}))
    )
    subject = prepare(config).subject
    one, two = (subject.draw(subject.module.eval(), seeds) for seeds in ([5], [9, 5]))
    assert np.array_equal(one[0], two[1])
    request = Request(seed=5, steps=4, sampler=sampler or "dpmpp-2m-sde", guidance="none")
    [picture] = generate(request, open_model(home / "pixels", "torch", "float32"))
    assert np.abs(np.int16(one[0]) - np.asarray(picture.image)).max() <= 2
    assert len({image.tobytes() for image in two}) == 2


def test_stopping_after_an_epoch_changes_nothing(home: Path, tmp_path: Path) -> None:
    whole = finetune(parse_settings(settings(home, tmp_path / "whole", epochs=2)))
    finetune(parse_settings(settings(home, tmp_path / "parts", epochs=1)))
    parts = finetune(parse_settings(settings(home, tmp_path / "parts", epochs=2)))
    assert all(torch.equal(value, weights(parts)[name]) for name, value in weights(whole).items())


def test_full_weights_of_a_text_to_image_model(home: Path, tmp_path: Path) -> None:
    made = finetune(parse_settings(settings(home, tmp_path / "run", "text", size=64, lr=1e-3)))
    pipeline = StableDiffusionPipeline.from_pretrained(made)
    assert pipeline.unet.config.cross_attention_dim == 32
    assert open_model(made, "openvino", "float32").reads_text
    before = weights(home / "text")
    assert all(
        not torch.equal(value, before[name]) for name, value in weights(made).items() if "to_q" in name
    )
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Prompts, in rows: " in page and any(name in page for name in COLORS)


def test_lora_is_read_by_diffusers_and_is_what_was_learned(home: Path, tmp_path: Path) -> None:
    config = parse_settings(
        settings(home, tmp_path / "run", "text", size=64, lora=2, lr=1e-2, lora_targets=["to_q", "to_out.0"])
    )
    made = finetune(config)
    assert {path.name for path in made.iterdir()} >= {
        "pytorch_lora_weights.safetensors",
        "kohya.safetensors",
        "README.md",
    }
    pipeline = StableDiffusionPipeline.from_pretrained(home / "text")
    x, text = torch.randn(1, 4, 8, 8), torch.randn(1, 77, 32)
    with torch.no_grad():
        base = pipeline.unet(x, 500, text).sample
        pipeline.load_lora_weights(made)
        theirs = pipeline.unet(x, 500, text).sample
        task = prepare(config.model_copy(update={"out": tmp_path / "other"})).subject
        kept = load_file(sorted((tmp_path / "run" / "checkpoints").iterdir())[-1] / "state.safetensors")
        learning = [name for name, weight in task.module.named_parameters() if weight.requires_grad]
        changed = [name for name, _ in task.module.named_parameters() if "lora_" in name]
        for index, name in enumerate(changed):
            task.module.get_parameter(name).copy_(kept[f"ema.{index}"])
        ours = task.ask(task.module, x, torch.tensor([500]), text)
    assert learning == changed and all("to_q" in name or "to_out" in name for name in changed)
    assert not any(name.startswith("weight.") and "lora_" not in name for name in kept)
    assert (theirs - base).abs().max() > 1e-4
    assert (ours - theirs).abs().max() < 1e-4


def test_a_new_word_is_read_by_diffusers(home: Path, tmp_path: Path) -> None:
    word = "<ball>"
    made = finetune(
        parse_settings(
            settings(home, tmp_path / "run", "text", size=64, new_word=word, word_from="the", epochs=1)
        )
    )
    vector = load_file(made / "learned_embeds.safetensors")[word]
    pipeline = StableDiffusionPipeline.from_pretrained(home / "text")
    table = pipeline.text_encoder.get_input_embeddings().weight
    start = table[pipeline.tokenizer("the").input_ids[1]]
    assert 0 < (vector[0] - start).abs().max() < 0.1
    pipeline.load_textual_inversion(made / "learned_embeds.safetensors", token=word)
    ids = pipeline.tokenizer(f"a cat, {word}", padding="max_length", return_tensors="pt").input_ids
    subject: Any = prepare(
        parse_settings(settings(home, tmp_path / "other", "text", size=64, new_word=word))
    ).subject
    with torch.no_grad():
        subject.module.vector.copy_(vector[0])
        ours = subject.module._frozen[1](
            input_ids=subject.learner.condition([f"a cat, {word}"])
        ).last_hidden_state
        theirs = pipeline.text_encoder(input_ids=ids).last_hidden_state
    assert (ours - theirs).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"size": 17}, "divisible by 2"),
        ({"lora": 4}, "reads no text"),
        ({"weight_cap": 0.5}, "weight_cap"),
        ({"precision": "fp16"}, "fp16 is for GPUs"),
        ({"model": "facse"}, "did you mean 'faces'"),
        ({"data": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(
    home: Path, tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(MezzotintError, match=said):
        prepare(parse_settings({**settings(home, tmp_path / "run"), **more}))
    assert not (tmp_path / "run").exists()


def test_gray_model_is_refused_before_any_work(home: Path, tmp_path: Path) -> None:
    gray = {**tiny_pixels.GRAY, "block_out_channels": (8, 16), "sample_size": 16}
    tiny_pixels.make_pixels(tmp_path / "gray", gray)
    asked = {**settings(home, tmp_path / "run"), "model": str(tmp_path / "gray")}
    with pytest.raises(MezzotintError, match="gray draws gray pictures, of one channel"):
        prepare(parse_settings(asked))


def test_pictures_without_captions(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "pictures" / "noto", tmp_path / "bare")
    with pytest.raises(DataError, match="caption"):
        prepare(
            parse_settings(settings(home, tmp_path / "run", "text", size=64, data=str(tmp_path / "bare")))
        )
    with pytest.raises(ConfigError, match=r"lora_targets.*did you mean 'to_q'"):
        prepare(
            parse_settings(settings(home, tmp_path / "run", "text", size=64, lora=2, lora_targets=["to_qq"]))
        )
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        prepare(parse_settings(settings(home, tmp_path / "run", data=str(tmp_path / "empty"))))


def test_a_folder_of_another_run_is_refused(home: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    finetune(parse_settings(settings(home, run, epochs=1)))
    with pytest.raises(OutputError, match=r"lr is 1e-05, here 0\.001"):
        prepare(parse_settings(settings(home, run, epochs=1, lr=1e-3)))
    prepare(parse_settings(settings(home, run, epochs=3, lr=1e-5, limit_minutes=3)))
    note = run / "config.yaml"
    note.write_text(note.read_text().replace("muon_lr: 0.0\n", ""))
    prepare(parse_settings(settings(home, run, epochs=1)))
    with pytest.raises(OutputError, match=r"muon_lr is 0\.0, here 0\.01"):
        prepare(parse_settings(settings(home, run, epochs=1, muon_lr=0.01)))
    with pytest.raises(OutputError, match="other things"):
        prepare(parse_settings(settings(home, home / "pictures")))


def test_only_the_times_that_are_asked_for_are_learned(home: Path, tmp_path: Path) -> None:
    narrow = {"min_timestep": 200, "max_timestep": 300}
    task = FinetuneTask(
        parse_settings(settings(home, tmp_path / "run", **narrow)),
        prepare(parse_settings(settings(home, tmp_path / "run"))).subject, 15, 2, None,
    )  # fmt: skip
    times = torch.cat([task.batch(step)[2] for step in range(40)])
    assert 200 <= int(times.min()) < 215 and 285 <= int(times.max()) < 300
    with pytest.raises(ConfigError, match="max_timestep is above min_timestep"):
        parse_settings(settings(home, tmp_path / "run", min_timestep=300, max_timestep=300))
    with pytest.raises(ConfigError, match="times of the model, 0 to 1000, not 0 to 1001"):
        finetune(parse_settings(settings(home, tmp_path / "other", max_timestep=1001)))
    assert not list((tmp_path / "other").glob("*.jsonl"))


@pytest.mark.processor
def test_lora_is_held_to_the_model_before_it_at_times_that_are_not_learned(
    home: Path, tmp_path: Path
) -> None:
    narrow = {"lora": 2, "size": 64, "min_timestep": 200, "max_timestep": 600, "prior_loss_weight": 3}
    config = parse_settings(settings(home, tmp_path / "run", "text", **narrow))
    subject = prepare(config).subject
    task = FinetuneTask(config, subject, 15, 2, None)
    times = torch.cat([task.batch(step)[2] for step in range(60)])
    other = (times < 200) | (times >= 600)
    assert 0.4 < other.float().mean() < 0.6 and times.min() < 200 and times.max() > 900

    x0, condition, _, eps = task.batch(0)
    t = torch.tensor([100, 300, 500, 700])
    batch = x0, condition, t, eps
    start, numbers = task.loss_of(task.module, batch)
    # LoRA begins as no change; the two networks may sum in another order, which rounds differently.
    assert numbers["loss_t1"] == pytest.approx(0, abs=1e-9) and numbers["loss_t7"] == pytest.approx(
        0, abs=1e-9
    )
    assert start.item() == pytest.approx((numbers["loss_t3"] + numbers["loss_t5"]) / 4)

    learning = {name: weight for name, weight in task.module.named_parameters() if "lora_" in name}
    x = subject.noise.add_noise(x0, eps, t)
    with torch.no_grad():
        before = subject.ask(task.module, x, t, condition)
        for weight in learning.values():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
        after = subject.ask(task.module, x, t, condition)
    loss, numbers = task.loss_of(task.module, batch)
    held, learned = (after - before).square().mean((1, 2, 3)), (after - eps).square().mean((1, 2, 3))
    assert numbers["loss_t7"] == pytest.approx(float(held[3]), rel=1e-4) and held[3] > 1e-4
    assert numbers["loss_t5"] == pytest.approx(float(learned[2]), rel=1e-4)
    assert loss.item() == pytest.approx(
        float(3 * (held[0] + held[3]) + learned[1] + learned[2]) / 4, rel=1e-4
    )
    loss.backward()
    assert all(weight.requires_grad and weight.grad is not None for weight in learning.values())


def test_holding_lora_needs_lora_and_times_that_are_not_learned(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="prior_loss_weight needs lora"):
        parse_settings(
            settings(home, tmp_path / "run", "text", size=64, prior_loss_weight=1, max_timestep=400)
        )
    for learned in ({}, {"max_timestep": 1000}):
        config = parse_settings(
            settings(home, tmp_path / "run", "text", size=64, lora=2, prior_loss_weight=1, **learned)
        )
        with pytest.raises(ConfigError, match="say which with max_timestep"):
            finetune(config)
    assert not list((tmp_path / "run").glob("*.jsonl"))


def test_offset_noise_moves_whole_channels() -> None:
    from mezzotint.train.noise import draw_noise

    plain = draw_noise((64, 3, 16, 16), 0.0, torch.Generator().manual_seed(0))
    moved = draw_noise((64, 3, 16, 16), 1.0, torch.Generator().manual_seed(0))
    assert float(plain.mean((2, 3)).std()) < 0.1
    assert float(moved.mean((2, 3)).std()) == pytest.approx(1, abs=0.15)
    assert np.allclose((moved - plain).std((2, 3)), 0, atol=1e-5)


def test_a_model_that_was_finetuned_says_what_it_knows_and_how_to_draw_it(tmp_path: Path) -> None:
    base, made = tmp_path / "base", tmp_path / "made"
    for folder in (base, made):
        folder.mkdir()
    write_facts(base, made, ["a sketch"])
    assert not list(made.iterdir())  # nothing is made up
    KnownWords({"cat": ()}).write(base)
    (base / "mezzotint.json").write_text('{"defaults": {"steps": 9}}')
    write_facts(base, made, ["a sketch of Einstein"])
    known = KnownWords.read(made)
    assert known and known.knows("cat") and known.knows("einstein")
    assert defaults_of(made) == {"steps": 9}
