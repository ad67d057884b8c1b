"""The keys of peft's `adapter_config.json`: each is used, refused by name, or without effect on a merge."""

from __future__ import annotations

USED = (
    "peft_type",
    "r",
    "lora_alpha",
    "alpha",
    "alpha_pattern",
    "rank_pattern",
    "use_rslora",
    "use_dora",
)
# What changes the result and is not merged here.
REFUSED = frozenset(
    {
        "alora_invocation_tokens",
        "arrow_config",
        "fan_in_fan_out",
        "kasa_config",
        "layer_replication",
        "lora_bias",
        "monteclora_config",
        "target_parameters",
        "trainable_token_indices",
        "use_bdlora",
        "use_qalora",
        "velora_config",
    }
)
# Starts of `init_lora_weights` that change the model's own weights before training, so that the file alone is half.
CHANGES_MODEL = ("corda", "loftq", "lora_ga", "olora", "pissa")
_TENSORS, _TRAINING, _ORIGIN = "shows in the tensors", "of training", "says where it is from"
WITHOUT_EFFECT: dict[str, str] = {
    **dict.fromkeys(
        (
            "bias",
            "decompose_both",
            "decompose_factor",
            "exclude_modules",
            "layers_pattern",
            "layers_to_transform",
            "modules_to_save",
            "target_modules",
            "use_effective_conv2d",
        ),
        _TENSORS,
    ),
    **dict.fromkeys(
        (
            "ensure_weight_tying",
            "inference_mode",
            "init_weights",
            "lora_dropout",
            "megatron_config",
            "megatron_core",
            "module_dropout",
            "rank_dropout",
            "rank_dropout_scale",
            "runtime_config",
        ),
        _TRAINING,
    ),
    **dict.fromkeys(
        ("corda_config", "eva_config", "loftq_config", "lora_ga_config"),
        "read with init_lora_weights alone, of which those that change the model are refused",
    ),
    **dict.fromkeys(
        ("auto_mapping", "base_model_name_or_path", "peft_version", "revision", "task_type"), _ORIGIN
    ),
    "qalora_group_size": "read with use_qalora alone, which is refused",
}
KEYS = frozenset(USED) | {"init_lora_weights"} | REFUSED | WITHOUT_EFFECT.keys()
