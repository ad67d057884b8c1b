"""Gradient terms: each published recipe against a literal transcription, and what the engine promises of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, LMSDiscreteScheduler
from numpy.typing import NDArray
from torch import Tensor

from mezzotint.engine import Engine
from mezzotint.engine.steer import rotate_noise
from mezzotint.errors import MezzotintError, ModelError, RequestError
from mezzotint.guidance import Cfg, Clip, Color, LossGradient, LossQuery, Steer
from mezzotint.picture import Picture
from mezzotint.request import Request
from mezzotint.rng import Generator
from mezzotint.schedule import Schedule
from support.toy import Toy, schedule

Array = NDArray[np.float32]
SIDE, STEPS, BATCH = 64, 6, 4
LINEAR: dict[str, Any] = {
    "beta_schedule": "linear",
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "clip_sample": True,
}
SCALED: dict[str, Any] = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


def network(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
    """eps of (n, 3, h, w): every element sees its neighbor, the time and the text."""
    word = text.sum((1, 2))[:, None, None, None] / 6
    return torch.tanh(
        0.8 * x + 0.3 * torch.roll(x, 1, -1) * word + 0.2 * t[:, None, None, None] / 1000 + 0.1 * word
    )


def picture_features(shown: Tensor, draw: np.random.Generator, cutouts: int) -> Tensor:
    """(cutouts, 5) a toy CLIP on one picture (3, h, w): random windows, three channel means, two textures."""
    found = []
    for _ in range(cutouts):
        x, y = (int(v) for v in draw.integers(0, SIDE // 2, 2))
        seen = shown[:, y : y + SIDE // 2, x : x + SIDE // 2]
        found.append(
            torch.cat([seen.mean((1, 2)), (seen[0] * seen[1]).mean()[None], seen[2].square().mean()[None]])
        )
    return torch.stack(found)


def text_features(text: str) -> Tensor:
    return torch.from_numpy(
        np.random.default_rng([ord(c) for c in text]).standard_normal(5).astype(np.float32)
    )


def clip_loss(x0: Tensor, text: str, draw: np.random.Generator, cutouts: int, rescale: bool = True) -> Tensor:
    """2*arcsin(|u-v|/2)^2, a mean over cutouts."""
    shown = ((x0 + 1) / 2).clamp(0, 1) if rescale else x0
    u = torch.nn.functional.normalize(picture_features(shown, draw, cutouts), dim=-1)
    v = torch.nn.functional.normalize(text_features(text), dim=0)
    return (2 * torch.arcsin((u - v).norm(dim=-1) / 2) ** 2).mean()


def color_loss(x0: Tensor, rgb: Sequence[float]) -> Tensor:
    return (x0 - (2 * torch.tensor(rgb)[:, None, None] - 1)).abs().mean()


@dataclass
class Steered(Toy):
    """A toy on pixels with derivatives."""

    latent_channels: int = 3
    vae_factor: int = 1
    default_size: tuple[int, int] = (SIDE, SIDE)
    fault: Callable[[LossQuery], None] = lambda job: None  # may raise
    nan: str = ""  # the text whose gradient is NaN
    pulls: int = 0

    def denoise(self, x: Array, timestep: Array, text: Array, rows: int) -> Array:
        with torch.no_grad():
            out: Array = network(*map(torch.from_numpy, (x, timestep, text))).numpy()
        return out

    def pullback(self, x: Array, timestep: Array, text: Array) -> tuple[Array, Callable[[Array], Array]]:
        x_ = torch.tensor(x, requires_grad=True)
        out = network(x_, torch.from_numpy(timestep), torch.from_numpy(text))

        def back(d: Array) -> Array:
            found: Array = torch.autograd.grad(out, x_, torch.from_numpy(d), retain_graph=True)[0].numpy()
            return found

        return out.detach().numpy(), back

    def ready(self, term: Steer) -> None:
        if isinstance(term, Clip) and term.model != "clip":
            raise ModelError(f"no image-text pair {term.model!r}")

    def facts(self, term: Steer) -> dict[str, str]:
        return {"decoder": "none"}

    def loss_gradients(self, jobs: Sequence[LossQuery], alone: bool) -> list[LossGradient]:
        self.pulls += 1
        for job in jobs:
            self.fault(job)
        return [self._pull(job) for job in jobs]

    def _pull(self, job: LossQuery) -> LossGradient:
        x0 = torch.tensor(job.latents, requires_grad=True)
        if isinstance(job.term, Color):
            loss = color_loss(x0, [c / 255 for c in job.term.rgb])
            share = x0.numel() / (3 * 256 * 256)
        else:
            assert isinstance(job.term, Clip)
            rescale = "range" not in job.term.slips
            loss, share = clip_loss(x0, job.term.text, job.rng, job.term.cutouts, rescale), 1.0
        gradient = -torch.autograd.grad(loss, x0)[0].numpy() * np.float32(share)
        sick = isinstance(job.term, Clip) and job.term.text == self.nan
        return LossGradient(float(loss), gradient * np.nan if sick else gradient)

    def decode(self, latents: Array) -> NDArray[np.uint8]:
        return np.asarray(np.clip(np.moveaxis(latents[0], 0, -1) * 127.5 + 127.5, 0, 255).round(), np.uint8)


def ours(toy: Steered, request: Request, n: int = 1) -> Tensor:
    """(n, 3, h, w) the last latents, before rounding to pixels."""
    seen: dict[int, Array] = {}
    with Engine(toy, on_step=lambda p: seen.__setitem__(p.id, p.x0)) as engine:
        for future in engine.submit_all(request.repeat(n)):
            future.result()
    return torch.from_numpy(np.stack([seen[i] for i in range(n)]))


def noise(n: int) -> Tensor:
    return torch.from_numpy(np.stack([Generator(seed).normal((3, SIDE, SIDE)) for seed in range(n)]))


def words(text: str, n: int) -> Tensor:
    return torch.from_numpy(Toy().encode_text(text))[None].expand(n, -1, -1)


def draws(n: int, call: int, shared: bool = False) -> list[np.random.Generator]:
    return [np.random.default_rng([0 if shared else seed, 0, call]) for seed in range(n)]


def loop(
    config: dict[str, Any],
    n: int,
    steer: Callable[[Any, int, Tensor, Tensor, Tensor], Tensor],
    scale: float = 1.0,
    sampler: type = DDIMScheduler,
) -> Tensor:
    """A published sampling loop: `steer(scheduler, i, t, x, eps)` gives x for the step; returns the last x."""
    scheduler = sampler(
        **{k: v for k, v in config.items() if sampler is DDIMScheduler or k.startswith("beta")}
    )
    scheduler.set_timesteps(STEPS)
    x = noise(n) * scheduler.init_noise_sigma
    for i, t in enumerate(scheduler.timesteps):
        seen = scheduler.scale_model_input(x, t)
        at = torch.full((n,), float(t))
        cond, free = network(seen, at, words("p", n)), network(seen, at, words("", n))
        out = steer(scheduler, i, t, x, free + scale * (cond - free))
        x, eps = out if isinstance(out, tuple) else (out, free + scale * (cond - free))
        x = scheduler.step(eps, t, x).prev_sample
    return x


def test_course_color() -> None:
    """x - grad(40*L), the mean over the batch of 8 and over 256x256 pixels, eps held."""

    def steer(scheduler: Any, i: int, t: Tensor, x: Tensor, eps: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        x0 = scheduler.step(eps, t, x).pred_original_sample
        pixels = 8 * 3 * 256 * 256
        loss = (x0 - (2 * torch.tensor([26, 230, 128]) / 255 - 1)[:, None, None]).abs().sum() / pixels * 40
        return x.detach() - torch.autograd.grad(loss, x)[0]

    toy = Steered(schedule=Schedule.from_config(LINEAR))
    request = Request("p", sampler="ddim", steps=STEPS, guidance="course-color()")
    assert_alike(toy, request, loop(LINEAR, 3, steer), 1e-3)


@pytest.mark.parametrize("corrected", [False, True])
def test_course_clip(corrected: bool) -> None:
    """x + g*sqrt(alphas_cumprod), as published with its slips, and as its formula says."""

    def steer(scheduler: Any, i: int, t: Tensor, x: Tensor, eps: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        x0 = scheduler.step(eps, t, x).pred_original_sample
        pairs = zip(x0, draws(BATCH, i, shared=not corrected), strict=True)
        losses = torch.stack([clip_loss(one, "a rose", draw, 4, rescale=corrected) for one, draw in pairs])
        g = -torch.autograd.grad((losses.sum() if corrected else losses.mean()) * 8, x)[0]
        return x.detach() + g * scheduler.alphas_cumprod[t if corrected else i].sqrt()

    toy = Steered(schedule=Schedule.from_config(LINEAR))
    name = "course-clip-corrected" if corrected else "course-clip"
    request = Request("p", sampler="ddim", steps=STEPS, guidance=f'{name}("a rose")')
    assert_alike(toy, request, loop(LINEAR, BATCH, steer))


def community(scheduler: Any, i: int, t: Tensor, x: Tensor, eps: Tensor) -> Any:
    """`cond_fn` of the community pipeline: through the network with the prompt alone."""
    x = x.detach().requires_grad_()
    text_eps = network(scheduler.scale_model_input(x, t), torch.full((len(x),), float(t)), words("p", len(x)))
    if isinstance(scheduler, LMSDiscreteScheduler):
        sample = x - scheduler.sigmas[i] * text_eps
    else:
        bar = scheduler.alphas_cumprod[t]
        x0 = (x - (1 - bar).sqrt() * text_eps) / bar.sqrt()
        sample = x0 * (1 - bar).sqrt() + x * (1 - (1 - bar).sqrt())
    losses = [clip_loss(s, "a rose", d, 4) for s, d in zip(sample, draws(len(x), i), strict=True)]
    g = -torch.autograd.grad(torch.stack(losses).sum() * 100, x)[0]
    x = x.detach()
    if isinstance(scheduler, LMSDiscreteScheduler):
        return x + g * scheduler.sigmas[i] ** 2
    return x, eps - (1 - bar).sqrt() * g


def test_clip_sd() -> None:
    toy = Steered(schedule=Schedule.from_config(SCALED))
    request = Request("p", sampler="ddim", steps=STEPS, guidance='cfg(3) + clip-sd("a rose")')
    assert_alike(toy, request, loop(SCALED, 2, community, scale=3))


def test_clip_sd_lms() -> None:
    toy = Steered(schedule=Schedule.from_config(SCALED))
    request = Request("p", sampler="lms", steps=STEPS, guidance='cfg(3) + clip-sd-lms("a rose")')
    theirs = loop(SCALED, 2, community, scale=3, sampler=LMSDiscreteScheduler)
    assert_alike(toy, request, theirs, 1e-2)


def test_gyre() -> None:
    """denoised + g*sigma^2 in k-diffusion's coordinates, the loss summed, scale 500*strength."""

    def euler(n: int) -> Tensor:
        scheduler = LMSDiscreteScheduler(**{k: v for k, v in SCALED.items() if k.startswith("beta")})
        scheduler.set_timesteps(STEPS)
        x, sigmas = noise(n) * scheduler.init_noise_sigma, scheduler.sigmas
        for i, t in enumerate(scheduler.timesteps):
            x = x.detach().requires_grad_()
            seen, at = x / (sigmas[i] ** 2 + 1).sqrt(), torch.full((n,), float(t))
            cond, free = network(seen, at, words("p", n)), network(seen, at, words("", n))
            denoised = x - sigmas[i] * (free + 3 * (cond - free))
            losses = [clip_loss(d, "a rose", g, 4) for d, g in zip(denoised, draws(n, i), strict=True)]
            g = -torch.autograd.grad(torch.stack(losses).sum() * 500 * 0.8, x)[0]
            d = (x - (denoised + g * sigmas[i] ** 2)) / sigmas[i]
            x = (x + d * (sigmas[i + 1] - sigmas[i])).detach()
        return x

    toy = Steered(schedule=Schedule.from_config(SCALED))
    request = Request("p", sampler="euler", steps=STEPS, guidance='cfg(3) + gyre("a rose", 0.8)')
    assert_alike(toy, request, euler(2), 1e-2)


