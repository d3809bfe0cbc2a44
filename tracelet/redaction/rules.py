"""What a secret is: by the name of a value, by its shape, and by the command that it is given to.

This page decides, and no other does. :mod:`tracelet.redaction.texts` finds names and values
in a ``str``, and :mod:`tracelet.redaction.redactor` in mappings, lists and command lines.

The shapes are those that the services document; gitleaks keeps a list of them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Container
from itertools import pairwise
from typing import Final

NONE: Final = 0
TEXTS: Final = 1
"""Strings under the key are secret, numbers are not."""
NUMBERS: Final = 2
"""Strings and numbers are secret."""
EVERYTHING: Final = 3
"""Whatever is under the key is secret: the user said so."""

# -- by name -----------------------------------------------------------------------------------
# A key is read as words, however they are joined: apiKey, API_KEY, api-key. Each name of a dotted
# key counts, so that what is below "credentials" is secret as well, and so do two that follow each
# other, as in "openai.key".


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MARKS: Final = (
    *("pass", "pwd", "pin", "pat", "secret", "token", "key", "auth", "cred", "bearer", "jwt"),
    "cookie",
)
"""One of these, in small letters, is in every name of a secret."""

_PASSWORDS = ("password", "passwords", "passwd", "passphrase", "passcode", "pwd", "sshpass")
"""Ends of words that make a secret wherever they are in a name; its numbers are secret, too."""

_KEYS = (
    *("credential", "credentials", "apikey", "apikeys", "accesskey", "secretkey", "privatekey"),
    *("authkey", "sshkey"),
)
"""Ends of words that make a secret wherever they are in a name."""

_HEADS = _words("authorization bearer cookie cookies cred creds jwt oauth")
"""Words that make a secret as the last of a name, as ``secret`` does."""

_QUALIFIERS = _words(
    """
    b64 base code content current data default dev development header json live main new old phrase
    plain primary prod production raw sandbox secondary staging str string test v value values
    """
)
"""Words after the last one that counts: ``secret_value``, ``cookie_header``, ``token_v2``."""

_DESCRIPTIONS = _words(
    """
    age alg algo algorithm budget column count dim dims dir directory dropout embed embedding
    embeddings enabled endpoint env expiration expires expiry field file folder format hint host id
    ids index kind label len length lifetime limit loss mask mode name names num path pattern policy
    rate regex required scope size strength timeout ttl type uri url usage var version weight
    """
)
"""Last words that make a key say something about a secret, and not hold it."""

_DESCRIBED = _words("auth cookie jwt oauth token")
"""Names below which a description is none of a secret: ``token: {mode: max}``."""

_OWNERS = _words(
    """
    access account anthropic api app auth aws azure bot cipher clearml client comet crypto csrf
    decryption deploy deployment encryption gcp gh git github gitlab gpg hf hmac hub huggingface
    id jwt kaggle license login master mlflow neptune oauth openai personal pgp private project
    refresh registry rsa sas secret security service session shared signing slack ssh ssl storage
    subscription telegram tls user wandb webhook
    """
)
"""Words that make the ``key``, ``token`` or ``tokens`` next to them a secret, and the ``pat``."""

_LOGINS = _words(
    "admin basic db email ftp http imap login mail mongo mysql pg postgres proxy redis root smtp "
    "ssh user"
)
"""Words that make the ``pass`` after them a secret."""

_PINS = _OWNERS | {"bank", "card", "sim"}
"""Words that make the ``pin`` after them a secret; alone it is one of a board."""

OF_TEXT: Final = _words(
    """
    action add added additional all anchor answer assistant audio avg bad batch begin best blank boa
    boi bos byte char chat class cls completion concept cond content context continuation cross
    current decoder delimiter dist distill distillation domain dummies dummy empty encoder end eoa
    eod eoi eos eot extra false fim first forced free frequent full global good guidance image img
    initializer input instance kept lang language last latent learnable learned letter local longest
    mask masked max mean memory meta middle min modifier multi n negative new newline next no noise
    null num object one out output pad padding patch per placeholder pool pos position positive
    predicted prefix prev previous prompt pseudo query question random rare reasoning reg register
    reserved role sample sentence sentinel sep separator seq sequence single soft sos source space
    spatial special speech src start state step stop sub subject subword suffix summary super system
    tag target task temporal text tgt think thinking time tool top total trainable trigger true turn
    unk unknown unused video virtual vision visual vocab whitespace word yes
    """
)
"""Words that make the ``token`` after them one of a text, and that are no secret as its value."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@functools.lru_cache(maxsize=4096)
def secrecy(key: str) -> int:
    """Return what is secret under a flat key: nothing, strings, or numbers too."""
    outer = level = NONE
    above = ""
    for name in re.split(r"[./]", key):
        if above.lower() in _DESCRIBED and name.lower() in _DESCRIPTIONS:
            level = outer
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
    if any(word.endswith(_PASSWORDS) for word in words):
        return NUMBERS
    if words[-1] == "pincode" or words[-2:] == ["pin", "code"]:
        return NUMBERS
    if any(word.endswith(_KEYS) for word in words) or _has_key(words):
        return TEXTS
    while words[-1] in _QUALIFIERS and len(words) > 1:
        words.pop()
    if words[-1] == "pin":
        return NUMBERS if _PINS.intersection(words[-2:-1]) else NONE
    return TEXTS if _is_secret(words[:-1], words[-1]) else NONE


