"""A thin layer over the driver's interface."""
import ctypes


class DriverError(RuntimeError):
    pass


class Device:
    def __init__(self, ordinal: int) -> None:
        self.driver = ctypes.CDLL("libcuda.so.1")
        self.check(self.driver.cuInit(0))
        handle = ctypes.c_int()
        self.check(self.driver.cuDeviceGet(ctypes.byref(handle), ordinal))
        self.handle = handle.value

    def check(self, code: int) -> None:
        if code:
            name = ctypes.c_char_p()
            self.driver.cuGetErrorString(code, ctypes.byref(name))
            raise DriverError(f"{(name.value or b'unknown').decode()} ({code})")

    def memory(self) -> int:
        total = ctypes.c_size_t()
        self.check(self.driver.cuDeviceTotalMem_v2(ctypes.byref(total), self.handle))
        return total.value
