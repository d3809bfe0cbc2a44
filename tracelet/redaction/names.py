"""Which keys name a secret: ``api_key`` does; ``num_tokens``, ``pad_token``, ``tokenizer`` do not.

A key is read as words, however they are joined: ``apiKey``, ``API_KEY``, ``api-key``. Each name of
a dotted key counts, so that what is below ``credentials`` is secret as well, and so do two that
follow each other, as in ``openai.key``.
"""

from __future__ import annotations

import functools
import re
from itertools import pairwise
from typing import Final

NONE: Final = 0
TEXTS: Final = 1
"""Strings under the key are secret, numbers are not."""
NUMBERS: Final = 2
"""Strings and numbers are secret."""
EVERYTHING: Final = 3
"""Whatever is under the key is secret: the user said so."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PASSWORDS = ("password", "passwords", "passwd", "passphrase", "passcode", "pwd")
_SECRETS = (
    *("secret", "secrets", "credential", "credentials", "apikey", "apikeys"),
    *("accesskey", "secretkey", "privatekey", "authkey", "sshkey"),
)
_SECRET_WORDS = {"cred", "creds", "bearer", "jwt", "oauth", "authorization", "cookie"}

_DESCRIPTIONS = _words(
    """
    age algorithm budget column count dim dims dir directory dropout embed embedding embeddings
    enabled endpoint env expiration expires expiry field file folder format hint host id ids index
    kind label len length lifetime limit loss mask mode name names num path pattern policy rate
    regex required scope size strength timeout ttl type uri url usage var version weight
    """
)
"""Last words that make a key say something about a secret, and not hold it."""

_OWNERS = _words(
    """
    access account anthropic api app auth aws azure bot cipher clearml client comet crypto csrf
    decryption deploy deployment encryption gcp gh git github gitlab gpg hf hmac hub huggingface
    id jwt kaggle license login master mlflow neptune oauth openai personal pgp private project
    refresh registry rsa sas secret security service session shared signing slack ssh ssl storage
    subscription telegram tls user wandb webhook
    """
)
"""Words that make the ``key``, ``token`` or ``tokens`` next to them a secret."""

_OF_TEXT = _words(
    """
    action add added additional all anchor answer assistant audio avg bad batch begin best blank boa
    boi bos byte char chat class cls completion concept cond content context continuation cross
    current decoder delimiter dist distill distillation domain dummies dummy empty encoder end eoa
    eod eoi eos eot extra false fim first forced free frequent full global good guidance image img
    initializer input instance kept lang language last latent learnable learned local longest mask
    masked max mean memory meta middle min modifier multi n negative new newline next no noise null
    num object one out output pad padding patch per placeholder pool pos position positive predicted
    prefix prev previous prompt pseudo query question random rare reasoning reg register reserved
    role sample sentence sentinel sep separator seq sequence single soft sos source space spatial
    special speech src start state step stop sub subject subword suffix summary super system tag
    target task temporal text tgt think thinking time tool top total trainable trigger true turn unk
    unknown unused video virtual vision visual vocab whitespace word yes
    """
)
"""Words that make the ``token`` after them one of a text."""

_LOGINS = {"admin", "basic", "db", "email", "ftp", "http", "imap", "login", "mail", "mongo"}
_LOGINS |= {"mysql", "pg", "postgres", "proxy", "redis", "root", "smtp", "ssh", "user"}
_PINS = _OWNERS | {"bank", "card", "sim"}


@functools.lru_cache(maxsize=4096)
def secrecy(key: str) -> int:
    """Return what is secret under a flat key: nothing, strings, or numbers too."""
    outer = level = NONE
    above = ""
    for name in re.split(r"[./]", key):
        if above.lower() == "token" and name.lower() in _DESCRIPTIONS:
            level = outer  # ``token: {mode: max}`` is about tokens of a text
        else:
            outer = level
            level = max(level, _of_name(name), _of_name(f"{above}_{name}") if above else NONE)
        above = name
    return level


def is_folder(key: str, value: str) -> bool:
    """Tell the shell's variables ``PWD`` and ``OLDPWD`` from a password's usual abbreviation."""
    return value[:1] in ("/", "\\") and re.split(r"[./]", key)[-1] in ("PWD", "OLDPWD")


def _of_name(name: str) -> int:
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or (words[-1] in _DESCRIPTIONS and len(words) > 1):
        return NONE
    if any(word.endswith(_PASSWORDS) for word in words) or _is_pin(words):
        return NUMBERS
    if any(word.endswith(_SECRETS) or word in _SECRET_WORDS for word in words):
        return TEXTS
    if words[-1] == "auth" or _is_pass(words) or _is_key(words) or _is_token(words):
        return TEXTS
    return NONE


def _is_pass(words: list[str]) -> bool:
    return words[-1] == "pass" and (len(words) == 1 or words[-2] in _LOGINS)


def _is_pin(words: list[str]) -> bool:
    words = words[:-1] if words[1:] and words[-1] == "code" else words
    return words[-1] in ("pin", "pincode") and (len(words) == 1 or words[-2] in _PINS)


def _is_key(words: list[str]) -> bool:
    pairs = [owner for owner, word in pairwise(words) if word in ("key", "keys")]
    return any(owner in _OWNERS and owner != "id" for owner in pairs)  # the key of IDs: a column


def _is_token(words: list[str]) -> bool:
    if any(owner in _OWNERS and word in ("token", "tokens") for owner, word in pairwise(words)):
        return True
    last = [word for word in words if word != "v"][-1:]
    if last == ["token"]:
        return len(words) < 2 or _OF_TEXT.isdisjoint(words)
    joined = last[0].removesuffix("token") if last and last[0].endswith("token") else ""
    return bool(joined) and joined not in _OF_TEXT
