"""How amounts of minor units are told to people."""

from typing import Final

from django.conf import settings

# ISO 4217 currencies whose minor unit is not a hundredth.
_WHOLE: Final = frozenset(
    {
        *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI"),
        *("VND", "VUV", "XAF", "XOF", "XPF"),
    }
)
_THOUSANDTHS: Final = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])


def decimals_of(currency: str) -> int:
    """This function will return how many decimals a currency has."""
    if currency in _WHOLE:
        return 0
    return 3 if currency in _THOUSANDTHS else 2


def money(cents: int | None, currency: str) -> str:
    """This function will spell an amount of minor units with its currency: `R$ 1,234.56`."""
    if cents is None:
        return ""
    decimals = decimals_of(currency)
    amount = f"{abs(cents) / 10**decimals:,.{decimals}f}"
    if decimals:
        whole, rest = divmod(abs(cents), 10**decimals)
        amount = f"{whole:,}.{rest:0{decimals}d}"
    sign = "−" if cents < 0 else ""
    return f"{sign}{symbol_of(currency)} {amount}"


def symbol_of(currency: str) -> str:
    if currency == settings.STORE_CURRENCY:
        return str(settings.STORE_CURRENCY_SYMBOL)
    return currency
