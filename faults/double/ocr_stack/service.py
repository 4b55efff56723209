"""Reads text from page images over HTTP."""
import argparse
import http.server
import json
import logging

log = logging.getLogger("service")


def load_engine(language: str):
    log.info("loading the engine for %s", language)
    import paddleocr_lite

    return paddleocr_lite.Engine(language)


class Handler(http.server.BaseHTTPRequestHandler):
    engine = None

    def do_POST(self) -> None:
        page = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"text": self.engine.read(page)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--language", default="en")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    Handler.engine = load_engine(args.language)
    http.server.ThreadingHTTPServer(("127.0.0.1", args.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
