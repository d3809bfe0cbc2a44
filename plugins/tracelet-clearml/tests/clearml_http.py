"""The HTTP side of the server of the tests: requests as the SDK makes them, and uploads."""

from __future__ import annotations

import email
import email.policy
import json
from http.server import BaseHTTPRequestHandler
from typing import Any


class RefusedError(Exception):
    """The server does not take a request; it answers with a code and a subcode."""

    def __init__(self, code: int, subcode: int, message: str) -> None:
        super().__init__(message)
        self.code, self.subcode = code, subcode


class Handler(BaseHTTPRequestHandler):
    """Hands requests to the server's state, and keeps the files that are uploaded."""

    state: Any
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            self._keep_files(kind, body)
            return
        name = self.path.rpartition("/")[2].partition("?")[0]
        try:
            if kind == "application/json-lines":
                content = [_loads(line) for line in body.splitlines()]
            else:
                content = _loads(body or b"{}")
            self._say(200, {"data": self.state.answer(name, content), "meta": {"result_code": 200}})
        except RefusedError as error:
            meta = {"result_code": error.code, "result_subcode": error.subcode}
            self._say(error.code, {"data": {}, "meta": {**meta, "result_msg": str(error)}})
        except (AssertionError, KeyError, TypeError, ValueError) as error:  # not well-formed
            meta = {"result_code": 400, "result_subcode": 12, "result_msg": repr(error)}
            self._say(400, {"data": {}, "meta": meta})

    do_GET = do_POST  # noqa: N815 - the SDK asks by GET, with a body, unless told otherwise

    def _keep_files(self, kind: str, body: bytes) -> None:
        whole = f"Content-Type: {kind}\r\n\r\n".encode() + body
        message = email.message_from_bytes(whole, policy=email.policy.HTTP)
        for part in message.iter_parts():
            name = part.get_param("name", header="content-disposition")
            content = part.get_payload(decode=True)
            self.state.files[str(name).lstrip("/")] = content
            self.state.calls.append("files.upload")
        self._say(200, {})

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _say(self, code: int, content: Any) -> None:
        answer = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _loads(text: bytes) -> Any:
    def refuse(token: str) -> Any:
        raise ValueError(f"{token} is no number of JSON's")

    return json.loads(text, parse_constant=refuse)
