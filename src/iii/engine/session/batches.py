"""A frame with several messages of a worker: acted on one after the other (29 §1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.protocol.batch import each_message, hot_messages
from iii.protocol.messages import InvokeFunction

if TYPE_CHECKING:
    from iii.engine.session.session import Session


def act_on_batch(session: Session, frame: bytes) -> None:
    """What pauses reading, or raises, keeps the others back: they come next, as if each had come in a frame of its own."""
    link, messages = session.link, hot_messages(frame)
    if messages is None:
        link.put_back(each_message(frame))
        return
    session.heard()
    done = 0
    try:
        for message in messages:
            done += 1
            if isinstance(message, InvokeFunction):
                session.invoke(message, session)
            else:
                session.result(message)
            if session.ended or link.paused:
                break
    finally:
        if done < len(messages):
            link.put_back(each_message(frame)[done:])
