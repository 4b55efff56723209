"""Writes crops to files."""
import pathlib


def write_crops(folder: str, crops, written) -> None:
    while (item := crops.get()) is not None:
        frame, found = item
        for number, crop in enumerate(found):
            pathlib.Path(folder, f"{frame:05}_{number}.raw").write_bytes(crop)
        written.put(len(found))
