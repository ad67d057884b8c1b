"""ComfyUI's graph: node -> class_type and inputs, where a link is [node, slot]. The usual graphs are followed.

From what is saved back to the sampler, and from there to its prompts, its model and its first latents.
"""

from __future__ import annotations

from typing import Any

from mezzotint.errors import DataError
from mezzotint.interchange.prompts import COMFYUI
from mezzotint.recall.recipe import Draft, Lora, number_of, parse_object, text_of

SAMPLERS = ("KSampler", "KSamplerAdvanced")
_LOADERS = ("CheckpointLoaderSimple", "CheckpointLoader", "UNETLoader", "unCLIPCheckpointLoader")
_VALUES = ("value", "text", "string", "int", "float", "Text", "seed", "prompt")
_DEEPEST = 100  # links that are followed one after the other
_MOST_NODES = 10_000


class Graph:
    """The nodes of a graph, whatever the file says of them."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.nodes = {key: node for key, node in list(data.items())[:_MOST_NODES] if _is_node(node)}

    def link(self, node: dict[str, Any], name: str) -> dict[str, Any] | None:
        """The node that an input comes from, through reroutes."""
        return self._at(node["inputs"].get(name), _DEEPEST)

    def _at(self, value: object, left: int) -> dict[str, Any] | None:
        if not (isinstance(value, list) and len(value) == 2 and left):
            return None
        node = self.nodes.get(str(value[0]))
        if node is not None and "reroute" in node["class_type"].lower():
            return next(
                (self._at(one, left - 1) for one in node["inputs"].values() if isinstance(one, list)), None
            )
        return node

    def value(self, node: dict[str, Any], name: str, left: int = _DEEPEST) -> object:
        """A number or text, also where another node holds it."""
        value = node["inputs"].get(name)
        if not isinstance(value, list):
            return value
        held = self.link(node, name)
        if held is None or not left:
            return None
        return next((self.value(held, key, left - 1) for key in _VALUES if key in held["inputs"]), None)


def read(text: str) -> Draft:
    """A draft from the text `prompt`. DataError where no usual sampler is in it."""
    graph, draft = Graph(parse_object(text)), Draft("ComfyUI")
    sampler = _first_sampler(graph, draft)
    _read_sampler(graph, sampler, draft)
    positive = _prompt(graph, sampler, "positive", draft)
    draft.prompts(positive, _prompt(graph, sampler, "negative", draft), COMFYUI)
    _read_models(graph, sampler, draft)
    _read_latents(graph, sampler, draft)
    return draft


def _is_node(node: object) -> bool:
    return (
        isinstance(node, dict)
        and isinstance(node.get("class_type"), str)
        and isinstance(node.get("inputs"), dict)
    )


def _first_sampler(graph: Graph, draft: Draft) -> dict[str, Any]:
    """The sampler that what is saved comes from; where one samples after another, the first."""
    ends = [node for node in graph.nodes.values() if node["class_type"] in ("SaveImage", "PreviewImage")]
    samplers = [node for node in graph.nodes.values() if node["class_type"] in SAMPLERS]
    last = next((found for end in ends if (found := _before(graph, end))), None) or next(iter(samplers), None)
    if last is None:
        raise DataError(f"its graph has no {' or '.join(SAMPLERS)}; other samplers are not read")
    for _ in range(_DEEPEST):
        earlier = _before(graph, last)
        if earlier is None or earlier is last:
            break
        draft.unknown.append("a second sampler after the first is not repeated")
        last = earlier
    return last


def _before(graph: Graph, node: dict[str, Any]) -> dict[str, Any] | None:
    """The sampler that a node's picture or latents come from."""
    at: dict[str, Any] | None = node
    for _ in range(_DEEPEST):
        if at is None:
            return None
        names = ("images", "image", "samples", "pixels", "latent_image", "latent")
        at = next((found for name in names if at and (found := graph.link(at, name))), None)
        if at is not None and at["class_type"] in SAMPLERS:
            return at
    return None


