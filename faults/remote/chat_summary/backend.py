"""A chat service."""
import http.server
import json
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    calls = 0
    started = time.monotonic()

    def reply(self, status: int, value, headers: dict | None = None, kind: str = "application/json") -> None:
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def request_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_POST(self) -> None:
        self.request_body()
        key = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        message = (
            f"Incorrect API key provided: {key[:7]}****{key[-4:]}. "
            "You can find your API key at https://platform.openai.com/account/api-keys."
        )
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}
        self.reply(401, {"error": error}, {"WWW-Authenticate": "Bearer"})

    def do_GET(self) -> None:
        self.reply(200, {"object": "list", "data": [{"id": "gpt-4o-mini", "object": "model"}]})

    def log_message(self, *args) -> None:
        pass


def start() -> str:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"
