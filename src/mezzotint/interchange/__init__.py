"""What other tools call things: samplers, schedules and markup in prompts, in one place for reading and writing."""

from mezzotint.interchange.samplers import SamplerMatch, SpacingMatch, find_sampler, find_spacing

__all__ = ["SamplerMatch", "SpacingMatch", "find_sampler", "find_spacing"]
