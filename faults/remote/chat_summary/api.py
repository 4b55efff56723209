"""A small client for chat services."""
import http.client
import json


class ApiError(Exception):
    def __init__(self, status: int, reason: str, body: dict) -> None:
        super().__init__(f"Error code: {status} {reason} - {body}")
        self.status, self.body = status, body


class Api:
    def __init__(self, address: str, key: str) -> None:
        self.connection = http.client.HTTPConnection(address, timeout=10)
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        data = json.dumps(body) if body is not None else None
        self.connection.request(method, path, data, self.headers)
        answer = self.connection.getresponse()
        value = json.loads(answer.read())
        if answer.status >= 400:
            raise ApiError(answer.status, answer.reason, value)
        return value

    def models(self) -> list[str]:
        return [model["id"] for model in self.call("GET", "/v1/models")["data"]]

    def chat(self, model: str, text: str) -> str:
        body = {"model": model, "messages": [{"role": "user", "content": text}]}
        return self.call("POST", "/v1/chat/completions", body)["choices"][0]["message"]["content"]
