"""Ways to spoil an adapter's files: thousands of different bad ones from a seed.

A kind of damage is a function of a folder and a random generator. `OURS` spoils an adapter as
`save_adapter` leaves it, `FOREIGN` one as PEFT does: without our hash, so that every check has to
stand on its own.
"""

from __future__ import annotations

import json
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from lora_edu.adapters.weights_file import CONFIG_NAME, WEIGHTS_NAME

Damage = Callable[[Path, random.Random], None]
RANK, WIDTH = 3, 32  # of the adapter that is spoilt
OURS: dict[str, Damage] = {}
FOREIGN: dict[str, Damage] = {}


def kind(*of: dict[str, Damage]) -> Callable[[Damage], Damage]:
    """Files a function under its name as a kind of damage."""

    def file(damage: Damage) -> Damage:
        for kinds in of:
            kinds[damage.__name__] = damage
        return damage

    return file


def changed(data: bytes, at: int, length: int, rng: random.Random) -> bytes:
    """Other bytes in the place of some: every one of them differs."""
    noise = bytes(byte ^ rng.randrange(1, 256) for byte in data[at : at + length])
    return data[:at] + noise + data[at + length :]


def edit_bytes(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def edit_tensors(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = safetensors.torch.load((folder / WEIGHTS_NAME).read_bytes())
    change(tensors)
    (folder / WEIGHTS_NAME).write_bytes(safetensors.torch.save(tensors))


def edit_config(folder: Path, **fields: object) -> None:
    config = json.loads((folder / CONFIG_NAME).read_text()) | fields
    (folder / CONFIG_NAME).write_text(json.dumps(config))


def edit_header(folder: Path, change: Callable[[dict], object]) -> None:
    """Changes the JSON at the start of a safetensors file, and leaves the numbers."""
    data = (folder / WEIGHTS_NAME).read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    change(header)
    text = json.dumps(header).encode()
    (folder / WEIGHTS_NAME).write_bytes(len(text).to_bytes(8, "little") + text + data[end:])


def some_name(tensors: dict[str, Tensor], rng: random.Random, half: str = "") -> str:
    return rng.choice(sorted(name for name in tensors if f"lora_{half}" in name))


def name_of_one(folder: Path, rng: random.Random) -> str:
    return some_name(safetensors.torch.load((folder / WEIGHTS_NAME).read_bytes()), rng)


# Any file


@kind(OURS, FOREIGN)
def weights_cut_short(folder: Path, rng: random.Random) -> None:
    edit_bytes(folder / WEIGHTS_NAME, lambda data: data[: rng.randrange(len(data))])


@kind(OURS, FOREIGN)
def weights_with_more_behind(folder: Path, rng: random.Random) -> None:
    edit_bytes(folder / WEIGHTS_NAME, lambda data: data + rng.randbytes(rng.randint(1, 5000)))


@kind(OURS, FOREIGN)
def weights_that_are_noise(folder: Path, rng: random.Random) -> None:
    (folder / WEIGHTS_NAME).write_bytes(rng.randbytes(rng.randint(0, 3000)))


@kind(OURS, FOREIGN)
def header_of_a_wrong_length(folder: Path, rng: random.Random) -> None:
    lengths = (0, 1, 2**31, 2**63 - 1, 2**64 - 1, rng.randrange(2**20, 2**40))
    length = rng.choice(lengths).to_bytes(8, "little")
    edit_bytes(folder / WEIGHTS_NAME, lambda data: length + data[8:])


@kind(OURS, FOREIGN)
def a_pickle_that_runs_code(folder: Path, rng: random.Random) -> None:
    class Trap:
        def __reduce__(self):  # noqa: ANN204
            return os.system, (f"touch {folder / 'executed'}",)

    (folder / rng.choice((WEIGHTS_NAME, CONFIG_NAME))).write_bytes(
        pickle.dumps(Trap(), protocol=rng.randint(0, 5))
    )


@kind(OURS, FOREIGN)
def a_torch_file_that_runs_code(folder: Path, rng: random.Random) -> None:
    class Trap:
        def __reduce__(self):  # noqa: ANN204
            return os.system, (f"touch {folder / 'executed'}",)

    torch.save({"weight": Trap(), "n": rng.random()}, folder / WEIGHTS_NAME)


@kind(OURS, FOREIGN)
def no_file_in_its_place(folder: Path, rng: random.Random) -> None:
    path = folder / rng.choice((WEIGHTS_NAME, CONFIG_NAME))
    path.unlink()
    rng.choice(
        (
            lambda: None,
            path.mkdir,
            lambda: path.symlink_to(path),
            lambda: path.symlink_to("/dev/null"),
            lambda: os.mkfifo(path),
        )
    )()


@kind(OURS, FOREIGN)
def config_cut_short(folder: Path, rng: random.Random) -> None:
    length = len((folder / CONFIG_NAME).read_bytes().rstrip())
    edit_bytes(folder / CONFIG_NAME, lambda data: data[: rng.randrange(length)])


@kind(OURS, FOREIGN)
def config_that_is_noise(folder: Path, rng: random.Random) -> None:
    (folder / CONFIG_NAME).write_bytes(rng.randbytes(rng.randint(0, 2000)))


@kind(OURS, FOREIGN)
def config_nested_or_endless(folder: Path, rng: random.Random) -> None:
    depth = rng.randint(50_000, 400_000)
    (folder / CONFIG_NAME).write_text(
        rng.choice(("[" * depth, '{"r":' * depth, " " * (depth + 1_000_000), "9" * depth))
    )


# Ours: the hash must notice


@kind(OURS)
def flipped_bits(folder: Path, rng: random.Random) -> None:
    def flip(data: bytes) -> bytes:
        flipped = bytearray(data)
        for position in rng.sample(range(len(data)), rng.randint(1, 4)):
            flipped[position] ^= 1 << rng.randrange(8)
        return bytes(flipped)

    edit_bytes(folder / WEIGHTS_NAME, flip)


@kind(OURS)
def a_block_overwritten(folder: Path, rng: random.Random) -> None:
    edit_bytes(
        folder / WEIGHTS_NAME,
        lambda data: changed(data, rng.randrange(len(data)), rng.randint(1, 500), rng),
    )


@kind(OURS)
def bytes_inserted_or_removed(folder: Path, rng: random.Random) -> None:
    def move(data: bytes) -> bytes:
        at, length = rng.randrange(len(data)), rng.randint(1, 64)
        return data[:at] + rng.choice((rng.randbytes(length) + data[at:], data[at + length :]))

    edit_bytes(folder / WEIGHTS_NAME, move)


@kind(OURS)
def a_number_changed_and_the_file_packed_anew(folder: Path, rng: random.Random) -> None:
    data = (folder / WEIGHTS_NAME).read_bytes()
    length = int.from_bytes(data[:8], "little")
    stated = json.loads(data[8 : 8 + length])["__metadata__"]
    tensors = safetensors.torch.load(data)
    tensors[some_name(tensors, rng)].view(-1)[0] += rng.uniform(0.5, 2)
    (folder / WEIGHTS_NAME).write_bytes(safetensors.torch.save(tensors, stated))


@kind(OURS)
def what_the_file_states_changed(folder: Path, rng: random.Random) -> None:
    def change(header: dict) -> None:
        stated = header["__metadata__"]
        key = rng.choice(sorted(stated))
        if key != "adapter_config" and rng.random() < 0.3:
            del stated[key]
        else:
            stated[key] = str(rng.random())

    edit_header(folder, change)


@kind(OURS)
def config_edited(folder: Path, rng: random.Random) -> None:
    edit_config(
        folder,
        **rng.choice(
            (
                {"lora_alpha": rng.randint(10, 1000)},
                {"use_rslora": True},
                {"r": rng.randint(4, 100)},
                {"task_type": "CAUSAL_LM"},
                {"base_model_name_or_path": "../" * rng.randint(1, 9) + "etc/passwd"},
            )
        ),
    )


# Foreign: no hash, every check by itself


@kind(FOREIGN)
def a_number_that_is_none(folder: Path, rng: random.Random) -> None:
    def spoil(tensors: dict[str, Tensor]) -> None:
        name = some_name(tensors, rng)
        spoilt = tensors[name].to(rng.choice((torch.float16, torch.bfloat16, torch.float32)))
        flat = spoilt.view(-1)
        flat[rng.randrange(len(flat))] = rng.choice((float("nan"), float("inf"), -float("inf")))
        tensors[name] = spoilt

    edit_tensors(folder, spoil)


@kind(FOREIGN)
def another_rank(folder: Path, rng: random.Random) -> None:
    rank = rng.choice((1, 2, 4, 5, 8, 64))
    if rng.random() < 0.5:
        edit_config(folder, r=rank)
    else:
        shapes = {"A": (rank, WIDTH), "B": (WIDTH, rank)}
        half = rng.choice("AB")
        edit_tensors(
            folder, lambda t: t.update({some_name(t, rng, half): torch.ones(shapes[half])})
        )


@kind(FOREIGN)
def another_shape(folder: Path, rng: random.Random) -> None:
    def reshape(tensors: dict[str, Tensor]) -> None:
        name = some_name(tensors, rng)
        rows, columns = tensors[name].shape
        other = rng.randint(WIDTH + 1, 100)
        shape = (rows, other) if "lora_A" in name else (other, columns)
        while shape == (rows, columns):
            shape = tuple(length + (length == other) for length in shape)
        tensors[name] = torch.ones(shape)

    edit_tensors(folder, reshape)


@kind(FOREIGN)
def another_number_of_dimensions(folder: Path, rng: random.Random) -> None:
    shape = rng.choice(((), (RANK,), (1, RANK, WIDTH), (RANK, WIDTH, 1), (0,), (0, 0), (0, WIDTH)))
    edit_tensors(folder, lambda t: t.update({some_name(t, rng): torch.zeros(shape)}))


@kind(FOREIGN)
def transposed(folder: Path, rng: random.Random) -> None:
    def transpose(tensors: dict[str, Tensor]) -> None:
        name = some_name(tensors, rng)
        tensors[name] = tensors[name].T.contiguous()

    edit_tensors(folder, transpose)


@kind(FOREIGN)
def integers(folder: Path, rng: random.Random) -> None:
    dtype = rng.choice((torch.int8, torch.int64, torch.bool, torch.uint8, torch.int32))

    def convert(tensors: dict[str, Tensor]) -> None:
        name = some_name(tensors, rng)
        tensors[name] = tensors[name].to(dtype)

    edit_tensors(folder, convert)


@kind(FOREIGN)
def tensors_missing(folder: Path, rng: random.Random) -> None:
    def remove(tensors: dict[str, Tensor]) -> None:
        for name in rng.sample(sorted(tensors), rng.choice((1, 2, len(tensors)))):
            del tensors[name]

    edit_tensors(folder, remove)


NAMES = (
    "",
    "extra",
    "base_model.model.head.weight",
    "base_model.model.blocks.0.attention.query.lora_embedding_A",
    "base_model.model.blocks.0.attention.query.lora_magnitude_vector",
    "base_model.model.blocks.0.attention.query.bias",
    "base_model.model.blocks.9.attention.query.lora_A.weight",
    "base_model.model.../../etc/passwd.lora_A.weight",
    "../../../../tmp/escaped.lora_A.weight",
    "/etc/passwd",
    "C:\\windows\\system32",
    "base_model.model.__class__.__init__.lora_A.weight",
    "base_model.model.blocks..query.lora_A.weight",
    "base_model.model.blocks.0.attention.query\n.lora_A.weight",
    "base_model.model.blocks.0.attention.qu\u0435ry.lora_A.weight",  # a Cyrillic e
    "base_model.model." + "a." * 20_000 + "lora_A.weight",
    "base_model.model." + "a" * 20_000 + ".lora_A.weight",
)


@kind(FOREIGN)
def a_tensor_with_another_name(folder: Path, rng: random.Random) -> None:
    name = rng.choice(NAMES)

    def rename(tensors: dict[str, Tensor]) -> None:
        old = some_name(tensors, rng, "A")
        tensors[name] = tensors[old].clone() if rng.random() < 0.5 else tensors.pop(old)

    edit_tensors(folder, rename)


@kind(FOREIGN)
def a_layer_that_the_model_lacks(folder: Path, rng: random.Random) -> None:
    def move(tensors: dict[str, Tensor]) -> None:
        old, new = "blocks.1.", rng.choice(("blocks.7.", "h.1.", "blocks.1.x.", "BLOCKS.1."))
        for name in [name for name in tensors if old in name]:
            tensors[name.replace(old, new)] = tensors.pop(name)

    edit_tensors(folder, move)
    edit_config(folder, target_modules=r".*\.(query|key|value|out|fc_in|fc_out)")


@kind(FOREIGN)
def a_header_that_lies(folder: Path, rng: random.Random) -> None:
    name = name_of_one(folder, rng)
    lie = rng.choice(
        (
            {"data_offsets": [-8, 8]},
            {"data_offsets": [8, 0]},
            {"data_offsets": [0, 2**62]},
            {"data_offsets": [0, 2**64]},
            {"data_offsets": [0, 4]},
            {"data_offsets": "0-8"},
            {"shape": [2**40, 2**40]},
            {"shape": [-1, 4]},
            {"shape": [2**63]},
            {"shape": None},
            {"dtype": "F31"},
            {"dtype": "PICKLE"},
            {"dtype": 7},
        )
    )
    edit_header(folder, lambda header: header[name].update(lie))


@kind(FOREIGN)
def a_header_of_another_form(folder: Path, rng: random.Random) -> None:
    forms = ([], 5, None, "text", {"x": 5}, {"__metadata__": 5}, {"__metadata__": {"a": {"b": 1}}})
    text = rng.choice((*(json.dumps(f) for f in forms), "[" * 90_000, '{"a":' * 50_000, "{}", ""))
    data = text.encode() + b" " * (-len(text) % 8)
    (folder / WEIGHTS_NAME).write_bytes(len(data).to_bytes(8, "little") + data)


ACTIVE = {
    "use_dora": True,
    "bias": "lora_only",
    "lora_bias": True,
    "rank_pattern": {"query": 4},
    "alpha_pattern": {"(?=q)query": 4},
    "layer_replication": [[0, 2]],
    "init_lora_weights": "pissa",
    "trainable_token_indices": [1],
    "target_parameters": ["experts"],
    "use_qalora": True,
    "loftq_config": {"loftq_bits": 4},
    "corda_config": {"x": 1},
    "arrow_config": {"top_k": 2},
    "alora_invocation_tokens": [1, 2],
    "peft_type": "LOHA",
}


@kind(FOREIGN)
def an_active_option(folder: Path, rng: random.Random) -> None:
    name = rng.choice((*ACTIVE, "next_year"))
    values = (1, "on", [0], {"on": 1}, True, 0.5)
    edit_config(folder, **{name: ACTIVE[name] if name in ACTIVE else rng.choice(values)})


WRONG = {
    "r": ("3", True, 3.0, 0, -1, None, [3], 2**70, {}),
    "lora_alpha": ("16", None, True, [1], float("nan"), float("inf"), 10**400, {}),
    "target_modules": (5, None, ["query", 5], [""], [None], {"query": 1}, True, 1.5, ["../x"]),
    "modules_to_save": ("head", 5, ["head"], [1], {"head": 1}, True, ["../../head"]),
    "use_rslora": ("yes", 1, None, [], 0.0),
    "peft_type": (None, 5, "lora", "", ["LORA"]),
    "task_type": (3, [], {}, True),
    "base_model_name_or_path": (5, [], {}, False),
    "lora_dropout": ("0.1", None, True, [], float("inf")),
    "fan_in_fan_out": ("no", 1, None),
    "inference_mode": ("no", 1, None),
    "auto_mapping": ("x", 5, []),
    "revision": (1, {}),
}


@kind(FOREIGN)
def a_field_of_the_wrong_type(folder: Path, rng: random.Random) -> None:
    name = rng.choice(sorted(WRONG))
    edit_config(folder, **{name: rng.choice(WRONG[name])})


@kind(FOREIGN)
def text_without_end_or_unprintable(folder: Path, rng: random.Random) -> None:
    text = rng.choice(("x" * rng.randint(1_000, 200_000), "line\nbreak", "\x1b[31mred", "\u202e"))
    edit_config(
        folder,
        **rng.choice(
            (
                {text: True},
                {"peft_type": text},
                {"target_modules": [text]},
                {"modules_to_save": ["head", text]},
                {"init_lora_weights": text},
                {"r": text},
            )
        ),
    )


@kind(FOREIGN)
def a_field_missing(folder: Path, rng: random.Random) -> None:
    config = json.loads((folder / CONFIG_NAME).read_text())
    del config[rng.choice(("r", "lora_alpha", "target_modules", "peft_type"))]
    (folder / CONFIG_NAME).write_text(json.dumps(config))


@kind(FOREIGN)
def a_config_that_is_no_object(folder: Path, rng: random.Random) -> None:
    config = json.loads((folder / CONFIG_NAME).read_text())
    (folder / CONFIG_NAME).write_text(json.dumps(rng.choice(([config], 5, "text", None, True, []))))