def test_mpgd() -> None:
    """x0 - c*grad with respect to x0, then DDIM's step with the eps that the network gave."""
    scheduler = DDIMScheduler(**SCALED)
    scheduler.set_timesteps(STEPS)
    x = noise(2)
    for i, t in enumerate(scheduler.timesteps):
        at = torch.full((2,), float(t))
        eps = network(x, at, words("p", 2))
        bar, after = scheduler.alphas_cumprod[t], scheduler.alphas_cumprod[max(int(t) - 1000 // STEPS, 0)]
        x0 = ((x - (1 - bar).sqrt() * eps) / bar.sqrt()).detach().requires_grad_()
        losses = [clip_loss(s, "a rose", d, 4) for s, d in zip(x0, draws(2, i), strict=True)]
        x0 = x0.detach() - 100 * torch.autograd.grad(torch.stack(losses).sum(), x0)[0]
        x = after.sqrt() * x0 + (1 - after).sqrt() * eps
    toy = Steered(schedule=Schedule.from_config(SCALED))
    request = Request("p", sampler="ddim", steps=STEPS, guidance='mpgd("a rose")')
    assert_alike(toy, request, x0)


def test_dsg() -> None:
    """x = mean + sqrt(n)*sigma*d/|d|, d between the noise and the steepest descent (equations 10 and 11)."""
    scheduler = DDIMScheduler(**SCALED)
    scheduler.set_timesteps(STEPS)
    generator = Generator(0)
    x = torch.from_numpy(generator.normal((1, 3, SIDE, SIDE)))
    for i, t in enumerate(scheduler.timesteps):
        eps = network(x, torch.full((1,), float(t)), words("p", 1)).detach()
        bar, before = scheduler.alphas_cumprod[t], scheduler.alphas_cumprod[max(int(t) - 1000 // STEPS, 0)]
        x = x.detach().requires_grad_()
        x0 = (x - (1 - bar).sqrt() * eps) / bar.sqrt()
        grad = torch.autograd.grad(clip_loss(x0[0], "a rose", draws(1, i)[0], 4), x)[0]
        std = ((1 - before) / (1 - bar) * (1 - bar / before)).sqrt()
        x0, last = x0.detach(), x0.detach()
        mean = before.sqrt() * x0 + (1 - before - std**2).sqrt() * eps
        if i < STEPS - 1 or std > 0:
            z, n = torch.from_numpy(generator.normal((1, 3, SIDE, SIDE))), float(x.numel()) ** 0.5
            star = -n * std * grad / grad.norm()
            mixed = std * z + 0.1 * (star - std * z)
            x = mean + n * std * mixed / mixed.norm()
    toy = Steered(schedule=Schedule.from_config(SCALED))
    request = Request("p", sampler="ddim", eta=1, steps=STEPS, guidance='dsg("a rose")')
    assert_alike(toy, request, last)


def assert_alike(toy: Steered, request: Request, theirs: Tensor, tolerance: float = 3e-3) -> None:
    """Our last x0 against their last x, in which hardly any noise is left; unsteered it is elsewhere."""
    mine = ours(toy, request, len(theirs))
    cfg = "+".join(str(t) for t in request.terms.terms if isinstance(t, Cfg))
    plain = ours(toy, replace(request, guidance=cfg), len(theirs))
    assert float((mine - theirs).abs().max()) < tolerance * float(theirs.abs().max())
    assert float((mine - plain).abs().max()) > 5 * tolerance * float(theirs.abs().max())


TERMS = (
    'color("red", 300)',
    'clip("a rose", 20)',
    'cfg(4) + clip("a cat", effect=0.1, cutouts=2, every=2)',
    'cfg(2) + clip-sd("a rose", 30)',
    'gyre("a dog", 0.1)',
    'color("#19e680", effect=0.05) + clip("a fox", effect=0.02, start=0.5)',
    "cfg(3)",
    "none",
    'mpgd("a tree") + cfg(5, stop=0.5)',
    'clip("a rose", effect=0.1, through="unet")',
    'mix("b", 2) + cfg(3) + color("blue", 200, update="x0")',
    'mix("b", 0.5) + cfg(0.5)',
)
MANY = [
    Request("p", seed=i, steps=3 + i % 4, sampler=("ddim", "euler", "dpmpp-2m", "lms")[i % 4], guidance=g)
    for i, g in enumerate(TERMS + TERMS[:4])
]


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_sixteen_mixed_requests_are_the_same_alone(mode: Any) -> None:
    def pixels(futures: list[Any]) -> list[NDArray[np.uint8]]:
        return [np.asarray(f.result().image) for f in futures]

    with Engine(Steered(), mode) as engine:
        together = pixels(engine.submit_all(MANY))
    alone = []
    for request in MANY:
        with Engine(Steered(), mode) as engine:
            alone += pixels([engine.submit(request)])
    worst = max(int(np.abs(a.astype(int) - b).max()) for a, b in zip(together, alone, strict=True))
    assert worst <= (0 if mode == "exact" else 2)
    unsteered = [np.asarray(p.image) for p in made(replace(r, guidance="cfg(3)") for r in MANY)]
    steered = [a.tobytes() != b.tobytes() for a, b in zip(unsteered, together, strict=True)]
    assert sum(steered) >= len(MANY) - 1  # the comparison is of pictures that the terms change


def made(requests: Any) -> list[Picture]:
    with Engine(Steered()) as engine:
        return [f.result() for f in engine.submit_all(list(requests))]


def test_one_call_for_all_terms_of_a_tick() -> None:
    toy = Steered()
    with Engine(toy) as engine:
        for future in engine.submit_all(
            [Request("p", steps=5, seed=i, guidance='clip("x", 1)') for i in range(8)]
        ):
            future.result()
    assert toy.pulls == 5


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_a_sick_term_fails_its_own_request_only(mode: Any) -> None:
    def fault(job: LossQuery) -> None:
        if isinstance(job.term, Clip) and job.term.text == "raises":
            raise ValueError("no gradient here")

    healthy = [Request("p", steps=4, seed=i, guidance='clip("x", 9)') for i in range(3)]
    sick = [Request("p", steps=4, guidance=f'clip("{text}", 1, start=0.5)') for text in ("raises", "nan")]
    with Engine(Steered(fault=fault, nan="nan"), mode) as engine:
        futures = engine.submit_all([healthy[0], sick[0], healthy[1], sick[1], healthy[2]])
        with pytest.raises(
            MezzotintError, match=r'step 3 of 4 .*clip\("raises".*ValueError: no gradient here'
        ):
            futures[1].result()
        with pytest.raises(MezzotintError, match=r'step 3 of 4 .*clip\("nan".* gave NaN'):
            futures[3].result()
        mixed = [np.asarray(futures[i].result().image) for i in (0, 2, 4)]
    with Engine(Steered(), mode) as engine:
        expected = [np.asarray(f.result().image) for f in engine.submit_all(healthy)]
    assert all(np.array_equal(a, b) for a, b in zip(mixed, expected, strict=True))


def test_the_ledger_tells_what_was_done() -> None:
    guidance = 'cfg(4) + color("red", effect=0.07) + clip("a rose", 5, start=0.5)'
    picture = made([Request("p", steps=6, guidance=guidance)])[0]
    color = [e for e in picture.ledger if e.term.startswith("color")]
    clip = [e for e in picture.ledger if e.term.startswith("clip")]
    assert [e.step for e in color] == [0, 1, 2, 3, 4, 5]
    assert [e.step for e in clip] == [3, 4, 5]
    assert all(e.moved == pytest.approx(0.07, rel=1e-4) for e in color)
    assert color[-1].loss < color[0].loss
    assert all(e.cosine is not None and -1 <= e.cosine <= 1 for e in picture.ledger)
    assert set(picture.provenance.steering.values()) == {"decoder none"}
    assert made([Request("p", steps=2, guidance='clip("x", 1)')])[0].ledger[0].cosine is None


def test_equal_effects_move_equally_whatever_the_update() -> None:
    for update in ("x", "x0", "eps"):
        for through in ("x0", "unet"):
            term = f'clip("a rose", effect=0.03, update="{update}", through="{through}")'
            ledger = made([Request("p", steps=4, guidance=term)])[0].ledger
            assert [e.moved for e in ledger] == pytest.approx([0.03] * 4, rel=1e-3)


def test_color_moves_the_color() -> None:
    plain, green = made(Request("p", steps=12, guidance=g) for g in ("none", 'color("#00ff00", effect=0.2)'))
    means = [np.asarray(p.image, float).mean((0, 1)) for p in (plain, green)]
    distance = [float(np.abs(m - (0, 255, 0)).mean()) for m in means]
    assert distance[1] < distance[0] / 2


def test_turned_noise_keeps_its_radius() -> None:
    z, g = (np.random.default_rng(i).standard_normal(5000).astype(np.float32) for i in (0, 1))
    new = rotate_noise(z, [(0.3, g)])
    assert np.linalg.norm(new) == pytest.approx(5000**0.5, rel=1e-5)
    assert new @ g > z @ g
    assert np.array_equal(rotate_noise(z, []), z)


def test_adaptive_guidance_frees_its_row() -> None:
    """Once the two predictions agree, the row without the prompt is computed no more; each picture for itself."""

    def rows(guidance: str) -> int:
        toy = Toy(schedule=schedule("epsilon"))
        with Engine(toy) as engine:
            engine.submit(Request("p", steps=8, guidance=guidance)).result()
        return sum(asked for asked, _ in toy.calls)

    assert rows("cfg(4)") == 16
    assert 8 < rows("cfg(4, adaptive=0.9)") < 16
    assert rows("cfg(4, adaptive=1)") == 16


def test_what_cannot_be_steered_is_refused_at_the_door() -> None:
    with Engine(Toy()) as engine, pytest.raises(ModelError, match="toy cannot be steered"):
        engine.submit(Request("p", guidance='clip("x", 1)'))
    with Engine(Steered()) as engine:
        with pytest.raises(ModelError, match="no image-text pair 'nothing'"):
            engine.submit(Request("p", guidance='clip("x", 1, model="nothing")'))
        with pytest.raises(RequestError, match="dpmpp-2m adds none; take ddpm"):
            engine.submit(Request("p", guidance='dsg("x")'))
        with pytest.raises(RequestError, match="acts on no step of 4"):
            Request("p", steps=4, guidance='clip("x", 1, start=0.99)')
