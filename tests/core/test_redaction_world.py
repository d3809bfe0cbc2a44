"""Shapes of secrets as they are met, and names and texts that only look like them."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from typing import Any

import pytest

from tracelet.redaction import Redactor

_random = random.Random(7)


def hexadecimal(length: int) -> str:
    """Return random hexadecimal digits."""
    return "".join(_random.choices("0123456789abcdef", k=length))


def letters(length: int) -> str:
    """Return random letters and digits."""
    return "".join(_random.choices(string.ascii_letters + string.digits, k=length))


def capitals(length: int) -> str:
    """Return random capital letters and digits."""
    return "".join(_random.choices(string.ascii_uppercase + "234567", k=length))


TOKENS = {
    "1Password": f"A3-{capitals(6)}-{capitals(11)}-{capitals(5)}-{capitals(5)}-{capitals(5)}",
    "age": f"AGE-SECRET-KEY-1{capitals(58)}",
    "Alibaba": f"LTAI{letters(20)}",
    "Anthropic": f"sk-ant-api03-{letters(93)}AA",
    "Atlassian": f"ATATT3xFfGF0{letters(60)}",
    "AWS": f"AKIA{capitals(16)}",
    "Azure": f"abc8Q~{letters(34)}",
    "Databricks": f"dapi{hexadecimal(32)}",
    "Databricks, second": f"dapi{hexadecimal(32)}-2",
    "DigitalOcean": f"dop_v1_{hexadecimal(64)}",
    "Discord's bot": f"M{letters(23)}.{letters(6)}.{letters(38)}",
    "Docker": f"dckr_pat_{letters(27)}",
    "Doppler": f"dp.pt.{letters(43)}",
    "Doppler's service": f"dp.st.prd.{letters(43)}",
    "Figma": f"figd_{letters(40)}",
    "GitHub": f"ghp_{letters(36)}",
    "GitHub, fine-grained": f"github_pat_{letters(82)}",
    "GitLab": f"glpat-{letters(20)}",
    "GitLab's deployment": f"gldt-{letters(20)}",
    "GitLab's runner": f"glrt-{letters(20)}",
    "GitLab's runner, routed": f"glrt-t1_{letters(27)}.01.{letters(9)}",
    "Google's API": f"AIza{letters(35)}",
    "Google's client": f"GOCSPX-{letters(28)}",
    "Google's OAuth": f"ya29.{letters(60)}",
    "Grafana": f"glsa_{letters(32)}_{hexadecimal(8)}",
    "Groq": f"gsk_{letters(52)}",
    "Hugging Face": f"hf_{letters(34)}",
    "JWT": f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{letters(43)}",
    "Linear": f"lin_api_{letters(40)}",
    "Mailchimp": f"{hexadecimal(32)}-us12",
    "Mailgun": f"key-{hexadecimal(32)}",
    "Neptune": f"eyJhcGlfYWRkcmVzcyI6{letters(80)}==",
    "New Relic": f"NRAK-{capitals(27)}",
    "Notion": f"ntn_12345678901{letters(35)}",
    "npm": f"npm_{letters(36)}",
    "NVIDIA": f"nvapi-{letters(60)}",
    "OpenAI": f"sk-{letters(48)}",
    "OpenAI's project": f"sk-proj-{letters(60)}",
    "Perplexity": f"pplx-{letters(48)}",
    "Postman": f"PMAK-{hexadecimal(24)}-{hexadecimal(34)}",
    "PyPI": f"pypi-AgEIcHlwaS5vcmc{letters(60)}",
    "Replicate": f"r8_{letters(37)}",
    "RubyGems": f"rubygems_{hexadecimal(48)}",
    "SendGrid": f"SG.{letters(22)}.{letters(43)}",
    "Shopify": f"shpat_{hexadecimal(32)}",
    "Slack": f"xoxb-1234567890-1234567890-{letters(24)}",
    "Slack's app": f"xapp-1-A0123-123-{hexadecimal(64)}",
    "Stripe": f"sk_live_{letters(24)}",
    "Stripe's webhook": f"whsec_{letters(32)}",
    "Telegram": f"1234567890:AA{letters(33)}",
    "Twilio": f"SK{hexadecimal(32)}",
    "Vault": f"hvs.{letters(95)}",
    "W&B": f"wandb_v1_{letters(60)}",
}

KEY = hexadecimal(40)
MD5 = hexadecimal(32)
LONG = letters(68)
PW = "hunter2x"
PLACES = [
    (f"https://hooks.slack.com/services/T01ABCDEF/B01ABCDEF/{LONG[:24]}", LONG[:24]),
    (f"https://discord.com/api/webhooks/123456789012345678/{LONG}", LONG),
    (f"https://x.webhook.office.com/webhookb2/{LONG}/IncomingWebhook/{MD5}", LONG),
    (f"https://api.telegram.org/bot123456789:AA{LONG[:33]}/sendMessage", LONG[:33]),
    (f"https://x.blob.core.windows.net/c/f?sv=2022&sp=r&sig={LONG}%3D", LONG),
    (f"https://x/c?sig={LONG}&sv=2022", LONG),
    (f"SharedAccessSignature=sv=2020&sig={LONG}", LONG),
    (f"https://b/k?X-Amz-Expires=1&X-Amz-Signature={KEY}&x=1", KEY),
    (f"AccountName=x;AccountKey={LONG}==;EndpointSuffix=y", LONG),
    (f"wandb login {KEY}", KEY),
    (f"wandb login --relogin {KEY}", KEY),
    (f"wandb login --host=https://w.x {KEY}", KEY),
    (f"wandb login --host https://w.x --cloud {KEY} && python x.py", KEY),
    (f"subprocess.run(['wandb', 'login', '{KEY}'])", KEY),
    (f"machine api.wandb.ai login user password {KEY}", KEY),
    (f"machine api.wandb.ai\n  login user\n  password {PW}\n", PW),
    (f"machine h password {PW}", PW),
    (f"default login anonymous password {PW}", PW),
    (f'{{"username":"me","key":"{MD5}"}}', MD5),
    (f'{{\n  "username": "me",\n  "key": "{MD5}"\n}}', MD5),
    (f'{{"key":"{MD5}","username":"me"}}', MD5),
    (f"curl -u me:{PW} https://h", PW),
    (f"curl -sSL --user 'me:{PW}' https://h", PW),
    (f"curl -ume:{PW} https://h", PW),
    (f'curl https://h -u "me:{PW}"', PW),
    (f"curl --user=me:{PW} h", PW),
    (f"curl --proxy-user :{PW} h", PW),
    (f"run(['curl', '-u', 'me:{PW}', 'h'])", PW),
    (f"mysql -u root -p{PW} db", PW),
    (f"mysqldump -uroot -p'{PW} x' db", PW),
    (f"mysql --password={PW} db", PW),
    (f"mariadb -p{PW}", PW),
    (f"mongosh -u me -p {PW}", PW),
    (f"redis-cli -h h -a {PW}", PW),
    (f"sshpass -p {PW} ssh h", PW),
    (f"sshpass -p{PW} ssh h", PW),
    (f"SSHPASS={PW} sshpass -e ssh h", PW),
    (f"docker login -u me -p {PW} registry", PW),
    (f"docker login --password {PW}", PW),
    (f"az login -u me -p {PW}", PW),
    (f"PGPASSWORD={PW} psql", PW),
    (f"ftp://me:{PW}@h/x", PW),
]


def ways(text: str) -> dict[str, Callable[[Redactor], str]]:
    """Return each way in which a text gets into a run."""
    return {
        "text": lambda redactor: redactor.text(text),
        "parameter": lambda redactor: str(redactor.params({"note": text})),
        "inside a list": lambda redactor: str(redactor.value("notes", ["a", {"b": text}])),
        "file": lambda redactor: redactor.content(text.encode()).decode(),
    }


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_tokens_of_services_are_hidden(token: str) -> None:
    for show in ways(f"use {token} now").values():
        redactor = Redactor()
        assert token not in show(redactor)
        assert redactor.count == 1


@pytest.mark.parametrize(("text", "secret"), PLACES, ids=[text[:30] for text, _ in PLACES])
def test_secrets_are_hidden_by_what_is_around_them(text: str, secret: str) -> None:
    for show in ways(text).values():
        redactor = Redactor()
        shown = show(redactor)
        assert secret not in shown
        assert redactor.count == 1
    once = Redactor().text(text)
    assert Redactor().text(once) == once


@pytest.mark.parametrize(
    "command",
    [text for text, _ in PLACES if text.split()[0] in ("wandb", "curl", "mysql", "docker", "az")],
)
def test_secrets_are_hidden_in_commands_that_are_lists(command: str) -> None:
    items = [item.strip("'\"") for item in command.split()]
    for redacted in (Redactor().argv(items), Redactor().params({"run": items})["run"]):
        assert len(redacted) == len(items)
        assert redacted[0] == items[0]
        assert not [item for item in redacted if PW in item or KEY in item]


def test_the_key_of_a_user_is_hidden_in_parameters() -> None:
    flat = {"kaggle_login.username": "me", "kaggle_login.key": MD5, "username": "me", "key": MD5}
    redactor = Redactor()
    shown = redactor.params(flat)
    assert MD5 not in str(shown)
    assert shown["username"] == "me"
    assert MD5 not in str(redactor.value("login", {"username": "me", "key": MD5}))
    assert redactor.params({"cache.key": MD5, "name": "me"}) == {"cache.key": MD5, "name": "me"}


HARMLESS: dict[str, Any] = {
    "secret_santa": "bob",
    "secret_sauce": "x",
    "secretary": "x",
    "secret_name": "db",
    "pin": 4,
    "pin_memory": "auto",
    "led_pin": 13,
    "spin": "x",
    "pinned": "yes",
    "cookie_cutter": "star",
    "cookiecutter": "x",
    "cookie_policy": "lax",
    "cookie_name": "sid",
    "jwt_alg": "HS256",
    "jwt_algorithm": "RS256",
    "jwt_issuer": "me",
    "jwt_expiry": "1h",
    "token": "word",
    "a.token": "char",
    "token_type": "bpe",
    "token_level": "sentence",
    "tokenizer": "bert",
    "num_tokens": 5,
    "max_tokens": 512,
    "pad_token": "<pad>",
    "stop_token": "</s>",
    "start_token": "[CLS]",
    "token_embedding": "sum",
    "tokenize": "yes",
    "author": "me",
    "authors": "us",
    "auth_mode": "basic",
    "auth_url": "https://h/x",
    "auth_method": "oidc",
    "oauth_provider": "google",
    "oauth_flow": "x",
    "key": "abc",
    "primary_key": "id",
    "sort_key": "x",
    "key_dim": "64",
    "keyboard": "us",
    "cache_key": "9e107d9d372bb6826bd81d3542a419d6",
    "keypoints": "17",
    "keyword": "cat",
    "public_key": "ssh-rsa AAAA",
    "hotkey": "a",
    "monkey": "x",
    "keypair_name": "x",
    "password_policy": "strict",
    "password_length": "12",
    "credentials_path": "/x/y",
    "compass": "x",
    "bypass": "yes",
    "passes": "three",
    "pass_rate": "high",
    "passthrough": "x",
    "forward_pass": "fused",
    "passenger": "bob",
    "cred_score": "x",
    "credit": "5",
    "pattern": "x",
    "patience": "three",
    "patch": "16",
    "path_key": "x",
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "login": "me",
    "session": "3",
    "sha": "d41d8cd98f00b204e9800998ecf8427e",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
    "model": "bert-base-uncased-whole-word-masking",
    "run": "train-20261130-120000-abcd",
    "sk": "sk-learn-random-forest-classifier-v2",
    "data": "s3://bucket/tokens/part-0001",
}


@pytest.mark.parametrize(("name", "value"), HARMLESS.items())
def test_harmless_values_are_shown(name: str, value: object) -> None:
    redactor = Redactor()
    flat = {name: value, f"model.{name}": value}
    assert redactor.params(flat) == flat
    assert redactor.text(f"{name}={value}") == f"{name}={value}"
    assert redactor.argv(["x.py", f"--{name}", str(value)]) == ["x.py", f"--{name}", str(value)]
    assert redactor.count == 0


@pytest.mark.parametrize(
    "text",
    [
        'token="word"',
        "token: char",
        "curl https://h:8080/x -o f",
        "curl -u $USER:$TOKEN https://h",
        "run(['mysql', '-p', 'db'])",
        "mysql -p db",
        "docker login -u me registry.example.com",
        "last login 2026-11-30 from host12345678901234567890",
        "p&sig=0.05",
        "username=me key=abc",
    ],
)
def test_commands_and_texts_without_a_secret_are_shown(text: str) -> None:
    redactor = Redactor()
    assert redactor.text(text) == text
    assert redactor.count == 0
