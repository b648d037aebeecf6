"""`RESULTS.md` from the record: one table for each machine, misses named as misses."""

from __future__ import annotations

import json

from benchmarks.protocol import CONTROL_BOUND, LEAST_ROUNDS, Ratio
from benchmarks.record import Outcome, Record, read_outcome
from benchmarks.rows import ROWS
from benchmarks.table import Row

NARROW = f"{1 - CONTROL_BOUND:.2f} … {1 + CONTROL_BOUND:.2f}"
HEAD = f"""# Results of `make bench`

Written by `python -m benchmarks`; do not edit. A ratio below 1 says that the first of the two is
faster. Contenders have the same weights, read the same batches, and took turns; that their losses
(or logits, or tokens) are equal was checked first. A ratio is the median over rounds of two times
of the same round, with its 95 % bootstrap interval. **Control** is one contender against a second
copy of itself: its interval must hold 1.00 and lie within {NARROW}, or the row does not count:
the wide interval of a noisy machine would hold 1.00 as well.

S is the mini GPT with rank 8 and 16 messages a batch. B is GPT-2 124M's shape with random weights,
rank 16, 8 × 120 tokens. Both adapt all linear layers of the blocks and classify at the last real
token. AdamW is `fused=True` for us, for full fine-tuning and for PEFT; the appendix has its own
line. PEFT has no dropout and gets no attention mask. Where PEFT runs on Hugging Face's GPT-2, our
model shares one A among query, key and value, as `c_attn` does. In bf16 our frozen base is held in
bf16, which changes no product.

**Our model has a shortcut.** Only one token of each row is classified, so our GPT computes query,
out, fc_in and fc_out of its last block for that token alone. Hugging Face's GPT-2 and the
appendix's code compute them for all tokens: equal results, unequal work. Rows "the same, our last
block for all tokens too" are measured without it. PEFT on our GPT has the shortcut as we do, and so
have full fine-tuning and the frozen base alone.

The same processor may stand twice, the second time limited to AVX2 (`make bench-avx2`). What has
become faster since a date is in `DIARY.md`.
"""
BEYOND = "met, but the interval reaches beyond"
COLUMNS = "| what | measured [95 %] | limit | target | verdict | control [95 %] | rounds | peer |"


def verdict(row: Row, outcome: Outcome) -> str:
    """Says whether the target is met: in one word where all is well."""
    if outcome.value is None:
        return outcome.note
    if outcome.doubt:
        return f"{outcome.doubt}, does not count"
    if outcome.control is not None and not Ratio(*outcome.control).holds_one():
        return "control failed, does not count"
    if outcome.control is not None and not Ratio(*outcome.control).is_narrow():
        return "control too wide, does not count"
    if outcome.rounds < (LEAST_ROUNDS if row.race else row.least_rounds):
        return f"too few rounds ({outcome.rounds}), does not count"
    if str(row.target) == "–":
        return "–"
    if not row.target.is_met(outcome.value):
        return "**missed**"
    inside = all(map(row.target.is_met, outcome.interval or ()))
    return "met" if inside else BEYOND


def table_line(row: Row, outcome: Outcome, versions: dict[str, str]) -> str:
    """Returns one line of the table."""
    measured = "–" if outcome.value is None else f"{number(outcome.value)}{row.unit}"
    if outcome.interval is not None:
        measured += f" [{number(outcome.interval[0])}, {number(outcome.interval[1])}]"
    control = "–"
    if outcome.control is not None:
        median, low, high = map(number, outcome.control)
        control = f"{median} [{low}, {high}]"
    peers = ", ".join(f"{name} {versions.get(name, 'not installed')}" for name in row.peers) or "–"
    cells = [row.what, measured, row.limit, str(row.target), verdict(row, outcome), control]
    return "| " + " | ".join([*cells, str(outcome.rounds), peers]) + " |"


def number(value: float) -> str:
    """Returns a number with as many digits as matter: 0.74, 4.21, 134."""
    return f"{value:.3f}" if abs(value) < 2 else f"{value:.3g}"


def detail_line(row: Row, outcome: Outcome, fp32: Outcome | None = None) -> str:
    """Returns what else was measured, or nothing.

    Args:
        row: Of the table.
        outcome: Of the row.
        fp32: Of the row that measures the same in fp32, where there is one.
    """
    parts = [milliseconds(outcome)] if outcome.seconds else []
    parts += [f"{name} {number(value)}" for name, value in outcome.figures.items()]
    parts += [outcome.note] if outcome.note and outcome.value is not None else []
    parts += [precision_note(outcome, fp32)] if outcome.seconds and fp32 and fp32.seconds else []
    return f"- {row.what}: {'; '.join(parts)}." if parts else ""


