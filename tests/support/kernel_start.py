"""Starts nbval's kernel once more where its port was taken, `-p tests.support.kernel_start`.

A kernel's ports are drawn before it binds them. Where several kernels start at once, two may draw
the same, and one of them dies before its first reply. What a notebook does is not repeated.
"""

from __future__ import annotations

from typing import Any

import nbval.kernel

START, TRIES = nbval.kernel.start_new_kernel, 3


def start_patiently(*arguments: Any, **keywords: Any) -> tuple[Any, Any]:
    """nbval's `start_new_kernel`, tried up to three times.

    Raises:
        RuntimeError: no kernel lived long enough to answer.
    """
    for _ in range(TRIES - 1):
        try:
            return START(*arguments, **keywords)
        except RuntimeError:
            continue
    return START(*arguments, **keywords)


nbval.kernel.start_new_kernel = start_patiently
