"""Numbers as a reader says them: 4.72 million, 37.7 MB, 0.27 %."""

from __future__ import annotations

from decimal import Decimal


def digits(number: float, count: int) -> str:
    """Writes a number with so many digits, never with an exponent, and a minus sign for a minus.

    Args:
        number: Any finite number.
        count: Digits that are kept; zeros at the end of a fraction are left out.

    Example:
        >>> digits(1213.0, 3), digits(0.000007, 2), digits(-2.50, 3)
        ('1,210', '0.000007', '−2.5')
    """
    return f"{Decimal(f'{number:.{count}g}'):,f}".replace("-", "−")


def in_words(number: float) -> str:
    """Writes a count with three digits and a word for its size.

    Example:
        >>> in_words(4_718_592), in_words(1536), in_words(950)
        ('4.72 million', '1,536', '950')
    """
    if number >= 1e15:
        return "more than 999 trillion"
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{digits(number / size, 3)} {word}"
    whole = number == int(number)
    return f"{number:,.0f}".replace("-", "−") if whole else digits(number, 4)


def megabytes(size_bytes: float) -> str:
    """Writes bytes in kB, MB, GB or TB of powers of ten.

    Example:
        >>> megabytes(37_748_736), megabytes(350e9), megabytes(147_456)
        ('37.7 MB', '350 GB', '147 kB')
    """
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size_bytes >= size * 0.9995:
            return f"{digits(size_bytes / size, 3)} {unit}"
    return f"{size_bytes:.0f} bytes"


def whole_percent(share: float) -> str:
    """Writes a share in whole per cents.

    Example:
        >>> whole_percent(0.5714)
        '57 %'
    """
    return f"{100 * share:.0f} %"


def percent(share: float) -> str:
    """Writes a share in per cent, with as many digits as it needs to be seen.

    Example:
        >>> percent(0.5), percent(0.0214), percent(0.000027), percent(12.13)
        ('50 %', '2.14 %', '0.0027 %', '1,210 %')
    """
    return f"{digits(100 * share, 3 if share >= 0.01 else 2)} %"
