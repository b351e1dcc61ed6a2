"""Prints a topic's events as a plain client and the CloudEvents SDK see them, one JSON text a line."""

import json
import sys

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from kafka import KafkaConsumer, TopicPartition

bootstrap, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=30000)
consumer.assign([TopicPartition(topic, partition) for partition in sorted(consumer.partitions_for_topic(topic))])
for message in consumer:
    event = from_binary_event(KafkaMessage(dict(message.headers), message.key, message.value))
    attributes = {name: str(value) for name, value in event.get_attributes().items()}
    print(json.dumps({"attributes": attributes, "data": event.get_data()}))
    count -= 1
    if count == 0:
        break
