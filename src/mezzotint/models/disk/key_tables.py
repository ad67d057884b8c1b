"""The keys that diffusers and transformers write into the configs of a model: one table for each kind of file."""

from __future__ import annotations

from mezzotint.config_keys import KeyTable

_SD = "Stable Diffusion 1.x/2.x"
_DDPM = "DDPM"
_TRAINING = "of training"
_OF_AVERAGE = "decay inv_gamma min_decay optimization_step power update_after_step use_ema_warmup"
_AVERAGE = dict.fromkeys(
    _OF_AVERAGE.split(),
    "of the moving average of training, which diffusers' EMAModel writes there",
)
_CLASSES = "a model that is conditioned on classes, and a request has none"
_CONDITIONED = {"class_embed_type": _CLASSES, "num_class_embeds": _CLASSES}

UNET = KeyTable(
    family=_SD,
    used=frozenset(
        {
            "attention_head_dim",
            "block_out_channels",
            "cross_attention_dim",
            "down_block_types",
            "flip_sin_to_cos",
            "freq_shift",
            "in_channels",
            "layers_per_block",
            "mid_block_type",
            "norm_eps",
            "norm_num_groups",
            "out_channels",
            "sample_size",
            "transformer_layers_per_block",
            "up_block_types",
        }
    ),
    only={
        "_class_name": ("UNet2DConditionModel",),
        "act_fn": ("silu",),
        "addition_embed_type": (None,),
        "attention_type": ("default",),
        "center_input_sample": (False,),
        "class_embed_type": (None,),
        "class_embeddings_concat": (False,),
        "conv_in_kernel": (3,),
        "conv_out_kernel": (3,),
        "cross_attention_norm": (None,),
        "downsample_padding": (1,),
        "dual_cross_attention": (False,),
        "encoder_hid_dim": (None,),
        "encoder_hid_dim_type": (None,),
        "mid_block_only_cross_attention": (None, False),
        "mid_block_scale_factor": (1,),
        "mid_block_type": ("UNetMidBlock2DCrossAttn", None),
        "num_attention_heads": (None,),
        "num_class_embeds": (None,),
        "only_cross_attention": (False,),
        "resnet_out_scale_factor": (1,),
        "resnet_skip_time_act": (False,),
        "resnet_time_scale_shift": ("default",),
        "reverse_transformer_layers_per_block": (None,),
        "time_cond_proj_dim": (None,),
        "time_embedding_act_fn": (None,),
        "time_embedding_dim": (None,),
        "time_embedding_type": ("positional",),
        "timestep_post_act": (None,),
    },
    without_effect={
        **_AVERAGE,
        "addition_embed_type_num_heads": "read with addition_embed_type alone, which is refused",
        "addition_time_embed_dim": "read with addition_embed_type alone",
        "dropout": _TRAINING,
        "projection_class_embeddings_input_dim": "read with class_embed_type alone, which is refused",
        "upcast_attention": "torch follows it; graphs are tested in each precision before they draw",
        "use_linear_projection": "a linear layer and a convolution of size 1 hold the same numbers",
    },
    reasons={
        **_CONDITIONED,
        "addition_embed_type": "as in Stable Diffusion XL",
        "encoder_hid_dim_type": "states of another encoder",
        "time_cond_proj_dim": "a model distilled for few steps",
    },
)

PIXEL_UNET = KeyTable(
    family=_DDPM,
    used=frozenset(
        {
            "add_attention",
            "attention_head_dim",
            "attn_norm_num_groups",
            "block_out_channels",
            "down_block_types",
            "downsample_padding",
            "flip_sin_to_cos",
            "freq_shift",
            "in_channels",
            "layers_per_block",
            "norm_eps",
            "norm_num_groups",
            "out_channels",
            "sample_size",
            "up_block_types",
        }
    ),
    only={
        "act_fn": ("silu",),
        "add_attention": (True, False),
        "center_input_sample": (False,),
        "class_embed_type": (None,),
        "downsample_padding": (0, 1),
        "downsample_type": ("conv",),
        "mid_block_scale_factor": (1,),
        "mid_block_type": ("UNetMidBlock2D",),
        "num_class_embeds": (None,),
        "resnet_time_scale_shift": ("default",),
        "time_embedding_dim": (None,),
        "time_embedding_type": ("positional",),
        "upsample_type": ("conv",),
    },
    without_effect={
        **_AVERAGE,
        "dropout": _TRAINING,
        "num_train_timesteps": "of the learned embeddings of time, which are refused; the scheduler says its own",
    },
    reasons=_CONDITIONED,
)

