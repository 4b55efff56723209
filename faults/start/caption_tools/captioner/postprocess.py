"""Clean-up of raw captions."""


def tidy(caption: str, limit: int = 12) -> str:
    words = [word for word in caption.replace("_", " ").split() if word]
    return " ".join(words[:limit]).capitalize() + "."
