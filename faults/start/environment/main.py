import os


def connect():
    return os.environ["PIPELINE_BUCKET"]


print("bucket", connect())
