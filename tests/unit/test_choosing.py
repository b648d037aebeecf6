"""The decision tables: one document, shown by notebooks, each line with its support."""

import math
import re
from html import unescape

import torch
from support.project import ROOT
from torch import Tensor

from lora_edu.evaluation import (
    compare,
    digits,
    forgotten_at,
    mean_difference,
    read_record,
    runs_of,
    tradeoff,
)
from lora_edu.files import data_path
from lora_edu.plots import signed
from lora_edu.tasks import curves_at_more_rates, error_rate_score
from lora_edu.tasks.claims import ten_times_the_rate
from lora_edu.widgets import choosing
from lora_edu.widgets.choosing import decision_tables
from scripts.notebook_times import count_words

TEXT = decision_tables().text


def rows() -> list[list[str]]:
    lines = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if line.startswith("| ")]
    return [cells for cells in lines if cells[1] != "start with"]


def test_it_shows_the_document_with_links_for_a_neighbour_of_the_notebooks() -> None:
    document = (ROOT / "docs/choosing.md").read_text(encoding="utf-8")
    assert document.startswith("# Should I use LoRA, and with what?\n\n## Which method?\n")
    wanted = document.replace("](../notebooks/", "](").replace("## ", "### ").splitlines()[2:]
    assert TEXT.splitlines() == wanted
    assert "../" not in TEXT
    assert repr(decision_tables()) == TEXT


def test_a_page_gets_each_table_as_cards_and_the_rest_as_markdown(monkeypatch) -> None:
    shown: list[dict[str, str]] = []
    monkeypatch.setattr(choosing, "display", lambda bundle, raw: shown.append(bundle))
    decision_tables()._ipython_display_()
    assert "\n\n".join(bundle["text/plain"] for bundle in shown) == TEXT
    tables = [bundle["text/html"] for bundle in shown if "text/html" in bundle]
    cells = [re.findall("<td [^>]*>(.*?)</td>", table) for table in tables]
    assert sum(map(len, cells)) == sum(map(len, rows()))
    assert all("text-align:left" in tag for tag in re.findall("<t[dh] .*?>", "".join(tables)))
    for said, cell in zip(sum(rows(), []), sum(cells, []), strict=True):
        assert re.findall(r"\]\((.+?)\)", said) == re.findall('href="(.+?)"', cell)
        words = re.sub(r"\[(.+?)\]\(.+?\)|`(.+?)`", r"\1\2", said)
        assert unescape(re.sub("<.+?>", "", cell)) == words


SUPPORT = r"notebook \d\d|et al|LoRA paper|QLoRA"


def test_each_line_is_short_and_has_one_reason_with_its_link() -> None:
    assert len(rows()) == 10
    for *said, why in rows():
        assert all(count_words(cell) <= 9 for cell in said), said
        assert len(re.findall(r"\]\(", why)) == 1 and count_words(why) <= 16, why
        assert re.search(SUPPORT, why, re.I), why


def test_a_fold_beneath_has_each_line_s_evidence_and_its_limits() -> None:
    folds = re.findall("<details>.*?</details>", TEXT, flags=re.DOTALL)
    lines = [line for fold in folds for line in fold.splitlines() if line.startswith("- ")]
    assert len(lines) == len(rows())
    for (name, *_), line in zip(rows(), lines, strict=True):
        case, evidence = re.fullmatch(r"- \*\*(.+?)\.\*\* (.+)", line).groups()
        assert set(case.lower().split()) & set(re.findall(r"\w+", name.lower())), (name, case)
        support, limits = evidence.split("*Not shown:* ")
        assert limits and re.search(SUPPORT, support, re.I), line


def errors_of(runs: dict, **key: str | int) -> Tensor:
    found = runs_of(runs, stage="final", **key)
    return torch.stack([digits(run["errors"]) for run in found])


