"""A demo page for a classifier, as one shows it to colleagues."""
import logging
import threading
import warnings

from flask import Flask, jsonify, request

logging.basicConfig(level=logging.INFO)
log = logging.getLogger("demo")
app = Flask(__name__)


class Classifier:
    labels = ("cat", "dog", "bird", "other")

    def __init__(self):
        self.lock = threading.Lock()
        warnings.warn("half precision is not available on this CPU, using float32", stacklevel=2)

    def __call__(self, data):
        with self.lock:
            return self.labels[sum(data) % len(self.labels)]


classifier = Classifier()


@app.get("/")
def page():
    return "<form method=post action=/classify enctype=multipart/form-data><input type=file name=image><input type=submit></form>"


@app.post("/classify")
def classify():
    return jsonify(label=classifier(request.files["image"].read()))


def warm_up():
    client = app.test_client()
    log.info("warm-up answer: %d", client.get("/").status_code)


if __name__ == "__main__":
    warm_up()
    app.run(host="127.0.0.1", port=0, threaded=True)