def milliseconds(outcome: Outcome) -> str:
    """Returns the median times of the contenders."""
    times = outcome.seconds.items()
    return "; ".join(f"{who} {1000 * seconds:.4g} ms" for who, seconds in times)


def precision_note(bf16: Outcome, fp32: Outcome) -> str:
    """Says how long both contenders take in fp32, and the ratio if each takes its faster format.

    Args:
        bf16: Of a race in bf16: the upper contender's time, then the lower one's.
        fp32: Of the same in fp32.
    """
    narrow, wide = list(bf16.seconds.values()), list(fp32.seconds.values())
    top, bottom = (min(pair) for pair in zip(narrow, wide, strict=True))
    slower = all(n > w for n, w in zip(narrow, wide, strict=True))
    text = "both are slower in bf16, so nobody would use it here; " if slower else ""
    text += f"in fp32: {milliseconds(fp32)}; best of ours / best of theirs, of medians: "
    return text + number(top / bottom)


def described(machine: dict, versions: dict) -> str:
    """Returns a machine in a sentence or two."""
    instructions = ", ".join(machine["instructions"]) or "none of those that matter"
    others = [f"{name} {version}" for name, version in versions.items() if name != "torch"]
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB of memory, "
        f"{machine['system']}; instructions: {instructions}. torch {versions['torch']} (uses "
        f"{machine['torch_uses']}), {machine['threads']} threads; {', '.join(others)}."
    )


def growth_section(growth: dict) -> list[str]:
    """Returns the lines of the section on the record of `growth.py`."""
    pictures = [
        "![Milliseconds against rank, width, tokens in a row, and adapters](growth.png)",
        "![Megabytes kept against the same](growth_memory.png)",
    ]
    findings = [f"- {finding}" for finding in growth["findings"]]
    head = f"Measured by `{growth['command']}`: {described(growth['machine'], growth['versions'])}"
    return ["## How cost grows", "", head, "", *pictures, "", *findings, ""]


def table(machine: dict, versions: dict, entries: dict[str, dict]) -> list[str]:
    """Returns the lines of the section on a machine's entries, row → entry."""
    found = {name: read_outcome(entry) for name, entry in entries.items()}
    lines = [table_line(ROWS[name], outcome, versions) for name, outcome in found.items()]
    details = filter(
        None, (detail_line(ROWS[n], one, found.get(ROWS[n].fp32)) for n, one in found.items())
    )
    text = ["## Measured on", "", f"{described(machine, versions)} Measured {days(entries)}.", ""]
    text += [COLUMNS, "|---" * COLUMNS.count(" |") + "|", *lines, ""]
    return [*text, "Median times, and what else was measured:", "", *details, ""]


def days(entries: dict[str, dict]) -> str:
    """Returns the dates on which entries were measured."""
    return " and ".join(sorted({entry["date"] for entry in entries.values()}))


def glance(record: Record) -> list[str]:
    """Returns the lines of the targets beside what each machine measured; none of no machine."""
    machines = record.machines()
    if not machines:
        return []
    found = [record.rows(machine) for machine in machines]
    names = [
        f"{one['processor']}, {one['torch_uses']} ({days(rows)})"
        for one, rows in zip(machines, found, strict=True)
    ]
    lines = [f"| what | target | {' | '.join(names)} |", "|---" * (2 + len(names)) + "|"]
    for name, row in ROWS.items():
        if str(row.target) != "–":
            cells = [_glance_cell(row, rows.get(name)) for rows in found]
            lines.append(f"| {row.what} | {row.target} | {' | '.join(cells)} |")
    return ["## At a glance", "", *lines, ""]


def _glance_cell(row: Row, entry: dict | None) -> str:
    if entry is None:
        return "–"
    outcome = read_outcome(entry)
    if outcome.value is None:
        return outcome.note.partition(":")[0]
    said = verdict(row, outcome)  # in short; the table says the rest
    said = "met, interval beyond" if said == BEYOND else said.partition(",")[0]
    return f"{number(outcome.value)}{row.unit}, {said}"


def results(record: Record, growth: dict | None = None) -> str:
    """Returns the text of `RESULTS.md`.

    Args:
        record: Of the table.
        growth: Of `growth.py`, where there is one.
    """
    text = [HEAD, *glance(record)]
    for machine in record.machines():
        entries = record.rows(machine)
        measured = [name for name in ROWS if name in entries]
        by_versions: dict[str, list[str]] = {}
        for name in measured:
            key = json.dumps(entries[name]["versions"], sort_keys=True)
            by_versions.setdefault(key, []).append(name)
        for key, names in by_versions.items():
            text += table(machine, json.loads(key), {name: entries[name] for name in names})
        missing = [name for name in ROWS if name not in entries]
        text += [f"Not measured here yet: {', '.join(missing)}.", ""] if missing else []
    text += growth_section(growth) if growth else []
    return "\n".join(text)
