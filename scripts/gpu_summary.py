"""Writes the summary of `scripts/gpu_check.sh`; the exit status says whether no part failed.

A line of the list of parts holds a name, an exit status, seconds, and the limit in seconds, with
tabs between; the log of a part is NAME.log beside the summary, and tells why it failed.

    python scripts/gpu_summary.py PARTS OUT
"""

from __future__ import annotations

import json
import platform
import re
import sys
from pathlib import Path

import torch

STOPPED = (124, 137)  # by `timeout`, which had to insist for the second
ALL_SKIPPED = re.compile(r"\d+ skipped in ")  # the end of a log of pytest's
SKIP_REASON = re.compile(r"^SKIPPED .*?: (.+)$", re.MULTILINE)


def judge(status: int, limit: int, log: str) -> tuple[str, str | None]:
    """Returns "passed", "failed" or "skipped", and the reason for the last two."""
    last = next((line for line in reversed(log.splitlines()) if line.strip()), "it said nothing")
    if status in STOPPED:
        return "failed", f"stopped after {limit} s; the last it said: {last}"
    if status:
        return "failed", f"exit status {status}: {last}"
    if ALL_SKIPPED.match(last):
        reason = SKIP_REASON.search(log)
        return "skipped", reason[1] if reason else last
    return "passed", None


def summary(parts: str, out: Path) -> dict:
    """Returns what ran, on what, and how it went."""
    found = {}
    for line in parts.splitlines():
        name, status, seconds, limit = line.split("\t")
        log = (out / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        result, reason = judge(int(status), int(limit), log)
        found[name] = {"result": result, "seconds": int(seconds), "reason": reason}
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "seconds": sum(part["seconds"] for part in found.values()),
        "parts": found,
    }


def main(parts: str, out: str) -> int:
    """Writes summary.json into `out` and prints it; returns the exit status."""
    written = summary(Path(parts).read_text(encoding="utf-8"), Path(out))
    text = json.dumps(written, indent=1)
    (Path(out) / "summary.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return int(any(part["result"] == "failed" for part in written["parts"].values()))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
