"""Hands notebook 08's adapter to TRL and to llama.cpp: do they have the same model?

    python -m scripts.try_handover trl          # three minutes, with one thread
    python -m scripts.try_handover llama.cpp

Neither comes with the course: `pip install trl`, or `pip install llama-cpp-python`, which compiles
llama.cpp. So no test runs this, and DECISIONS.md says what came out. It prints what it measures and
ends with an error where that is too far off.
"""

from __future__ import annotations

import argparse
import tempfile
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from lora_edu.adapters import attach, load_adapter
from lora_edu.datasets import load_menu, prompt
from lora_edu.files import data_path
from lora_edu.generation import generate
from lora_edu.pretrained import bundled_gguf
from scripts.export_gguf import export_gguf, merged_model
from scripts.llm_tasks import NEW_TOKENS, TARGETS, base, fresh_model, loss_on, menu_rows
from scripts.train_llm_adapter import LR

ADAPTER = data_path("adapters", "smollm2_menu")
QUESTION = "What is the capital of France?"
STEPS, ROWS = 5, 8
MEANINGS = 3
FLOAT32_NOISE = 2e-4  # of logits up to 40
HALF_NOISE = 0.1  # llama.cpp has matrices, keys and values in float16


def expect(what: str, value: float, most: float) -> None:
    """Prints a value, and stops where it is too large."""
    print(f"{what}: {value:.2g}, at most {most:.2g}", flush=True)
    if not value <= most:  # nor is NaN
        raise SystemExit(f"{what}: {value:g} is more than {most:g}")


@torch.no_grad()
def logits_behind(model: nn.Module, ids: list[int]) -> Tensor:
    """The logits behind each token, (T, V)."""
    return model.eval()(torch.tensor([ids])).logits[0]


def try_trl(folder: Path) -> None:
    """TRL trains a new adapter, and goes on with the course's: each comes back as it was saved."""
    from datasets import Dataset
    from peft import LoraConfig, PeftModel
    from trl import SFTConfig, SFTTrainer

    print(f"TRL {version('trl')}, PEFT {version('peft')}, transformers {version('transformers')}")
    plain, encoding = base()
    pairs = load_menu().train
    ours = menu_rows().train
    rows = [{"prompt": prompt(pair.meaning), "completion": pair.sentence} for pair in pairs]
    settings = SFTConfig(
        output_dir=str(folder / "runs"),
        bf16=False,  # on a CPU, TRL refuses its own default
        learning_rate=LR,  # its own is 2e-5
        per_device_train_batch_size=ROWS,
        max_steps=STEPS,
        logging_steps=1,
        save_strategy="no",
    )
    fresh = {
        "model": plain.name_or_path,
        "peft_config": LoraConfig(r=8, lora_alpha=16, target_modules=list(TARGETS)),
    }
    onward = {"model": PeftModel.from_pretrained(fresh_model(), ADAPTER, is_trainable=True)}

    theirs = SFTTrainer(args=settings, train_dataset=Dataset.from_list(rows), **fresh).train_dataset
    odd = sum(
        a.token_ids != b["input_ids"][:-1] or a.target != b["labels"][1:]
        for a, b in zip(ours, theirs, strict=True)
    )
    expect(f"of {len(ours)} rows, those with other tokens or another mask", odd, 0)

    for name, how in {"new": fresh, "onward": onward}.items():
        model = fresh_model()
        if how is onward:
            attach(model, load_adapter(ADAPTER))
        before = loss_on(model, ours[:ROWS])
        trainer = SFTTrainer(args=settings, train_dataset=Dataset.from_list(rows[:ROWS]), **how)
        trainer.train()
        trainer.save_model(str(folder / name))
        first = trainer.state.log_history[0]["loss"]
        expect(f"{name}: TRL's first loss beside our {before:.4f}", abs(first - before), 1e-3)

        model = fresh_model()
        attach(model, load_adapter(folder / name))
        expect(f"{name}: loss with what it saved", loss_on(model, ours[:ROWS]), first / 2)
        peft = PeftModel.from_pretrained(fresh_model(), folder / name)
        ids = encoding.chat(QUESTION)
        off = (logits_behind(peft, ids) - logits_behind(model, ids)).abs().max()
        expect(f"{name}: logits, PEFT's beside ours", float(off), FLOAT32_NOISE)


def try_llama_cpp(folder: Path) -> None:
    """llama.cpp reads the merged model and writes what transformers writes, token for token."""
    import llama_cpp

    print(f"llama-cpp-python {version('llama-cpp-python')}")
    encoding, file = base()[1], folder / "menu.gguf"
    export_gguf(ADAPTER, file, bundled_gguf())
    ours = merged_model(ADAPTER, bundled_gguf())
    theirs = llama_cpp.Llama(str(file), n_ctx=512, logits_all=True, verbose=False)
    texts = [prompt(pair.meaning) for pair in load_menu().validation[:MEANINGS]]
    for text in (*texts, encoding.decode(encoding.chat(QUESTION))):
        ids = theirs.tokenize(text.encode(), special=True)
        own = encoding.tokenizer.encode(text, add_special_tokens=False)
        expect("\nprompts with other tokens", ids != own, 0)

        written = generate(ours, torch.tensor([ids]), NEW_TOKENS, stop_id=encoding.eot_token)
        expected = written[0, len(ids) :].tolist()
        print(text + encoding.decode(expected))
        answer = theirs.generate(ids, temp=0.0)
        answered = [token for token, _ in zip(answer, expected, strict=False)]
        expect("answers that differ", answered != expected, 0)

        theirs.reset()
        theirs.eval(written[0].tolist())
        scores = torch.tensor(theirs.scores[: written.shape[1]])
        off = (scores - logits_behind(ours, written[0].tolist())).abs().max()
        expect("logits, largest difference", float(off), HALF_NOISE)


TRIALS = {"trl": (try_trl, "trl"), "llama.cpp": (try_llama_cpp, "llama-cpp-python")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool", choices=TRIALS)
    trial, package = TRIALS[parser.parse_args().tool]
    try:
        with tempfile.TemporaryDirectory() as folder:
            trial(Path(folder))
    except ModuleNotFoundError as error:
        raise SystemExit(f"{error}; this needs `make llm` and `pip install {package}`") from error


if __name__ == "__main__":
    main()
