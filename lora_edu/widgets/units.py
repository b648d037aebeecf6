"""Numbers as a reader says them: 4.7 million, 37.7 MB, 0.27 %."""

from __future__ import annotations


def in_words(number: float) -> str:
    """Writes a count with three digits and a word for its size.

    Example:
        >>> in_words(4_718_592), in_words(1536), in_words(950)
        ('4.72 million', '1,536', '950')
    """
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.3g} {word}"
    return f"{number:,.0f}" if number == int(number) else f"{number:,.4g}"


def megabytes(size_bytes: float) -> str:
    """Writes bytes in kB, MB, GB or TB of powers of ten.

    Example:
        >>> megabytes(37_748_736), megabytes(350e9), megabytes(147_456)
        ('37.7 MB', '350 GB', '147 kB')
    """
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size_bytes >= size * 0.9995:
            return f"{size_bytes / size:.3g} {unit}"
    return f"{size_bytes:.0f} bytes"


def percent(share: float) -> str:
    """Writes a share in per cent, with as many digits as it needs to be seen.

    Example:
        >>> percent(0.5), percent(0.0214), percent(0.000027)
        ('50 %', '2.1 %', '0.0027 %')
    """
    return f"{100 * share:.3g} %" if share >= 0.1 else f"{100 * share:.2g} %"
