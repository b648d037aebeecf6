"""The rows over training steps; where the shortcut of our last block makes the work unequal to a
peer's, a second row leaves it out."""

from __future__ import annotations

from benchmarks.table import ANYWHERE, Row, Target, paired

PEFT, HF, BOOK = ("peft",), ("peft", "transformers"), ("llms-from-scratch",)

GPT2, HELD = "PEFT on GPT-2", "PEFT on GPT-2, held in bf16"
ON_GPT2 = "PEFT on Hugging Face's GPT-2"
HELD_GPT2 = f"{ON_GPT2} loaded in bf16, bf16"
ONE_A, ALL_TOKENS = "ours, one A", "ours, one A, all tokens"
OUR_STEP, THE_SAME = "our LoRA step", "the same, our last block for all tokens too"
BASE_ALONE = "the frozen base alone, forward and backward"
S, S_BF16, B, B_BF16 = "steps S", "steps S, bf16", "steps B", "steps B, bf16"
FULL = "our full fine-tuning step"


def _gpt2(race: str, precision: str, *, all_tokens: bool = False, fp32: str = "") -> Row:
    """Our LoRA step over PEFT's on Hugging Face's GPT-2; without the shortcut, without a target."""
    size = race.split()[1].rstrip(",")
    what = f"{size}: {THE_SAME if all_tokens else OUR_STEP} / {ON_GPT2}, {precision}"
    limit, target = ("–", ANYWHERE) if all_tokens else ("~0.7", Target(high=0.70))
    top = ALL_TOKENS if all_tokens else ONE_A
    return paired(race, top, GPT2, what, limit, target, HF, fp32)


STEP_ROWS = {
    "step_full_B": paired(
        B, "ours", "full", f"B: {OUR_STEP}, fused / {FULL}", "0.70 by FLOPs", Target(high=0.74)
    ),
    "step_full_readable_B": paired(
        B, "ours, readable", "full", f"B: {OUR_STEP}, readable / {FULL}", "0.70 by FLOPs"
    ),
    "step_readable_B": paired(B, "ours", "ours, readable", f"B: {OUR_STEP}, fused / readable"),
    "step_peft_S": paired(
        S, "ours", "PEFT", f"S: {OUR_STEP} / PEFT on our GPT", "~0.8", Target(high=0.82), PEFT
    ),
    "step_peft_B": paired(
        B, "ours", "PEFT", f"B: {OUR_STEP} / PEFT on our GPT", "~0.8", Target(high=0.82), PEFT
    ),
    "step_shared_S": paired(
        S, "what all share", "PEFT", f"S: {BASE_ALONE} / PEFT on our GPT", peers=PEFT
    ),
    "step_shared_B": paired(
        B, "what all share", "PEFT", f"B: {BASE_ALONE} / PEFT on our GPT", peers=PEFT
    ),
    "step_gpt2_S": _gpt2(S, "fp32"),
    "step_gpt2_all_S": _gpt2(S, "fp32", all_tokens=True),
    "step_gpt2_B": _gpt2(B, "fp32"),
    "step_gpt2_all_B": _gpt2(B, "fp32", all_tokens=True),
    "step_gpt2_S_bf16": _gpt2(S_BF16, "bf16", fp32="step_gpt2_S"),
    "step_gpt2_all_S_bf16": _gpt2(S_BF16, "bf16", all_tokens=True, fp32="step_gpt2_all_S"),
    "step_held_S_bf16": paired(
        S_BF16, ONE_A, HELD, f"S: {OUR_STEP} / {HELD_GPT2}", peers=HF, fp32="step_gpt2_S"
    ),
    "step_gpt2_B_bf16": _gpt2(B_BF16, "bf16", fp32="step_gpt2_B"),
    "step_gpt2_all_B_bf16": _gpt2(B_BF16, "bf16", all_tokens=True, fp32="step_gpt2_all_B"),
    "step_held_B_bf16": paired(
        B_BF16, ONE_A, HELD, f"B: {OUR_STEP} / {HELD_GPT2}", peers=HF, fp32="step_gpt2_B"
    ),
    "step_appendix_B": paired(
        B,
        "ours",
        "appendix",
        f"B: {OUR_STEP} / the appendix's, same maths, fp32",
        "~0.8",
        Target(high=0.85),
        BOOK,
    ),
    "step_appendix_all_B": paired(
        B,
        "ours, all tokens",
        "appendix",
        f"B: {THE_SAME} / the appendix's, same maths, fp32",
        peers=BOOK,
    ),
}
