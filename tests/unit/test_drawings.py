"""Drawings are what the scripts draw, and can be read by everyone."""

import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from support.contrast import contrast
from support.project import ROOT
from torch import nn

from lora_edu import (
    GPT,
    GPTConfig,
    LoRALayer,
    base_fingerprint,
    data_path,
    freeze,
    load_pretrained,
    lora_layers,
    replace_linear_with_lora,
    save_adapter,
)
from lora_edu.plots import drawing
from lora_edu.plots.drawings import NAMES
from lora_edu.plots.style import CONCEPTS
from scripts.drawings import DRAWINGS, FOLDER, checksum
from scripts.drawings.hand import SIZES, WIDTH, palettes
from scripts.drawings.signs import SIGNS, THEIR_PARAMETERS

SVG = "{http://www.w3.org/2000/svg}"
LEAST_CONTRAST = 4.5  # WCAG 2.1, level AA
every_drawing = pytest.mark.parametrize("name", NAMES)


def words_and_paper(svg: str) -> list[tuple[str, str, str]]:
    """Text, its colour and the colour of the area it stands on, by name."""
    found, areas = [], []
    for part in ElementTree.fromstring(svg):
        if part.tag == f"{SVG}rect":
            place = [float(part.get(side, 0)) for side in ("x", "y", "width", "height")]
            areas.append((place, part.get("fill")[6:-1]))
        if part.tag == f"{SVG}text":
            x, y = float(part.get("x")), float(part.get("y"))
            under = [f for (a, b, w, h), f in areas if a <= x <= a + w and b <= y <= b + h]
            for each in (part, *part):
                colour = each.get("fill")
                if colour:
                    found.append(("".join(each.itertext()), colour[6:-1], under[-1]))
    return found


def test_each_drawing_can_be_shown() -> None:
    assert tuple(DRAWINGS) == NAMES
    with pytest.raises(ValueError, match="name must be one of side_path, .*; got 'portrait'"):
        drawing("portrait")


@every_drawing
def test_the_stored_drawing_is_what_the_script_draws_byte_for_byte(name: str) -> None:
    assert (FOLDER / f"{name}.svg").read_bytes() == DRAWINGS[name]().svg().encode()


@every_drawing
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_pictures_were_made_from_it_and_are_small(name: str, scheme: str) -> None:
    content = (FOLDER / f"{name}_{scheme}.png").read_bytes()
    picture, svg = Image.open(io.BytesIO(content)), drawing(name).svg
    assert picture.text["drawing"] == checksum(svg), "run `python -m scripts.drawings`"
    height = int(re.search(r'height="(\d+)"', svg)[1])
    assert (picture.mode, picture.size) == ("P", (2 * WIDTH, 2 * height))
    assert len(content) < 50_000


@every_drawing
def test_it_says_in_words_what_it_shows(name: str) -> None:
    root = ElementTree.fromstring(drawing(name).svg)
    title, described = root.find(f"{SVG}title").text, root.find(f"{SVG}desc").text
    assert root.get("role") == "img" and 10 < len(title) < 80 < len(described)
    assert drawing(name).alt == repr(drawing(name)) == described


@every_drawing
def test_all_words_can_be_read_on_what_is_behind_them(name: str) -> None:
    found = words_and_paper(drawing(name).svg)
    assert len(found) > 5
    for words, colour, paper in found:
        for palette in palettes():
            ratio = contrast(palette[colour], palette[paper])
            assert ratio >= LEAST_CONTRAST, f"{words!r}, {colour} on {paper}: {ratio:.1f}"


@every_drawing
def test_no_words_are_smaller_than_ten_pixels_on_a_phone(name: str) -> None:
    sizes = {float(size) for size in re.findall(r'font-size="([\d.]+)"', drawing(name).svg)}
    assert sizes <= set(SIZES.values())
    assert min(SIZES.values()) * 350 / WIDTH >= 10


@pytest.mark.parametrize("name", ["gpt_block", "kept"])
def test_it_is_seen_whole_on_a_laptop(name: str) -> None:
    shown = drawing(name)._repr_mimebundle_()[1]["image/png"]["width"]
    height = int(re.search(r'height="(\d+)"', drawing(name).svg)[1])
    assert height * shown / WIDTH <= 430  # of the 640 that JupyterLab leaves of 1366 × 768


@every_drawing
def test_what_can_be_pointed_at_is_in_the_drawing_and_says_something_else_each_time(
    name: str,
) -> None:
    parts, height = drawing(name).parts, int(re.search(r'height="(\d+)"', drawing(name).svg)[1])
    assert parts
    for part in parts:
        assert part.x > 0 and part.x + part.width < WIDTH and part.y > 0
        assert part.y + part.height < height and min(part.width, part.height) >= 20
    assert len({part.words for part in parts}) == len(parts)