VAE = KeyTable(
    family=_SD,
    used=frozenset(
        {
            "block_out_channels",
            "down_block_types",
            "force_upcast",
            "in_channels",
            "latent_channels",
            "layers_per_block",
            "norm_num_groups",
            "out_channels",
            "scaling_factor",
            "up_block_types",
            "use_post_quant_conv",
            "use_quant_conv",
        }
    ),
    only={
        "_class_name": ("AutoencoderKL",),
        "act_fn": ("silu",),
        "latents_mean": (None,),
        "latents_std": (None,),
        "mid_block_add_attention": (True,),
        "shift_factor": (None, 0),
    },
    without_effect={
        **_AVERAGE,
        "sample_size": "the denoiser's decides the size of pictures; of an autoencoder alone it is the usual size",
    },
)

VQ = KeyTable(
    family="latent diffusion",
    used=frozenset(
        {
            "block_out_channels",
            "down_block_types",
            "latent_channels",
            "layers_per_block",
            "num_vq_embeddings",
            "scaling_factor",
            "up_block_types",
            "vq_embed_dim",
        }
    ),
    only={
        "act_fn": ("silu",),
        "lookup_from_codebook": (False,),
        "mid_block_add_attention": (True,),
        "norm_type": ("group",),
    },
    without_effect={
        **_AVERAGE,
        "force_upcast": "it is computed in float32",
        "in_channels": "diffusers' own module follows it",
        "norm_num_groups": "diffusers' own module follows it",
        "out_channels": "diffusers' own module follows it",
        "sample_size": "the usual size of pictures, any other serves too",
    },
)

TEXT_ENCODER = KeyTable(
    family=_SD,
    used=frozenset(
        {
            "hidden_act",
            "hidden_size",
            "intermediate_size",
            "layer_norm_eps",
            "max_position_embeddings",
            "num_attention_heads",
            "num_hidden_layers",
            "vocab_size",
        }
    ),
    only={
        "hidden_act": ("quick_gelu", "gelu"),
        "model_type": ("clip_text_model", "clip"),
        "use_attention_mask": (None, False),
    },
    without_effect={
        **dict.fromkeys(
            (
                "attention_dropout",
                "dropout",
                "gradient_checkpointing",
                "initializer_factor",
                "initializer_range",
                "problem_type",
            ),
            _TRAINING,
        ),
        **dict.fromkeys(
            ("bos_token_id", "decoder_start_token_id", "eos_token_id", "pad_token_id", "sep_token_id"),
            "the tokenizer's own are read",
        ),
        **dict.fromkeys(
            (
                "bad_words_ids",
                "begin_suppress_tokens",
                "diversity_penalty",
                "do_sample",
                "early_stopping",
                "encoder_no_repeat_ngram_size",
                "exponential_decay_length_penalty",
                "forced_bos_token_id",
                "forced_eos_token_id",
                "length_penalty",
                "max_length",
                "min_length",
                "no_repeat_ngram_size",
                "num_beam_groups",
                "num_beams",
                "num_return_sequences",
                "output_scores",
                "remove_invalid_values",
                "repetition_penalty",
                "return_dict_in_generate",
                "suppress_tokens",
                "temperature",
                "top_k",
                "top_p",
                "typical_p",
            ),
            "of writing text, which every config of transformers before 5 holds",
        ),
        **dict.fromkeys(
            (
                "add_cross_attention",
                "chunk_size_feed_forward",
                "cross_attention_hidden_size",
                "is_decoder",
                "is_encoder_decoder",
                "tie_encoder_decoder",
                "tie_word_embeddings",
            ),
            "of other networks of transformers; CLIP does not read it",
        ),
        **dict.fromkeys(
            ("output_attentions", "output_hidden_states", "return_dict", "torchscript", "use_cache"),
            "of what a call returns",
        ),
        **dict.fromkeys(("dtype", "torch_dtype", "use_bfloat16", "tf_legacy_loss"), "the file's own is read"),
        **dict.fromkeys(
            ("finetuning_task", "id2label", "label2id", "num_labels", "prefix", "task_specific_params"),
            "of labels",
        ),
        "architectures": "model_index.json names the class",
        "projection_dim": "of a projection that a CLIPTextModel does not have",
        "pruned_heads": "CLIP has none",
        "tokenizer_class": "the tokenizer's own file names it",
        "transformers_version": "who wrote the file",
    },
)

_UNREAD = {
    "feature_extractor": "reads pictures for the safety checker and the image encoder",
    "image_encoder": "of an IP-Adapter, which a request has not",
    "requires_safety_checker": "of the safety checker",
    "safety_checker": "pictures are not judged here",
}
TEXT_TO_IMAGE_INDEX = KeyTable(
    family=_SD,
    used=frozenset({"scheduler", "text_encoder", "tokenizer", "unet", "vae"}),
    only={},
    without_effect=_UNREAD,
)
PIXEL_INDEX = KeyTable(family=_DDPM, used=frozenset({"scheduler", "unet"}), only={}, without_effect={})
