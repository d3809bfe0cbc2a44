"""Names and shapes of secrets, for the tests of what hides them."""

from __future__ import annotations

import string

from hypothesis import strategies as st

PASSWORD_NAMES = (
    *("password", "db_password", "userPassword", "DB-PASSWORD", "PGPASSWORD", "passwd", "pwd"),
    *("MYSQL_PWD", "passphrase", "password2", "dbpassword"),
)
SECRET_NAMES = (
    *("secret", "client_secret", "clientSecret", "aws_secret_access_key", "secrets", "SECRET_KEY"),
    *("token", "hf_token", "HF_TOKEN", "accessToken", "access_tokens", "token_v2", "authtoken"),
    *("GITLAB_PRIVATE_TOKEN", "session-token", "refresh_token", "api_token", "bearer_token"),
    *("api_key", "apiKey", "APIKey", "API_KEY", "x-api-key", "apikey", "api_keys", "wandb_api_key"),
    *("access_key", "private_key", "ssh_key", "account_key", "openai_key", "api_key_openai"),
    *("credential", "credentials", "git_credentials", "auth", "basic_auth", "Authorization"),
    *("smtp_pass", "pass", "jwt", "cookie"),
)
SHAPES = [
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "github_pat_11ABCDEFG0123456789_abcdefghijklmnop",
    "glpat-abcDEF123_4567890xyz",
    "sk-abcdefghijklmnopqrstuvwxyz012345",
    "sk-proj-abc_DEF-ghijklmnopqrstuvwxyz",
    "sk-ant-api03-abcDEF_ghi-jklmnopqrstuvw",
    "sk_live_0123456789abcdefghij",
    "hf_abcdefghijklmnopqrstuvwxyzABCDEF",
    "xoxb-123456789012-abcdefABCDEF",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "AIzaSyA0123456789abcdefghijklmnopqrstuv",
    "hooks.slack.com/services/T01234567/B01234567/abcdefGHIJKL0123456789ab",
]

secret_texts = st.text(string.ascii_letters + string.digits + "!#%*+^_~", min_size=8).map(
    lambda text: f"q7{text}Z"
)
names_of_secrets = st.sampled_from(PASSWORD_NAMES + SECRET_NAMES)