def test_the_slot_errors_beside_the_rank_are_those_of_the_record() -> None:
    menus, llm = record("generator_bundled"), record("llm_menu")
    slots = digits(menus["about"]["test_slots"])

    def errors(method: str, **key: int) -> Tensor:
        return errors_of(menus, task="menu", method=method, **key)

    large = [errors_of(llm, method=method) for method in ("lora", "full")]
    of_llm = digits(llm["about"]["slots"]["test"])
    beside = compare(of_llm, *large, error_rate_score, highest=math.inf)
    ranks = {rank: errors("lora", rank=rank) for rank in (8, 32)}
    pairs = [(ranks[8], errors("full")), (ranks[32], errors("full"))]
    pairs += [(errors("matrices"), errors("full")), (ranks[8], ranks[32])]
    found = [compare(slots, *pair, error_rate_score, highest=math.inf) for pair in pairs]
    said = [
        [signed(100 * x).lstrip("+") for x in (gap.value, gap.low, gap.high)]
        for gap in (*found, beside)
    ]
    (line,) = (line for line in TEXT.splitlines() if line.startswith("- **Rank.**"))
    assert "by {} ({} to {}) with our small GPT".format(*said[0]) in line
    assert "by {} points ({} to {}) with SmolLM2".format(*said[-1]) in line
    assert f"rank 32 still makes {said[1][0]} points more" in line
    assert f"trained whole make {said[2][0]} more" in line
    assert found[3].low < 0 < found[3].high  # of the ranks themselves no difference is shown


def evidence(case: str) -> str:
    (line,) = (line for line in TEXT.splitlines() if line.startswith(f"- **{case}.**"))
    return line


def record(name: str) -> dict:
    return read_record(data_path("results", f"{name}.json"))


def test_a_tiny_model_s_gaps_are_those_of_the_records() -> None:
    line = evidence("A tiny model, one task")
    for name, task, told in (
        ("bundled", "menu", "on menus by {} nats and 4.5 points of slot errors"),
        ("bundled", "voice", "on tales by {} nats"),
        ("real", "menu", "on E2E by {}"),
    ):
        key = {"stage": "final", "task": task}
        both = ({"method": "lora", "rank": 8}, {"method": "full"})
        losses = (
            torch.tensor(
                [run["test_loss"] for run in runs_of(record(f"generator_{name}"), **key, **of)]
            )
            for of in both
        )
        gap, half = mean_difference(*losses)
        assert told.format(f"{gap:.3f} ± {half:.3f}") in line


def test_the_ratios_of_the_rates_are_those_of_the_claims() -> None:
    names = "generator_bundled", "llm_menu", "classifier_bundled", "classifier_real"
    menus, llm, *of_spam = ten_times_the_rate(*map(record, names)).trials
    assert "5 times, and by the rates beside the best 1 to 40" in menus.found
    assert "10 times, and by the rates beside the best 0.33 to 300" in llm.found
    assert all("3 times, one seed a rate" in trial.found for trial in of_spam)
    line = evidence("Learning rate")
    assert "five times full's on menus, ten times with SmolLM2" in line
    assert "from 1 to 40" in line


def test_lora_with_the_embedding_has_forgotten_as_much_more_as_is_said() -> None:
    """At the levels of notebook 06, beside full fine-tuning as one would run it."""
    forgetting = record("forgetting")
    lora = tradeoff(forgetting, "story_loss", arm="lora 32, embedding", steps=375)[1]
    full = curves_at_more_rates(record("generator_bundled"), forgetting, "full")[1]
    *gaps, (last, its_half) = (
        mean_difference(
            *(torch.tensor([forgotten_at(level, seed) for seed in arm]) for arm in (lora, full))
        )
        for level in (0.30, 0.25, 0.23, 0.22)
    )
    assert all(gap > half for gap, half in gaps) and abs(last) < its_half
    assert "had mostly forgotten more, too" in evidence("What it knew must stay")


def test_its_notebooks_exist() -> None:
    for name in re.findall(r"\]\((\w+)\.ipynb\)", TEXT):
        assert (ROOT / f"notebooks/source/{name}.py").exists()