def _has_key(words: list[str]) -> bool:
    """Tell by the owner before a key or tokens; the key of IDs is a column."""
    return any(
        owner in _OWNERS
        and (word in ("token", "tokens") or (word in ("key", "keys") and owner != "id"))
        for owner, word in pairwise(words)
    )


def _is_secret(before: list[str], last: str) -> bool:
    """Tell by the last word of a name, and by the words before it."""
    if last == "pass":
        return not before or before[-1] in _LOGINS
    if last == "pat":
        return bool(before) and before[-1] in _OWNERS
    if last == "token":
        return OF_TEXT.isdisjoint(before)
    if last.endswith("token"):
        return last.removesuffix("token") not in OF_TEXT
    return last in _HEADS or last == "auth" or last.endswith(("secret", "secrets"))


# -- by shape ----------------------------------------------------------------------------------

_SHAPES = (
    r"A(?:KIA|SIA|BIA|CCA|3T[A-Z0-9])[A-Z0-9]{16}",  # AWS
    r"ABSK[A-Za-z0-9+/]{60,}={0,2}",  # AWS Bedrock
    r"LTAI[A-Za-z0-9]{16,24}",  # Alibaba Cloud
    r"AIza[\w-]{30,}|ya29\.[\w-]{16,}|GOCSPX-[\w-]{20,}",  # Google
    r"[\w~.]{3}\dQ~[\w~.-]{31,34}",  # Azure
    r"dop_v1_\w{40,}|do[or]_v1_\w{40,}|HRKU-[\w-]{30,}|pul-[0-9a-f]{40}",  # clouds
    r"(?:fo1_|fm1[ar]_|fm2_)[\w+/-]{40,}|dt0c01\.\w{24}\.\w{64}",
    r"gh[opsur]_[A-Za-z0-9]{16,}|github_pat_\w{16,}",  # GitHub
    r"gl(?:agent|cbt|dt|ffct|ft|imt|oas|pat|ptt|rt|soat)-[\w.-]{16,}|GR1348941[\w-]{20}",  # GitLab
    r"AT(?:ATT3|CTT3|BB)[\w=.-]{20,}",  # Atlassian
    r"npm_[A-Za-z0-9]{30,}|pypi-[\w-]{30,}|rubygems_[0-9a-f]{48}|dckr_[po]at_[\w-]{20,}",
    r"sk-(?:(?:admin|ant|or-v1|proj|svcacct)-[\w-]{16,}|(?:[a-z]{1,9}-)?[A-Za-z0-9]{16}[\w-]*)",
    r"(?:hf|api_org|gsk|r8|tgp_v1|fw|wandb_v1)_[A-Za-z0-9]{16}[\w-]*",  # models and their hosts
    r"(?:nvapi|pplx|xai)-[\w-]{30,}|lsv2_[ps]t_\w{30,}|eyJhcGlf[\w+/=-]{40,}",
    r"dapi[0-9a-f]{32}(?:-\d)?|pscale_(?:oauth|pw|tkn)_[\w=.-]{32,}|sbp_[0-9a-f]{40}",  # data
    r"hv[sb]\.[\w-]{24,}|dp\.(?:audit|ct|pt|sa|scim|st)\.[\w.-]{32,}",  # vaults
    r"ops_eyJ[\w+/=-]{30,}|A3-[A-Z0-9]{6}-[A-Z0-9-]{20,}|AGE-SECRET-KEY-1[A-Z0-9]{50,}",
    r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,}|sha256~[\w-]{43}|SWMTKN-1-[\w-]{30,}",
    r"(?:rk|sk)_(?:live|prod|test)_[A-Za-z0-9]{10,}|whsec_[\w+/=]{24,}",  # Stripe
    r"sq0(?:atp|csp)-[\w-]{22,}|EAAA[\w-]{40,}|EAA[CM][A-Za-z0-9]{80,}|shp(?:at|ca|pa|ss)_\w{32}",
    r"SK[0-9a-f]{32}|SG\.[\w-]{16,}\.[\w-]{16,}|xkeysib-[0-9a-f]{64}-\w{16}",  # messages
    r"key-[0-9a-f]{32}|[0-9a-f]{32}-us\d{1,2}",
    r"xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{20,}",  # Slack
    r"hooks\.slack\.com/(?:services|workflows|triggers)/[\w/]{20,}",
    r"discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d+/[\w-]{30,}",
    r"\w+\.webhook\.office\.com/webhookb2/[\w@/-]{40,}",
    r"[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,}",  # Discord's bots
    r"(?:bot)?\d{8,10}:AA[\w-]{32,}",  # Telegram's bots
    r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}|ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43}",  # offices
    r"figd_[\w-]{40}|PMAK-[0-9a-f-]{50,}|pat[A-Za-z0-9]{14}\.[0-9a-f]{64}",
    r"gl(?:c|sa)_[\w+/=]{32,}|eyJrIjoi[A-Za-z0-9=]{40,}|sntry[su]_[\w+/=]{40,}",  # observation
    r"NRAK-[A-Z0-9]{27}|sgp_\w{40,}|duffel_(?:live|test)_[\w=-]{40,}|shippo_(?:live|test)_\w{40}",
    r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?",  # JWT
)
TOKEN: Final = rf"(?P<before>(?<![A-Za-z0-9]))(?:{'|'.join(_SHAPES)})(?P<after>)"
"""Tokens of well-known services, under any name."""