def test_the_block_says_how_many_numbers_each_layer_has() -> None:
    block = dict(GPT(GPTConfig()).blocks[0].named_modules())
    said = {part.words.split(":")[0]: part.words for part in drawing("gpt_block").parts}
    for name, layer in block.items():
        if isinstance(layer, nn.Linear):
            adapter = LoRALayer(layer.in_features, layer.out_features, rank=8, alpha=1)
            shapes = f"A is {len(adapter.A)} × r, B is r × {adapter.B.shape[1]}"
            words = said.pop(name.split(".")[-1])
            assert f": {layer.weight.numel():,} frozen" in words and shapes in words
    assert len(said) == 4  # norms, attention and GELU


def test_what_is_on_disk_is_said_as_it_is() -> None:
    base, *adapters = drawing("one_base").parts
    whole = data_path("mini_gpt", "model.safetensors").stat().st_size
    assert f" {whole / 1e6:.1f} MB" in base.words
    for part in adapters:
        name = part.words.split(":")[0]
        size = data_path("adapters", name, "adapter_model.safetensors").stat().st_size
        assert f" {size / 1e3:.0f} kB, {100 * size / whole:.1f} %" in part.words


def test_the_folder_is_the_one_that_notebook_07_saves(tmp_path: Path) -> None:
    model = load_pretrained("mini")
    freeze(model)
    replace_linear_with_lora(model, rank=8, alpha=16, targets="blocks.*", scaling="alpha/rank")
    how = {"base_fingerprint": base_fingerprint("mini"), "dtype": torch.float16}
    folder = save_adapter(model, tmp_path / "pirate", **how)
    words = {text for text, *_ in words_and_paper(drawing("adapter_folder").svg)}
    for file in folder.iterdir():
        assert {file.name, f"{file.stat().st_size:,} bytes"} <= words
    config = json.loads((folder / "adapter_config.json").read_text())
    for entry in ("r", "lora_alpha", "use_rslora", "modules_to_save"):
        assert any(f"{entry}: {json.dumps(config[entry])}" in text for text in words)
    first, *others = config["target_modules"]
    assert f"target_modules: {first} and {len(others)} more" in words

    tensors = load_file(folder / "adapter_model.safetensors")
    (name,) = [text for text in words if text in tensors]
    rows, columns = tensors[name].shape
    told = f"F16, {rows} × {columns}, {tensors[name].nbytes:,} bytes: A, transposed"
    assert told in words
    said = {part.words.split(":")[0]: part.words for part in drawing("adapter_folder").parts}
    for layer in (name for name in lora_layers(model) if name.startswith("blocks.0.")):
        pair = [tensors[name] for name in sorted(tensors) if f".{layer}.lora" in name]
        stored = " and ".join(f"{len(each)} × {each.shape[1]}" for each in pair)
        ours = " and ".join(f"{each.shape[1]} × {len(each)}" for each in pair)
        words_of = said[layer.split(".")[-1]]
        assert f"as {stored};" in words_of and words_of.endswith(f"are {ours}.")
    of_blocks = [said[f"block {block}"] for block in range(6)]
    counted = [int(re.search(r"([\d,]+) bytes", words)[1].replace(",", "")) for words in of_blocks]
    assert sum(counted) == sum(each.nbytes for each in tensors.values())


def test_areas_have_the_colours_that_charts_give_the_concepts() -> None:
    light, _ = palettes()
    for concept in ("lora", "full", "head"):
        assert light[f"bar-{concept}"].upper() == CONCEPTS[concept]
    assert light["frozen"].upper() == CONCEPTS["frozen"]


@every_drawing
def test_a_notebook_gets_the_drawing_a_picture_and_the_text(name: str) -> None:
    bundle, metadata = drawing(name)._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    assert bundle["text/plain"] == metadata["image/png"]["alt"] == drawing(name).alt
    assert 'src="data:image/svg+xml;base64,' in bundle["text/html"]
    assert "<script" not in bundle["text/html"] and 'alt="' in bundle["text/html"]


@pytest.mark.parametrize("sign", SIGNS)
def test_a_sign_can_be_read_on_a_card_of_half_its_width(sign: str) -> None:
    sheet = SIGNS[sign]()
    svg = sheet.svg()
    assert 10 < len(sheet.title) < 80 < len(sheet.description)
    sizes = {float(size) for size in re.findall(r'font-size="([\d.]+)"', svg)}
    assert min(sizes) * 310 / WIDTH >= 10
    for words, colour, paper in words_and_paper(svg):
        for palette in palettes():
            ratio = contrast(palette[colour], palette[paper])
            assert ratio >= LEAST_CONTRAST, f"{words!r}, {colour} on {paper}: {ratio:.1f}"


def test_the_sign_to_scale_has_the_number_that_the_notebook_counts() -> None:
    told = (ROOT / "notebooks/08_a_model_you_did_not_write.ipynb").read_text(encoding="utf-8")
    assert f"{THEIR_PARAMETERS:,} parameters" in told
