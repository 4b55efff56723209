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
        question = json.loads(self.request_body())
        type(self).calls += 1
        if self.calls <= 3:
            text = question["messages"][-1]["content"][::-1]
            self.reply(200, {"choices": [{"message": {"content": text}}], "usage": {"total_tokens": 21}})
            return
        message = (
            "Rate limit reached for gpt-4o-mini in organization org-k2 on requests per min (RPM): "
            "Limit 3, Used 3, Requested 1. Please try again in 20s."
        )
        self.reply(
            429,
            {"error": {"message": message, "type": "requests", "param": None, "code": "rate_limit_exceeded"}},
            {"Retry-After": "20", "x-ratelimit-remaining-requests": "0"},
        )

    def log_message(self, *args) -> None:
        pass


def start() -> str:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"
