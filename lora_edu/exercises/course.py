"""The exercises of the course in the order of its notebooks, and the room of each one's checker.

Rooms are named by subject, so an exercise that moves to another notebook is renamed, moves its
line in this table, and stays in its room.
"""

from __future__ import annotations

ROOMS = {
    "00.first": "first_look",
    "00.side_path": "first_look",
    "00.true_or_false": "first_look",
    "01.make_update": "rank",
    "01.cut": "rank",
    "01.energy": "rank",
    "01.true_or_false": "rank",
    "02.lora_layer": "lora_layer",
    "02.linear_with_lora": "linear_with_lora",
    "02.gradient_at_start": "factors",
    "02.merge": "factors",
    "02.elbow": "factors",
    "03.replace": "replacing",
    "03.snapshot": "freezing",
    "03.targets": "targets",
    "03.order": "freezing",
    "03.backward": "freezing",
    "04.fixed_bytes": "memory",
    "04.one_layer": "parameters",
    "04.break_even": "parameters",
    "04.model": "parameters",
    "04.explorer": "parameters",
    "04.true_or_false": "memory",
    "05.work": "step_cost",
    "05.choose": "uncertainty",
    "05.share": "step_cost",
    "06.mask": "tokens",
    "06.sample": "tokens",
    "06.slots": "metrics",
    "06.perplexity": "metrics",
    "06.forgot": "freezing",
    "07.mistakes": "adapter_files",
    "07.merge": "adapter_files",
    "07.bytes": "adapter_files",
    "07.blend": "adapter_files",
    "09.f1": "metrics",
    "09.half_width": "uncertainty",
    "09.paired": "uncertainty",
    "10.scaling": "conventions",
    "10.translate": "conventions",
    "10.another_pair": "factors",
}
