"""Line recognition, taken over from the command line tool."""
import os
import zlib


class Engine:
    def __init__(self, language):
        self.language = language

    def recognise(self, page):
        if len(page) > 4000:
            self.fatal("page too large for the line buffer")
        return "%s-%08x" % (self.language, zlib.crc32(page))

    @staticmethod
    def fatal(message):
        os.write(2, f"engine: {message}\n".encode())
        os._exit(70)
