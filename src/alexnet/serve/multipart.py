"""The files of a form, kept in memory; Starlette's own reader writes large files to the disk."""

from __future__ import annotations

from typing import NoReturn

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from alexnet.serve.problems import ProblemError

MAX_HEADERS, MAX_HEADER_BYTES = 8, 2048
"""Maximum number of headers of a part, and maximum size of one of them in bytes."""
MAX_NAME = 255


class MultipartReader:
    """Collects the files of a form while its body arrives.

    Args:
        content_type: the header of the request, with the boundary.
        max_files: the most parts.

    Raises:
        ProblemError: the form is damaged, has too many parts, or a part that is no file.
    """

    def __init__(self, content_type: str, max_files: int) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise ProblemError(422, "the type multipart/form-data lacks its boundary")
        self.max_files = max_files
        self._files: list[tuple[str, bytes]] = []
        self._field, self._value, self._content = bytearray(), bytearray(), bytearray()
        self._name, self._is_whole = "", False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._check_part,
                    "on_part_data": lambda data, start, end: self._content.extend(data[start:end]),
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
                max_header_count=MAX_HEADERS,
                max_header_size=MAX_HEADER_BYTES,
            )
        except FormParserError as error:
            _fail(error)

    def feed(self, chunk: bytes) -> None:
        """Parse the next chunk of the body.

        Raises:
            ProblemError: see above.
        """
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            _fail(error)

    def end(self) -> list[tuple[str, bytes]]:
        """End the form; return the names and contents of all files.

        Raises:
            ProblemError: the form is cut off, or has no file.
        """
        if not self._is_whole:
            raise ProblemError(422, "the form ends before its last boundary")
        if not self._files:
            raise ProblemError(422, "the form has no file; send images as its fields `files`")
        return self._files

    def _begin_part(self) -> None:
        if len(self._files) >= self.max_files:
            raise ProblemError(413, f"the form has more than {self.max_files:,} files")
        self._name, self._content, self._disposition = "", bytearray(), b""

    def _end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def _check_part(self) -> None:
        options = parse_options_header(self._disposition.decode("latin-1"))[1]
        if b"filename" not in options:
            field = options.get(b"name", b"").decode("utf-8", "replace")
            raise ProblemError(
                422, f"the form's field {field!r} is no file; options belong into the address"
            )
        self._name = options[b"filename"].decode("utf-8", "replace")[:MAX_NAME]

    def _end_part(self) -> None:
        self._files.append((self._name, bytes(self._content)))

    def _end(self) -> None:
        self._is_whole = True


def _fail(error: FormParserError) -> NoReturn:
    raise ProblemError(422, "the form is damaged: it is no multipart/form-data") from error
