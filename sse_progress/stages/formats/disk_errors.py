"""Which operating system errors our own machine is to blame for, and not the file."""

from __future__ import annotations

import errno

__all__ = ["is_disk_error"]

_OURS = frozenset(
    (
        *(errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE, errno.ETIMEDOUT),
        *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENODEV),
        *(errno.ENXIO, errno.EFBIG, errno.ENOTCONN, errno.EHOSTDOWN, errno.EBADF),
    )
)


def is_disk_error(exc: BaseException) -> bool:
    """Whether `exc` comes from reading or writing itself.

    A decoder that follows a number in a broken file ends in EINVAL (a seek before the file's
    beginning) or EOVERFLOW: those are the file's fault.
    """
    return isinstance(exc, OSError) and exc.errno in _OURS