def _read_sampler(graph: Graph, node: dict[str, Any], draft: Draft) -> None:
    steps = number_of(graph.value(node, "steps"))
    draft.whole("steps", graph.value(node, "steps"))
    draft.whole(
        "seed", graph.value(node, "noise_seed" if node["class_type"] == "KSamplerAdvanced" else "seed")
    )
    draft.scale(graph.value(node, "cfg"))
    draft.sampled_by(graph.value(node, "sampler_name"), graph.value(node, "scheduler"))
    if draft.fields.get("sampler") in ("dpmpp-2m-sde", "unipc", "lms"):
        draft.guessed.append(
            f"{draft.fields['sampler']} is drawn by our rule, which is not ComfyUI's to the bit"
        )
    if steps is None or "steps" not in draft.fields:
        return
    total, begin = int(steps), 0
    denoise = number_of(graph.value(node, "denoise"))
    if denoise is not None and 0 < denoise < 1:
        total = min(int(steps / denoise), 2000)
        begin = max(total - int(steps), 0)
    if (start := number_of(graph.value(node, "start_at_step"))) is not None:
        begin = int(max(start, 0))
    end = number_of(graph.value(node, "end_at_step"))
    if end is not None and end < total:
        draft.unknown.append(f"the end at step {end:g} is not repeated")
    if 0 < begin < total:
        draft.start = begin, total


def _prompt(graph: Graph, sampler: dict[str, Any], name: str, draft: Draft) -> object:
    """The text of a conditioning. What lies between is said, and passed by."""
    node = graph.link(sampler, name)
    for _ in range(_DEEPEST):
        if node is None:
            return None
        if node["class_type"].startswith("CLIPTextEncode"):
            return graph.value(node, "text" if "text" in node["inputs"] else "text_g")
        draft.unknown.append(f"{text_of(node['class_type'])[:60]} is not repeated")
        if node["class_type"] == "ConditioningZeroOut":
            return ""
        names = (name, "conditioning", "conditioning_1", "conditioning_to")
        node = next((found for key in names if node and (found := graph.link(node, key))), None)
    return None


def _read_models(graph: Graph, sampler: dict[str, Any], draft: Draft) -> None:
    node = graph.link(sampler, "model")
    for _ in range(_DEEPEST):
        if node is None:
            return
        kind = node["class_type"]
        if kind in _LOADERS:
            name = graph.value(node, "ckpt_name") or graph.value(node, "unet_name")
            draft.model = text_of(name)
            return
        if kind in ("LoraLoader", "LoraLoaderModelOnly"):
            _read_lora(graph, node, draft)
        else:
            draft.unknown.append(f"{text_of(kind)[:60]} is not repeated")
        node = graph.link(node, "model")


def _read_lora(graph: Graph, node: dict[str, Any], draft: Draft) -> None:
    weight = number_of(graph.value(node, "strength_model"))
    texts = number_of(graph.value(node, "strength_clip"))
    name = text_of(graph.value(node, "lora_name"))
    if name and weight is not None:
        draft.loras.append(Lora(name, weight))
        if texts not in (None, weight):
            draft.unknown.append(f"LoRA {name!r} weighs {texts:g} in the text encoder, which is not repeated")


def _read_latents(graph: Graph, sampler: dict[str, Any], draft: Draft) -> None:
    node = graph.link(sampler, "latent_image")
    for _ in range(_DEEPEST):
        if node is None:
            return
        if "Empty" in node["class_type"]:
            draft.size(graph.value(node, "width"), graph.value(node, "height"))
            draft.start = None  # a part of a run from no picture
            if (number_of(graph.value(node, "batch_size")) or 1) > 1:
                draft.guessed.append(
                    "the first picture of its batch: ComfyUI draws the noise of all from one seed"
                )
            return
        if node["class_type"].startswith("VAEEncode"):
            if node["class_type"] != "VAEEncode":
                draft.unknown.append("its mask: give it, --mask PICTURE")
            steps = draft.fields.get("steps", 25)
            draft.start = draft.start or (0, steps)
            return
        node = next((found for key in ("samples", "latent") if (found := graph.link(node, key))), None)
