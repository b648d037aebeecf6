"""What goes wrong in a widget is said in the widget, and goes away with the next good input."""

from __future__ import annotations

import pytest

from lora_edu.widgets.error_line import ErrorLine


def test_an_error_is_said_as_an_alert_until_something_goes_well() -> None:
    line = ErrorLine()
    with pytest.raises(OSError, match="no <model>"), line:  # the kernel gets it, too
        raise OSError("no <model>")
    assert "OSError: no &lt;model&gt;" in line.value
    assert 'role="alert"' in line.value
    with line:
        pass
    assert line.value == ""


def test_an_error_without_a_message_is_named_by_its_type() -> None:
    line = ErrorLine()
    with pytest.raises(KeyboardInterrupt), line:
        raise KeyboardInterrupt
    assert "</b> KeyboardInterrupt<br>" in line.value
