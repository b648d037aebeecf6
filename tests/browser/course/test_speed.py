"""From a key press to the changed picture a learner waits a tenth of a second.

These tests come after those of all notebooks of this process, when none of them runs any more.
"""

from __future__ import annotations

from statistics import median

import pytest
from support.controls import controls
from support.latency import (
    AIM_MEDIAN_MS,
    AIM_PERCENTILE_95_MS,
    milliseconds_to_picture,
    percentile_95,
)
from support.pages import Course
from support.project import notebook_names

SLACK = 3  # so many times the aim fails: a busy machine is no defect of the course


# Not `indirect`: pytest would group these with each notebook's other tests.
@pytest.mark.parametrize("notebook", notebook_names())
def test_a_key_press_soon_changes_the_picture(
    notebook: str, idle_course: Course, latencies: dict[str, list[float]]
) -> None:
    page = idle_course.page(notebook)
    for control in controls(page):
        if control.kind == "slider" and control.moves_a_picture:
            name = f"{notebook}, {control}"
            latencies[name] = milliseconds_to_picture(page, control)
            assert median(latencies[name]) <= SLACK * AIM_MEDIAN_MS
            assert percentile_95(latencies[name]) <= SLACK * AIM_PERCENTILE_95_MS
