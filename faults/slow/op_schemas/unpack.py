import os

CLASS = '''

@register("{name}", since={since})
class {name}(Operator):
    """Schema of {name}."""
    inputs = {{"x": Tensor("T"), "w": Tensor("T"), "b": Optional(Tensor("T"))}}
    outputs = {{"y": Tensor("T")}}
    attributes = {{"axis": Attr(int, {since}), "alpha": Attr(float, 0.{since}), "mode": Attr(str, "{name}")}}

    def infer(self, x, w, b=None):
        if len(x) != len(w):
            raise ValueError(f"{name}: rank {{len(x)}} against {{len(w)}}")
        return [a if a == c else (a if c == 1 else c) for a, c in zip(x, w)]

    def cost(self, x, w, b=None):
        n = 1
        for d in self.infer(x, w, b):
            n *= d if isinstance(d, int) else {since}
        return n * (2 if b is None else 3)
'''
BASE = '''
REGISTRY = {}
class Operator: pass
class Tensor:
    def __init__(self, kind): self.kind = kind
class Optional(Tensor): pass
class Attr:
    def __init__(self, kind, default): self.kind, self.default = kind, default
def register(name, since):
    def wrap(cls):
        REGISTRY[name] = cls
        return cls
    return wrap
'''


def write_package(root, package, modules, per_module=60):
    d = os.path.join(root, package)
    os.makedirs(d)
    with open(os.path.join(d, "base.py"), "w") as f:
        f.write(BASE)
    for m in range(modules):
        body = "".join(CLASS.format(name=f"Op{m}x{i}", since=i % 9 + 1) for i in range(per_module))
        with open(os.path.join(d, f"ops_{m:03d}.py"), "w") as f:
            f.write(f"from .base import *\n{body}")
    with open(os.path.join(d, "__init__.py"), "w") as f:
        f.write("from .base import REGISTRY\n" + "".join(f"from . import ops_{m:03d}\n" for m in range(modules)))