LONG_RUN: Final = r"[\w.-]{20}"
"""What is in every ``str`` with such a token."""

# -- by place ----------------------------------------------------------------------------------
# Each has the groups "before" and "after", which are kept. No pattern may take quadratic time: a
# repetition is possessive, or bounded, or ends at a place from which no other begins.

_PRIVATE_KEY = (
    r"(?s)(?P<before>)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)(?P<after>)"
)
# A port is no password, but a password can have a slash.
_USER_INFO = (
    r"(?P<before>://[^\s/:@]*+:)(?!\[redacted\]@)"
    r"(?:[^\s/]+|(?!\d{1,5}[/?#])[^\s@\"'<>]{1,99})(?P<after>@)"
)
_BEARER = r"(?P<before>\b[Bb]earer\s+)[\w.~+/=-]{8,}(?P<after>)"
_SIGNATURE = (
    r"(?P<before>[?&;](?:sig|(?:X-(?:Amz|Goog)-)?(?:Signature|Security-Token))=)"
    r"[\w%+/=.~-]{16,}(?P<after>)"
)
_NETRC = (
    r"(?P<before>\b(?:machine\s+\S{1,200}|default)\s+(?:login\s+\S{1,200}\s+)?"
    r"(?:account\s+\S{1,200}\s+)?password\s+)(?!\[redacted\])\S+(?P<after>)"
)
_COLON = r"[\"']?\s{0,9}[:=]\s{0,9}[\"']?"
_KEY_OF_USER = (  # kaggle.json
    rf"(?P<before>\busername{_COLON}[^\"'\s,]{{1,99}}[\"']?,?\s{{0,99}}[\"']?key{_COLON})"
    r"[0-9a-f]{32}(?P<after>\b)"
)
_KEY_BEFORE_USER = (
    rf"(?P<before>\bkey{_COLON})[0-9a-f]{{32}}(?P<after>[\"']?,?\s{{0,99}}[\"']?username\b)"
)

# A command in a text, in a list in a text, and in a list whose items are joined by SEPARATOR.
SEPARATOR: Final = "\x1f"
"""White space in a pattern, and in no argument."""
_GAP = r"(?:\s+|[\"'],\s*[\"'])"
_NONE = r"(?!\[redacted\]|\$|[\"'],)"
_VALUE = rf"{_NONE}(?:\"[^\"\n\x1f]+\"|'[^'\n\x1f]+'|[^\s\"']+)(?P<after>)"
_KEY = r"(?=[a-z-]*\d)[A-Za-z0-9_-]{20,}(?P<after>)"


def _after(program: str, option: str, value: str = _VALUE) -> str:
    return rf"(?P<before>\b{program}\b[^\n|;]{{0,500}}?{_GAP}(?:{option})){value}"


_USER = rf"(?:-[uU]|--(?:proxy-)?user)(?:=|{_GAP})?[\"']?[^\s:\"']*+:"
_HOST = rf"(?:{_GAP}--?[\w-]+(?:(?:=|{_GAP})https?://[^\s\"']{{1,200}})?)*+"

PLACES: Final = (
    ("private key", _PRIVATE_KEY),
    ("://", _USER_INFO),
    ("bearer", _BEARER),
    ("sig", _SIGNATURE),
    ("password", _NETRC),
    ("username", _KEY_OF_USER),
    ("username", _KEY_BEFORE_USER),
    ("login", rf"(?P<before>\blogin{_HOST}{_GAP}){_KEY}"),
    ("login", _after("login", f"-[pk]{_GAP}")),
    ("curl", _after("curl", _USER, rf"{_NONE}[^\s\"']+(?P<after>)")),
    ("mysql", _after(r"mysql\w*", "-p", rf"(?=\S){_VALUE}")),
    ("mariadb", _after(r"mariadb[\w-]*", "-p", rf"(?=\S){_VALUE}")),
    ("mongo", _after(r"mongo\w*", f"-p{_GAP}")),
    ("redis-cli", _after("redis-cli", f"-a{_GAP}")),
    ("sshpass", _after("sshpass", f"-p{_GAP}?")),
)
"""What is in the ``str`` in small letters, and the pattern of a secret there."""

_KAGGLE = re.compile(r"[0-9a-f]{32}")


def is_key_of_user(key: str, value: object, beside: Container[str]) -> bool:
    """Tell the ``key`` beside a ``username``, as in kaggle.json, from one that sorts or caches."""
    above = key.removesuffix("key")
    return (
        above != key
        and f"{above}username" in beside
        and isinstance(value, str)
        and _KAGGLE.fullmatch(value) is not None
    )
