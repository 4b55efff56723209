"""Captions of uploaded images over HTTP."""
import argparse
import logging

from flask import Flask, jsonify, request

log = logging.getLogger("api")
app = Flask(__name__)


class Captioner:
    def __init__(self) -> None:
        self.words = ["a", "photo", "of"]

    def __call__(self, image: bytes) -> str:
        tone = "a dark scene" if not image or sum(image) / len(image) < 100 else "a bright scene"
        return " ".join([*self.words, tone])


captioner = Captioner()


@app.post("/caption")
def caption():
    image = request.get_data()
    if not image:
        return jsonify(error="no image"), 400
    return jsonify(caption=captioner(image))


@app.get("/health")
def health():
    return jsonify(ok=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    log.info("captioner ready, %d words", len(captioner.words))
    app.run(host=args.host, port=args.port)
