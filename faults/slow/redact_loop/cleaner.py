import re

PHONE = re.compile(r"\b\d{3}-\d{4}\b")
MAIL = re.compile(r"(?:[a-z0-9]+[.]?)+@[a-z0-9.]+")


def redact(text):
    text = PHONE.sub("[phone]", text)
    return MAIL.sub("[mail]", text)
