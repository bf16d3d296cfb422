"""A chat: a stream that browsers follow, and the page that shows it. Start it beside an engine, then open
http://127.0.0.1:3111/ in two windows.
"""

import os
import uuid

from msgspec import Struct

import iii

STREAM_URL = os.environ.get("CHAT_STREAM_URL", "ws://127.0.0.1:3112")
PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<ul id="messages"></ul>
<form><input id="text" autofocus placeholder="Say something"><button>Send</button></form>
<script>
const items = new Map()
const list = document.getElementById('messages'), text = document.getElementById('text')
const show = () => list.replaceChildren(...[...items.values()].map((message) => {
  const line = document.createElement('li')
  line.textContent = message.text
  return line
}))
const follow = () => {
  const socket = new WebSocket('STREAM_URL/stream/chat/lobby')
  socket.onmessage = ({ data }) => {
    const { id, event } = JSON.parse(data)
    if (event.type === 'sync') { items.clear(); for (const each of event.data) items.set(each.id, each) }
    else if (event.type === 'delete') items.delete(id)
    else if (event.type === 'create' || event.type === 'update') items.set(id, event.data)
    show()
  }
  socket.onclose = () => setTimeout(follow, 2000)
}
follow()
document.forms[0].onsubmit = (submitted) => {
  submitted.preventDefault()
  fetch('/messages', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ text: text.value }) })
  text.value = ''
}
</script>
"""


class NewMessage(Struct):
    text: str


worker = iii.register_worker()
lobby = worker.stream("chat", "lobby")


@worker.http("GET", "/")
async def page() -> iii.HttpResponse:
    """The page."""
    return iii.HttpResponse(200, PAGE.replace("STREAM_URL", STREAM_URL), {"content-type": "text/html; charset=utf-8"})


@worker.http("POST", "/messages")
async def say(message: NewMessage) -> iii.HttpResponse:
    """Add a message; everybody who follows the lobby gets it."""
    message_id = str(uuid.uuid4())
    await lobby.set_async(message_id, {"id": message_id, "text": message.text})
    return iii.HttpResponse(201, {"id": message_id})
