"""Prints a stream's events as a plain client and the CloudEvents SDK see them, one JSON text a line."""

import asyncio
import json
import sys

import nats
from cloudevents.core.bindings.http import HTTPMessage, from_binary_event


async def main(url, stream, subject, count):
    client = await nats.connect(url)
    subscription = await client.jetstream().subscribe(subject, stream=stream, ordered_consumer=True)
    for _ in range(count):
        message = await subscription.next_msg(timeout=30)
        # NATS's binding takes its headers from that of HTTP; the SDK has none of its own for NATS.
        event = from_binary_event(HTTPMessage(dict(message.headers), message.data))
        attributes = {name: str(value) for name, value in event.get_attributes().items()}
        print(json.dumps({"subject": message.subject, "attributes": attributes, "data": event.get_data()}))
    await client.close()


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
