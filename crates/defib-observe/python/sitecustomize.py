"""Counts live objects when `defib` asks, inside a program that was started with --memory-probe.

Python imports a module of this name at start. It opens a socket of its own and waits
in a thread; the program is touched only when a question comes. An answer costs one
garbage collection, one walk over the live objects and one malloc_trim, during which
the program stands still.
"""
import sys


def _chain():
    """Runs the sitecustomize that this one stands in front of."""
    import importlib.machinery
    import os

    own = os.path.dirname(os.path.abspath(__file__))
    path = [entry for entry in sys.path if os.path.abspath(entry or ".") != own]
    found = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if found is not None and found.loader is not None:
        import importlib.util

        module = importlib.util.module_from_spec(found)
        sys.modules["sitecustomize"] = module
        found.loader.exec_module(module)


def _start():
    import os

    run = os.environ.get("DEFIB_RUN")
    if not run or sys.platform != "linux":
        return
    import _thread
    import socket

    def serve(listening):
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            try:
                _answer(client)
            except Exception:
                pass  # The program must not suffer from what its observer asks.
            finally:
                client.close()

    def listen():
        try:
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            # An abstract name: no file is left, and no path can be too long.
            listening.bind("\0defib-memory-%s-%d" % (run, os.getpid()))
            listening.listen(1)
            _thread.start_new_thread(serve, (listening,))
        except (OSError, RuntimeError):
            pass

    listen()
    os.register_at_fork(after_in_child=listen)


#: Longest time spent on walking the objects, seconds.
WALK_S = 3.0
#: Types and containers that are told.
MOST = 12


def _answer(client):
    import json
    import os
    import socket
    import struct

    # Only the user of this process, or root, may ask.
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    if struct.unpack("3i", credentials)[1] not in (0, os.geteuid()):
        return
    client.settimeout(5.0)
    client.recv(256)
    try:
        told = _measure()
    except Exception as error:
        told = {"error": "%s: %s" % (type(error).__name__, error)}
    client.sendall(json.dumps(told).encode() + b"\n")


def _resident():
    with open("/proc/self/statm") as statm:
        import os

        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _measure():
    import ctypes
    import gc
    import time

    begun = time.monotonic()
    before = _resident()
    collected = gc.collect()
    after_collect = _resident()
    # Counted before anything is trimmed: what is live does not change by that.
    counted = _count(begun)
    trimmed = after_collect
    try:
        ctypes.CDLL(None).malloc_trim(0)
        trimmed = _resident()
    except (AttributeError, OSError):
        pass
    counted.update(
        resident_bytes=before,
        collected=collected,
        collected_bytes=max(0, before - after_collect),
        trimmed_bytes=max(0, after_collect - trimmed),
        uncollectable=len(gc.garbage),
        took_s=time.monotonic() - begun,
    )
    return counted


def _own_bytes(thing, kind):
    """Bytes of one object without what it refers to; buffers of arrays included."""
    try:
        size = sys.getsizeof(thing)
    except Exception:
        return 0
    try:
        if kind == "numpy.ndarray":
            # A view holds nothing of its own; getsizeof of an owner has its buffer.
            return size
        if kind.startswith("torch.") and kind.endswith(("Tensor", "Parameter")):
            if thing.device.type == "cpu":
                return size + thing.untyped_storage().nbytes()
        if kind in ("PIL.Image.Image",) or kind.startswith("PIL."):
            width, height = thing.size
            return size + width * height * len(thing.getbands())
    except Exception:
        pass
    return size


def _name(kind):
    module = getattr(kind, "__module__", "builtins")
    name = getattr(kind, "__qualname__", getattr(kind, "__name__", "?"))
    return name if module in ("builtins", None) else "%s.%s" % (module, name)


