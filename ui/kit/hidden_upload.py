"""The upload element behind a button or a place where files are dropped: it is not shown itself.

    upload = hidden_upload(received, refused, most_bytes=5 << 20, accept=".csv,.json")
    drop.on("click", js_handler=f"() => getElement({upload.id}).$refs.qRef.pickFiles()")

`refused(why)` is called when the browser does not send a file: `why` is TOO_LARGE, or it is of another kind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import events, ui

#: The reason for a file that is larger than `most_bytes`.
TOO_LARGE = "max-file-size"
#: Sends the rule that a file breaks, as Quasar names it.
_REJECTED = "(files) => emit(files[0].failedPropValidation)"


def hidden_upload(
    on_upload: Callable[[events.UploadEventArguments], Awaitable[None]],
    on_refused: Callable[[str], None],
    *,
    most_bytes: int,
    accept: str = "",
    multiple: bool = False,
) -> ui.upload:
    """Creates the element, which sends each file at once. A file that was sent can be chosen again."""
    upload = ui.upload(on_upload=on_upload, auto_upload=True, multiple=multiple, max_file_size=most_bytes)
    upload.on("rejected", lambda event: on_refused(str(event.args)), js_handler=_REJECTED)
    # Quasar refuses a file that is in its list already, so what was sent must leave the list.
    upload.on("finish", js_handler=f"() => getElement({upload.id})?.$refs.qRef?.reset()")
    upload.classes("fp-away").props("aria-hidden=true tabindex=-1")
    upload.props.set_optional("accept", accept or None)
    return upload
