"""DDIM and the ancestral step of DDPM."""

from __future__ import annotations

import numpy as np

from mezzotint.samplers.table import Levels, UpdateTable, basis, table
from mezzotint.schedule import Floats


def ddim(levels: Levels, eta: float = 0.0) -> UpdateTable:
    """DDIM, Song et al. 2020 (2010.02502), equations 12 and 16. Guidance moves x0, not the direction eps."""
    x, x0, raw = basis(1)
    eps = (x - levels.alpha * raw) / levels.sigma
    std = eta * _posterior_std(levels)
    direction = np.sqrt(np.maximum(levels.sigma_next**2 - std**2, 0)) * eps
    return table(len(levels), levels.alpha_next * x0 + direction, noise_std=std)


def ancestral(levels: Levels, large: bool = False) -> UpdateTable:
    """DDPM, Ho et al. 2020 (2006.11239), equations 6 and 7, for any alpha, sigma (2107.00630, appendix A).

    In ve coordinates the same lines are k-diffusion's Euler ancestral. `large`: DDPM's upper variance.
    """
    x, x0, _ = basis(1)
    ratio = levels.alpha / levels.alpha_next
    beta = levels.sigma**2 - ratio**2 * levels.sigma_next**2
    mean = (levels.alpha_next * beta * x0 + ratio * levels.sigma_next**2 * x) / levels.sigma**2
    std = np.sqrt(np.maximum(beta, 0)) * (levels.sigma_next > 0) if large else _posterior_std(levels)
    return table(len(levels), mean, noise_std=std)


def _posterior_std(levels: Levels) -> Floats:
    """(N, 1) the noise that keeps the marginals: sigma' * sqrt(1 - (alpha*sigma'/(alpha'*sigma))^2)."""
    kept = levels.alpha * levels.sigma_next / (levels.alpha_next * levels.sigma)
    return levels.sigma_next * np.sqrt(np.maximum(1 - kept**2, 0))