def _count(begun):
    import gc
    import time

    counts, sizes, names = {}, {}, {}
    seen = set()
    containers = []
    shared = set()
    complete = True

    def add(thing):
        kind = type(thing)
        name = names.get(kind)
        if name is None:
            name = names[kind] = _name(kind)
        size = _own_bytes(thing, name)
        if name.startswith("torch."):
            try:
                # Several tensors may share one storage.
                where = thing.untyped_storage().data_ptr()
                if where and where in shared:
                    size = 64
                shared.add(where)
            except Exception:
                pass
        counts[name] = counts.get(name, 0) + 1
        sizes[name] = sizes.get(name, 0) + size
        return size

    objects = gc.get_objects()
    frame = sys._getframe()
    spared = {id(each) for each in (counts, sizes, names, seen, containers, shared, objects, frame)}
    for number, thing in enumerate(objects):
        if not number & 1023 and time.monotonic() - begun > WALK_S:
            complete = False
            break
        if id(thing) in spared:
            continue
        seen.add(id(thing))
        add(thing)
    # What the collector does not track, such as bytes, text, arrays and dictionaries of
    # them, is found through those that hold it.
    for number, thing in enumerate(objects):
        if not number & 1023 and time.monotonic() - begun > WALK_S:
            complete = False
            break
        kind = type(thing)
        if id(thing) in spared or kind.__name__ in ("frame", "module", "function", "type", "cell"):
            continue
        held = _held(thing, seen, add, containers, 0)
        # By the exact type: attributes of the program's own classes may do anything.
        if kind in (list, dict, set) or names.get(kind) in ("collections.deque", "collections.OrderedDict"):
            containers.append((held, len(thing), thing))
    types = sorted(sizes, key=sizes.get, reverse=True)[:MOST]
    told = {
        "types": [{"type": name, "count": counts[name], "bytes": sizes[name]} for name in types],
        "objects": sum(counts.values()),
        "live_bytes": sum(sizes.values()),
        "complete": complete,
        "containers": _containers(containers, spared),
    }
    return told


def _held(thing, seen, add, containers, depth):
    """Counts what only `thing` leads to, and returns its bytes."""
    import gc

    held = 0
    for other in gc.get_referents(thing):
        if gc.is_tracked(other) or isinstance(other, type) or id(other) in seen:
            continue
        seen.add(id(other))
        own = add(other)
        if depth < 3 and type(other) in (dict, tuple):
            below = _held(other, seen, add, containers, depth + 1)
            if type(other) is dict:
                containers.append((below, len(other), other))
            own += below
        held += own
    return held


def _containers(containers, spared):
    """The containers that hold most, with a name for each where one is found."""
    import gc

    weighed = []
    for held, length, thing in containers:
        if length < 8 or id(thing) in spared:
            continue
        if held < 1 << 16:
            # What it holds is tracked itself: weighed by a sample, one step further down.
            items = list(thing.values()) if isinstance(thing, dict) else list(thing)
            sample = items[:: max(1, length // 64)]
            below = 0
            for item in sample:
                if isinstance(item, type) or type(item).__name__ in ("module", "function"):
                    continue
                below += _own_bytes(item, _name(type(item)))
                for other in gc.get_referents(item):
                    if not isinstance(other, type) and not callable(other):
                        below += _own_bytes(other, _name(type(other)))
            held = max(held, below * length // max(1, len(sample)))
        weighed.append((held, length, thing))
    weighed.sort(key=lambda one: one[0], reverse=True)
    modules = {id(vars(module)) for module in list(sys.modules.values()) if hasattr(module, "__dict__")}
    top = [one for one in weighed if id(one[2]) not in modules and one[2] is not sys.modules][:MOST]
    names = _named([thing for _, _, thing in top[:5]])
    told = []
    for held, length, thing in top:
        first = next(iter(thing.values() if isinstance(thing, dict) else thing), None)
        told.append({
            "type": _name(type(thing)), "name": names.get(id(thing)), "items": length, "bytes": held,
            "of": _name(type(first)),
        })
    return told


def _named(things):
    """By what the program calls these: a variable of a module, an attribute, a local variable."""
    import gc

    wanted = {id(thing) for thing in things}
    found = {}
    modules = {}
    for name, module in list(sys.modules.items()):
        if hasattr(module, "__dict__"):
            modules[id(vars(module))] = name
            for key, value in list(vars(module).items()):
                if id(value) in wanted and key != "__builtins__":
                    found.setdefault(id(value), "%s.%s" % (name, key))
    for frame in list(sys._current_frames().values()):
        while frame is not None:
            if frame.f_code.co_filename != __file__ and frame.f_locals is not frame.f_globals:
                for key, value in list(frame.f_locals.items()):
                    if id(value) in wanted:
                        found.setdefault(id(value), "%s in %s" % (key, frame.f_code.co_name))
            frame = frame.f_back
    for holder in gc.get_referrers(*things) if things else ():
        if type(holder) is dict:
            if id(holder) in modules:
                continue
            owner = next((one for one in gc.get_referrers(holder) if getattr(type(one), "__module__", "") not in ("builtins",)
                          and type(one).__name__ != "frame"), None)
            entries, kind = list(holder.items()), None if owner is None else _name(type(owner))
        else:
            try:
                # Where attributes lie in the instance itself, there is no dictionary to find.
                entries = list(object.__getattribute__(holder, "__dict__").items())
            except Exception:
                continue
            kind = _name(type(holder))
        for key, value in entries:
            if id(value) in wanted and isinstance(key, str):
                found.setdefault(id(value), key if kind is None else "%s.%s" % (kind, key))
    return found


try:
    _start()
except Exception:
    pass
_chain()
