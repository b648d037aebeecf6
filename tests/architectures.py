"""Small random models of transformers, one for each way in which architectures differ.

What is small: two layers, hidden width 16 or 32, a vocabulary of 64. Each entry says which model
class it is, with which configuration, and what it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor, nn

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

VOCABULARY = 64
SEED = 20261128


def text() -> dict[str, Tensor]:
    return {"input_ids": torch.arange(2, 16).view(2, 7)}


def pair() -> dict[str, Tensor]:
    return {**text(), "decoder_input_ids": torch.arange(20, 30).view(2, 5)}


def image() -> dict[str, Tensor]:
    return {"pixel_values": torch.linspace(-1, 1, 2 * 3 * 16 * 16).sin().view(2, 3, 16, 16)}


def image_and_text() -> dict[str, Tensor]:
    return {**text(), **image()}


def waves() -> dict[str, Tensor]:
    return {"input_values": torch.linspace(0, 90, 2 * 400).sin().view(2, 400)}


def spectrogram() -> dict[str, Tensor]:
    features = torch.linspace(0, 90, 2 * 8 * 20).sin().view(2, 8, 20)
    return {"input_features": features, "decoder_input_ids": pair()["decoder_input_ids"]}


@dataclass(frozen=True)
class Architecture:
    """A model class, a configuration and an input.

    Args:
        model: The class's name in transformers.
        settings: What its configuration is given.
        inputs: Makes what the model is called with.
        unused: Part of the names of layers on which nothing depends that the model gives.
        not_in_peft: Ends of names of layers that PEFT refuses to adapt, or adapts in vain: where
            a model reads a layer's weight, PEFT gives it the base's.
    """

    model: str
    settings: dict[str, Any]
    inputs: Any = text
    unused: str | None = None
    not_in_peft: tuple[str, ...] = ()

    def make(self) -> nn.Module:
        """Returns the same random model at each call, in eval mode."""
        kind = getattr(transformers, self.model)
        torch.manual_seed(SEED)
        model = kind(kind.config_class(**self.settings)).eval()
        generator = torch.Generator().manual_seed(SEED)
        for parameter in model.parameters():  # biases and norms too; 0.02 would hide mistakes
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data += 0.1 * noise.to(parameter.dtype)
        return model


GPT = {"vocab_size": VOCABULARY, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
LLAMA = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
}
BERT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 32,
}
T5 = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 2,
    "num_heads": 2,
    "decoder_start_token_id": 0,
}
BART = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "vocab_size": VOCABULARY,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "decoder_start_token_id": 1,
}
MAMBA = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "state_size": 4,
    "num_hidden_layers": 2,
    "time_step_rank": 4,
}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}

ALL = {
    # Decoders.
    "GPT-2": Architecture("GPT2LMHeadModel", GPT),
    "GPT-2, own head": Architecture("GPT2LMHeadModel", {**GPT, "tie_word_embeddings": False}),
    "GPT-J": Architecture("GPTJForCausalLM", {**GPT, "rotary_dim": 4}),
    "GPT-NeoX": Architecture("GPTNeoXForCausalLM", BERT),
    "Llama": Architecture("LlamaForCausalLM", LLAMA),
    "Llama, tied": Architecture("LlamaForCausalLM", {**LLAMA, "tie_word_embeddings": True}),
    "Qwen2": Architecture("Qwen2ForCausalLM", LLAMA),
    "Mistral": Architecture("MistralForCausalLM", LLAMA),
    "Mixtral": Architecture("MixtralForCausalLM", {**LLAMA, "num_local_experts": 4}),
    "Gemma": Architecture("GemmaForCausalLM", {**LLAMA, "head_dim": 4}),
    "Phi": Architecture("PhiForCausalLM", LLAMA),
    "Falcon": Architecture(
        "FalconForCausalLM",
        {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2}
        | {"num_attention_heads": 2, "bos_token_id": 1, "eos_token_id": 1},
    ),
    "BLOOM": Architecture(
        "BloomForCausalLM",
        {"vocab_size": VOCABULARY, "hidden_size": 16, "n_layer": 2, "n_head": 2},
    ),
    "OPT": Architecture(
        "OPTForCausalLM",
        {**BERT, "ffn_dim": 32, "word_embed_proj_dim": 8},
    ),
    # Encoders.
    "BERT": Architecture("BertForMaskedLM", BERT),
    "BERT, classifier": Architecture("BertForSequenceClassification", BERT),
    "RoBERTa": Architecture("RobertaForSequenceClassification", BERT),
    "DistilBERT": Architecture(
        "DistilBertForSequenceClassification",
        {"vocab_size": VOCABULARY, "dim": 16, "hidden_dim": 32, "n_layers": 2, "n_heads": 2},
    ),
    "ALBERT": Architecture("AlbertForMaskedLM", {**BERT, "embedding_size": 8}),
    "ELECTRA": Architecture("ElectraForPreTraining", {**BERT, "embedding_size": 8}),
    "DeBERTa": Architecture(
        "DebertaForSequenceClassification",
        {**BERT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    ),
    "DeBERTa-v2": Architecture(
        "DebertaV2ForSequenceClassification",
        {**BERT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    ),
    # Encoders with a decoder.
    "BART": Architecture("BartForConditionalGeneration", BART, pair),
    "T5": Architecture("T5ForConditionalGeneration", T5, pair),
    "mT5": Architecture("MT5ForConditionalGeneration", T5, pair),
    "UMT5": Architecture("UMT5ForConditionalGeneration", T5, pair),
    # Images and sound.
    "ViT": Architecture("ViTForImageClassification", VISION, image),
    "CLIP": Architecture(
        "CLIPModel",
        {
            "text_config": {**BERT, "eos_token_id": 15, "projection_dim": 16},
            "vision_config": {**VISION, "projection_dim": 16},
            "projection_dim": 16,
        },
        image_and_text,
    ),
    "Whisper": Architecture(
        "WhisperForConditionalGeneration",
        {**BART, "num_mel_bins": 8, "max_source_positions": 10, "max_target_positions": 16},
        spectrogram,
    ),
    "Wav2Vec2": Architecture(
        "Wav2Vec2ForCTC",
        {
            **BERT,
            "conv_dim": (8, 8),
            "conv_kernel": (10, 8),
            "conv_stride": (5, 4),
            "num_feat_extract_layers": 2,
            "num_conv_pos_embedding_groups": 2,
            "num_conv_pos_embeddings": 4,
            "apply_spec_augment": False,
        },
        waves,
    ),
    "SAM": Architecture(
        "SamModel",
        {
            "vision_config": {**VISION, "output_channels": 16, "num_pos_feats": 8, "mlp_dim": 32}
            | {"window_size": 2, "global_attn_indexes": [1]},
            "prompt_encoder_config": {"hidden_size": 16, "image_size": 16, "patch_size": 8}
            | {"mask_input_channels": 4},
            "mask_decoder_config": {"hidden_size": 16, "mlp_dim": 32, "num_hidden_layers": 2}
            | {"num_attention_heads": 2, "iou_head_hidden_dim": 16},
        },
        image,
        unused="output_hypernetworks_mlps.0.",  # makes one mask; the model gives the other three
    ),
    # State spaces and recurrences.
    "Mamba": Architecture("MambaForCausalLM", MAMBA, not_in_peft=("out_proj", "dt_proj")),
    "Mamba2": Architecture(
        "Mamba2ForCausalLM",
        {**MAMBA, "num_heads": 4, "head_dim": 8, "n_groups": 2, "chunk_size": 4},
        not_in_peft=("out_proj",),
    ),
    "FalconMamba": Architecture(
        "FalconMambaForCausalLM", MAMBA, not_in_peft=("out_proj", "dt_proj")
    ),
    "RWKV": Architecture(
        "RwkvForCausalLM",
        {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "rescale_every": 0},
    ),
    "RecurrentGemma": Architecture(
        "RecurrentGemmaForCausalLM",
        {
            **LLAMA,
            "lru_width": 16,
            "attention_window_size": 8,
            "block_types": ["recurrent", "attention"],
        },
    ),
    "xLSTM": Architecture(
        "xLSTMForCausalLM",
        {"vocab_size": VOCABULARY, "hidden_size": 32, "num_blocks": 2, "num_heads": 2}
        | {"qk_dim_factor": 1.0, "use_cache": False},
    ),
    "Jamba": Architecture(
        "JambaForCausalLM",
        {**LLAMA, "num_experts": 2, "mamba_dt_rank": 4, "attn_layer_period": 2}
        | {"attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1},
        not_in_peft=("dt_proj",),
    ),
}
