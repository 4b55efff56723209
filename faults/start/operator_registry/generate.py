"""Writes one module with launch tables per operator."""
import argparse
import pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--count", type=int, default=10)
parser.add_argument("--variants", type=int, default=2600)
args = parser.parse_args()

out = pathlib.Path("generated")
out.mkdir()
(out / "__init__.py").write_text(f"NAMES = [f'op{{n:03}}' for n in range({args.count})]\n")
body = "\n".join(
    f"def launch_{v}(x, y={v}, *, block=({v % 32}, {v % 8})):\n"
    f"    size = x * {v} + y\n"
    f"    return [size // block[0] if block[0] else size, {{'grid': size, 'y': y}}]\n"
    f"TABLE[{v}] = launch_{v}"
    for v in range(args.variants)
)
for number in range(args.count):
    (out / f"op{number:03}.py").write_text(f'"""Operator {number}."""\nTABLE = {{}}\n{body}\n')
