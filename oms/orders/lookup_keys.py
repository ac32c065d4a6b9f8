"""
How e-mail addresses, documents and phone numbers are spelled for exact look-up.

The same functions make the stored key and the key that is looked for; changing one needs a
migration that rewrites the stored ones.
"""

import re
from typing import Final

KEY_LENGTH: Final = 254
DOCUMENT_KEY_LENGTH: Final = 60
# With or without country code and trunk zero, the last ten digits are the same.
PHONE_KEY_DIGITS: Final = 10


def email_key(text: str) -> str:
    """This function will spell an e-mail address for look-up: no blanks around, lower case."""
    return text.strip().lower()[:KEY_LENGTH]


def document_key(text: str) -> str:
    """This function will spell a tax or identity number for look-up: letters and digits alone."""
    return "".join(filter(str.isalnum, text.upper()))[:DOCUMENT_KEY_LENGTH]


def phone_key(text: str) -> str:
    """This function will spell a phone number for look-up: its last ten digits."""
    return re.sub(r"\D", "", text, flags=re.ASCII)[-PHONE_KEY_DIGITS:]
