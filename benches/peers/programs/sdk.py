"""azure-storage-blob with Pillow and PyAV: a script with a pool of threads, which reads ranges."""

from __future__ import annotations

import io

from common import IMAGES, Facts, container_client, examine, image_facts, options, video_facts

# Enough of most images, and the unit in which videos are read.
HEAD = 16 * 1024
BLOCK = 32 * 1024


class RangedReader(io.RawIOBase):
    """A blob as a file: each block is downloaded when it is first read, and kept."""

    def __init__(self, blob, size: int) -> None:
        self._blob, self._size = blob, size
        self._position = 0
        self._blocks: dict[int, bytes] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def readinto(self, buffer) -> int:
        if self._position >= self._size:
            return 0
        number, skip = divmod(self._position, BLOCK)
        if number not in self._blocks:
            length = min(BLOCK, self._size - number * BLOCK)
            self._blocks[number] = self._blob.download_blob(offset=number * BLOCK, length=length).readall()
        piece = self._blocks[number][skip : skip + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)


def main() -> None:
    arguments = options()
    container = container_client(arguments.concurrency)
    sizes = {blob.name: blob.size for blob in container.list_blobs()}

    def facts(name: str) -> Facts:
        blob, size = container.get_blob_client(name), sizes[name]
        if not name.endswith(IMAGES):
            return video_facts(io.BufferedReader(RangedReader(blob, size), BLOCK))
        head = blob.download_blob(offset=0, length=min(HEAD, size)).readall()
        try:
            return image_facts(io.BytesIO(head))
        except Exception:
            if size <= HEAD:
                raise
            # The header is longer than that, or the format is one that Pillow reads to the end.
            return image_facts(io.BytesIO(blob.download_blob().readall()))

    examine(sizes, facts, arguments.concurrency, arguments.output)


if __name__ == "__main__":
    main()
